// Package producer sends records to Kafka: a thin face on IBM/sarama's asynchronous producer that is configured by
// Java's property names, partitions as Java's client does and reports errors in Kafka's words.
//
//	cfg, err := producer.NewConfig(map[string]string{"bootstrap.servers": "localhost:9092"})
//	p, err := producer.New(cfg)
//	defer p.Close()
//	where, err := p.SendSync(ctx, producer.NewRecord("orders", []byte("k"), []byte("v")))
//
// Floor 5 of the house: imports sarama and kerr, nothing of the broker's rooms.
package producer
