// Package consumer reads records from Kafka. Simple is the low-level consumer: the caller says which partitions and
// from where, and nobody else is asked (Kafka: SimpleConsumer, and KafkaConsumer.assign). The consumer that shares
// partitions through ZooKeeper and the one the brokers coordinate come with their issues.
//
//	cfg, err := consumer.NewConfig(map[string]string{"bootstrap.servers": "localhost:9092"})
//	c, err := consumer.NewSimple(cfg)
//	defer c.Close()
//	c.Assign(map[topic.Partition]int64{{Topic: "orders", ID: 0}: consumer.Earliest})
//	records, err := c.Poll(ctx)
//
// Floor 5 of the house: on IBM/sarama. Properties are read as package producer reads them.
package consumer
