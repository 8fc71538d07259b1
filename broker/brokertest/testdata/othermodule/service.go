// Package service writes orders to Kafka.
package service

import "github.com/IBM/sarama"

// Orders is where orders are written.
type Orders struct{ producer sarama.SyncProducer }

// Open connects to a cluster.
func Open(bootstrap []string) (*Orders, error) {
	config := sarama.NewConfig()
	config.Version = sarama.V2_8_0_0
	config.Producer.Idempotent, config.Net.MaxOpenRequests = true, 1
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Retry.Max, config.Metadata.Retry.Max = 1000, 1000
	p, err := sarama.NewSyncProducer(bootstrap, config)
	return &Orders{p}, err
}

// Add writes one order; when it returns nil the order survives any one broker.
func (o *Orders) Add(order string) error {
	_, _, err := o.producer.SendMessage(&sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder(order)})
	return err
}

// Close disconnects.
func (o *Orders) Close() error { return o.producer.Close() }
