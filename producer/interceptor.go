package producer

// Interceptor sees every record before it is sent and what became of it (Kafka: ProducerInterceptor). OnSend may
// change the record; it runs on the caller's goroutine. OnAcknowledgement runs on the producer's and must not block.
type Interceptor interface {
	OnSend(*Record)
	OnAcknowledgement(Record, Position, error)
}
