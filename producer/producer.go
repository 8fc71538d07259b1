package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/zurau/zurau/broker/kerr"
	"go.uber.org/zap"
)

// AnyPartition lets the partitioner choose. As the zero value is a partition, say it when you make a Record by hand;
// NewRecord does.
const AnyPartition int32 = -1

// Record is what is sent. Key and Value may be nil, which is not the same as empty.
type Record struct {
	Topic     string
	Partition int32 // or AnyPartition
	Key       []byte
	Value     []byte
	Headers   []Header
	Timestamp time.Time // zero: when Send has found the topic and room for it
}

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte
}

// NewRecord makes a record for whatever partition its key belongs to.
func NewRecord(topic string, key, value []byte) Record {
	return Record{Topic: topic, Partition: AnyPartition, Key: key, Value: value}
}

// Position is where a record came to lie. With acks=0 the offset is -1.
type Position struct {
	Partition int32
	Offset    int64
	Timestamp time.Time
}

// Producer sends records. Safe for use by many goroutines; records of one goroutine to one partition keep their order.
type Producer struct {
	config  *Config
	client  sarama.Client
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the last acknowledgement was handed on

	correlation atomic.Int64 // of the last metadata request, for the log

	start sync.Mutex // held while the first record makes async, which may ask brokers

	mu struct {
		sync.Mutex
		async    sarama.AsyncProducer // nil before the first record
		known    map[string]bool      // topics whose metadata arrived
		buffered int64                // bytes not yet acknowledged
		freed    chan struct{}        // closed when buffered goes down; nil while nobody waits for it
		sending  sync.WaitGroup       // calls of Send that have been let in; none is once closed is set
		closed   bool
		figures  map[string]float64 // at the end, when sarama forgets them; nil before
	}
}

// sending is a record on its way through sarama, with all that sarama needs of it: one piece of memory a record.
type sending struct {
	record     Record
	size       int64
	sent       time.Time // when it was let in: its timestamp unless it has one
	done       func(Position, error)
	message    sarama.ProducerMessage
	key, value sarama.ByteEncoder // what message points at
}

func newSending(r Record, done func(Position, error)) *sending {
	s := &sending{record: r, size: int64(serializedSize(&r)), done: done, key: r.Key, value: r.Value}
	s.message = sarama.ProducerMessage{Topic: r.Topic, Timestamp: r.Timestamp, Metadata: s}
	if r.Key != nil {
		s.message.Key = &s.key
	}
	if r.Value != nil {
		s.message.Value = &s.value
	}
	for _, h := range r.Headers {
		s.message.Headers = append(s.message.Headers, sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value})
	}
	return s
}

// New makes a producer. No broker is asked before the first record.
func New(c *Config) (*Producer, error) {
	p := &Producer{config: c, closing: make(chan struct{}), done: make(chan struct{})}
	p.mu.known = make(map[string]bool)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	c.dialer.Failed = p.unreachable
	client, err := sarama.NewClient(c.Servers, c.sarama)
	if err != nil {
		return nil, fmt.Errorf("producer: %w", err)
	}
	p.client = client
	return p, nil
}

// Send hands r over and returns; done is called once with what became of it, on the producer's goroutine unless r is
// refused before it is sent, and must not call the producer. It waits, up to max.block.ms, for the topic's metadata and
// for room in the buffer, and beyond that, while sarama takes no more, until ctx ends.
func (p *Producer) Send(ctx context.Context, r Record, done func(Position, error)) {
	for _, i := range p.config.Interceptors {
		i.OnSend(&r)
	}
	s := newSending(r, done)
	async, err := p.admit(ctx, s)
	if err != nil {
		p.finish(s, Position{Partition: AnyPartition, Offset: -1}, err)
		return
	}
	defer p.mu.sending.Done()
	s.sent = time.Now()
	if r.Timestamp.IsZero() {
		s.message.Timestamp = s.sent
	}
	select {
	case async.Input() <- &s.message: // alone in its select this is a plain send, at half the price
		return
	default:
	}
	select {
	case async.Input() <- &s.message:
	case <-ctx.Done():
		p.release(s)
		p.finish(s, Position{Partition: AnyPartition, Offset: -1}, context.Cause(ctx))
	}
}

// SendSync sends r and waits for its acknowledgement.
func (p *Producer) SendSync(ctx context.Context, r Record) (Position, error) {
	type result struct {
		at  Position
		err error
	}
	c := make(chan result, 1)
	p.Send(ctx, r, func(at Position, err error) { c <- result{at, err} })
	select {
	case got := <-c:
		return got.at, got.err
	case <-ctx.Done():
		return Position{}, context.Cause(ctx)
	}
}

// Close sends what is buffered, waits for its acknowledgements and ends the producer. Calls of Send that wait end.
func (p *Producer) Close() error {
	p.start.Lock()
	defer p.start.Unlock()
	p.mu.Lock()
	closed, async := p.mu.closed, p.mu.async
	p.mu.closed = true
	p.mu.Unlock()
	if closed {
		return nil
	}
	close(p.closing)
	figures := p.Metrics()
	if async != nil {
		p.mu.sending.Wait()
		async.AsyncClose()
		<-p.done
	}
	if atEnd := p.Metrics(); len(atEnd) >= len(figures) { // else sarama was quicker to forget its own
		figures = atEnd
	}
	p.mu.Lock()
	p.mu.figures = figures
	p.mu.Unlock()
	return p.client.Close()
}

// BeginTransaction begins a transaction; transactional.id is needed.
func (p *Producer) BeginTransaction() error {
	async, err := p.started()
	if err != nil {
		return err
	}
	return async.BeginTxn()
}

// CommitTransaction makes the transaction's records visible to read_committed.
func (p *Producer) CommitTransaction() error {
	async, err := p.started()
	if err != nil {
		return err
	}
	return async.CommitTxn()
}

// AbortTransaction hides the transaction's records for ever.
func (p *Producer) AbortTransaction() error {
	async, err := p.started()
	if err != nil {
		return err
	}
	return async.AbortTxn()
}

var errClosed = errors.New("Cannot perform operation after producer has been closed")

// started is sarama's producer. It is made by the first who needs it, because one with a producer id asks the brokers
// for it right away.
func (p *Producer) started() (sarama.AsyncProducer, error) {
	p.start.Lock()
	defer p.start.Unlock()
	p.mu.Lock()
	async, closed := p.mu.async, p.mu.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case async != nil:
		return async, nil
	}
	async, err := sarama.NewAsyncProducerFromClient(p.client)
	if err != nil {
		return nil, kafkaError(err)
	}
	p.mu.Lock()
	p.mu.async = async
	p.mu.Unlock()
	go p.acknowledge(async)
	return async, nil
}

// admit waits for a record's topic and for room in the buffer. Without an error the caller is counted in sending.
func (p *Producer) admit(ctx context.Context, s *sending) (sarama.AsyncProducer, error) {
	if async, _, err := p.reserve(s); async != nil || err != nil {
		return async, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.MaxBlock)
	defer cancel()
	if err := p.awaitTopic(ctx, s.record.Topic); err != nil {
		return nil, err
	}
	if _, err := p.started(); err != nil {
		return nil, err
	}
	for {
		async, freed, err := p.reserve(s)
		if async != nil || err != nil {
			return async, err
		}
		select {
		case <-freed:
		case <-p.closing:
		case <-ctx.Done():
			return nil, kerr.New(kerr.RequestTimedOut, "Failed to allocate %d bytes within the configured max blocking "+
				"time %d ms.", s.size, p.config.MaxBlock.Milliseconds())
		}
	}
}

// reserve takes a record's bytes from the buffer if nothing has to be waited for, which is the way of almost every
// record: one lock and no memory. Else it gives nothing, or where the topic is known a channel that is closed when
// there is more room.
func (p *Producer) reserve(s *sending) (async sarama.AsyncProducer, freed <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.mu.closed:
		return nil, nil, errClosed
	case !p.mu.known[s.record.Topic]:
		return nil, nil, nil
	case s.size > int64(p.config.MaxRequestSize):
		return nil, nil, kerr.New(kerr.MessageTooLarge, "The message is %d bytes when serialized which is larger than "+
			"%d, which is the value of the max.request.size configuration.", s.size, p.config.MaxRequestSize)
	case p.mu.async == nil:
		return nil, nil, nil
	case p.mu.buffered == 0 || p.mu.buffered+s.size <= p.config.BufferMemory:
		p.mu.buffered += s.size
		p.mu.sending.Add(1)
		return p.mu.async, nil, nil
	}
	if p.mu.freed == nil {
		p.mu.freed = make(chan struct{})
	}
	return nil, p.mu.freed, nil
}

// serializedSize is an upper bound of the bytes a record takes on the wire, batch header included
// (Kafka: AbstractRecords.estimateSizeInBytesUpperBound).
func serializedSize(r *Record) int {
	const batchHeader, recordOverhead = 61, 21
	size := batchHeader + recordOverhead + varBytes(r.Key) + varBytes(r.Value) + varintSize(len(r.Headers))
	for _, h := range r.Headers {
		size += varBytes([]byte(h.Key)) + varBytes(h.Value)
	}
	return size
}

func varBytes(b []byte) int {
	if b == nil {
		return varintSize(-1)
	}
	return varintSize(len(b)) + len(b)
}

// varintSize is how many bytes n takes as a zigzag varint.
func varintSize(n int) int {
	size := 1
	for u := uint64(n<<1 ^ n>>63); u >= 0x80; u >>= 7 {
		size++
	}
	return size
}

// acknowledge hands on what became of each record, one at a time, until sarama has none left. Each of sarama's two
// channels has a goroutine, because waiting for both at once costs every record more than the lock.
func (p *Producer) acknowledge(async sarama.AsyncProducer) {
	defer close(p.done)
	var handing sync.Mutex
	var failures sync.WaitGroup
	failures.Go(func() {
		for e := range async.Errors() {
			handing.Lock()
			p.acknowledged(e.Msg, e.Err)
			handing.Unlock()
		}
	})
	for m := range async.Successes() {
		handing.Lock()
		p.acknowledged(m, nil)
		handing.Unlock()
	}
	failures.Wait()
}

// acknowledged hands on what became of one record.
func (p *Producer) acknowledged(m *sarama.ProducerMessage, err error) {
	s := m.Metadata.(*sending)
	p.release(s)
	at := Position{Partition: m.Partition, Offset: m.Offset, Timestamp: m.Timestamp}
	if p.config.sarama.Producer.RequiredAcks == sarama.NoResponse {
		at.Offset = -1
	}
	p.finish(s, at, kafkaError(err))
}

// release gives a record's bytes back to the buffer.
func (p *Producer) release(s *sending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.buffered -= s.size
	if p.mu.freed != nil {
		close(p.mu.freed)
		p.mu.freed = nil
	}
}

func (p *Producer) finish(s *sending, at Position, err error) {
	for _, i := range p.config.Interceptors {
		i.OnAcknowledgement(s.record, at, err)
	}
	if s.done != nil {
		s.done(at, err)
	}
}

// kafkaError gives a broker's refusal as an error of kerr, in the words of Kafka's client.
func kafkaError(err error) error {
	var code sarama.KError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &code) && code == sarama.ErrInvalidRecord:
		return kerr.New(kerr.InvalidRecord, "One or more records have been rejected")
	case errors.As(err, &code):
		return fmt.Errorf("%w", kerr.ForCode(int16(code)))
	}
	return err
}

// awaitTopic waits until the metadata of topic is known, and says meanwhile what keeps it away.
func (p *Producer) awaitTopic(ctx context.Context, topic string) error {
	p.mu.Lock()
	known := p.mu.known[topic]
	p.mu.Unlock()
	for !known {
		err := AskTopic(p.client, p.config.Logger, p.logName(), p.correlation.Add(1), topic)
		if err == nil {
			break
		}
		if kerr.CodeOf(err) == kerr.InvalidTopicException.Code {
			p.config.Logger.Named("org.apache.kafka.clients.Metadata").Error(fmt.Sprintf(
				"[%s] Metadata response reported invalid topics [%s]", p.logName(), topic))
			return err
		}
		select {
		case <-time.After(p.config.sarama.Producer.Retry.Backoff):
		case <-p.closing:
			return errClosed
		case <-ctx.Done():
			return kerr.New(kerr.RequestTimedOut, "Topic %s not present in metadata after %d ms.", topic,
				p.config.MaxBlock.Milliseconds())
		}
	}
	p.mu.Lock()
	p.mu.known[topic] = true
	p.mu.Unlock()
	return nil
}

// logName is what log lines call this producer by.
func (p *Producer) logName() string { return "Producer clientId=" + p.config.sarama.ClientID }

// unreachable runs on sarama's goroutines.
func (p *Producer) unreachable(addr string) {
	WarnUnreachable(p.config.Logger, p.logName(), NodeAt(p.client, addr), addr)
}
