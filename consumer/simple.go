package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/producer"
	"go.uber.org/zap"
)

// Where to begin, besides an offset (Kafka: ListOffsetsRequest).
const (
	Latest   int64 = -1
	Earliest int64 = -2
)

// leaderPatience is how long partitions without a leader, and changes nobody announced, wait for a look at the metadata.
const leaderPatience = 5 * time.Second

// Simple reads partitions the caller chose. Poll and Assign belong to one goroutine; Close may come from any.
//
// One goroutine fetches from each leader, all its partitions in one request; they hand what they got to Poll one
// after the other, so what waits unread is at most one answer per leader.
type Simple struct {
	config *Config
	client sarama.Client
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	got    chan fetched
	unread []Record // the rest of the last answer, beyond max.poll.records

	stop    context.CancelFunc // ends the fetchers of the last Assign
	running sync.WaitGroup

	correlation int64 // of the last metadata request, for the log
}

// fetched is what one answer held, or why a partition cannot go on.
type fetched struct {
	records []Record
	err     error
}

// position is a partition's next offset, owned by the goroutine that fetches it.
type position struct {
	topic.Partition
	next int64 // or Latest, Earliest
}

// NewSimple makes a consumer that reads nothing yet. No broker is asked.
func NewSimple(c *Config) (*Simple, error) {
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	s := &Simple{config: c, got: make(chan fetched), stop: func() {}, correlation: 1}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	c.dialer.Failed = func(addr string) {
		producer.WarnUnreachable(c.Logger, s.logName(), producer.NodeAt(s.client, addr), addr)
	}
	client, err := sarama.NewClient(c.Servers, c.sarama)
	if err != nil {
		s.cancel()
		return nil, fmt.Errorf("consumer: %w", err)
	}
	s.client = client
	return s, nil
}

// Topics lists the topics of the cluster.
func (s *Simple) Topics() ([]string, error) {
	if err := s.client.RefreshMetadata(); err != nil {
		return nil, kafkaError(err)
	}
	topics, err := s.client.Topics()
	return topics, kafkaError(err)
}

// Partitions lists the partitions of a topic as soon as its metadata is known, asking again until ctx ends. Asking
// creates the topic where the broker allows.
func (s *Simple) Partitions(ctx context.Context, name string) ([]int32, error) {
	for {
		err := s.askTopic(name)
		if err == nil {
			ids, err := s.client.Partitions(name)
			return ids, kafkaError(err)
		}
		if kerr.CodeOf(err) == kerr.InvalidTopicException.Code {
			return nil, err
		}
		if pause(ctx, s.config.sarama.Consumer.Retry.Backoff) != nil {
			return nil, err
		}
	}
}

// Assign reads the given partitions from now on, each from an offset, Earliest or Latest, and no others.
func (s *Simple) Assign(partitions map[topic.Partition]int64) {
	s.stopFetching()
	s.unread = nil
	ctx, stop := context.WithCancel(s.ctx)
	s.stop = stop
	positions := make(map[topic.Partition]*position, len(partitions))
	for tp, offset := range partitions {
		positions[tp] = &position{tp, offset}
	}
	s.running.Go(func() { s.fetchAll(ctx, positions) })
}

// Poll waits for records and returns at most max.poll.records of them, those of a partition in order.
func (s *Simple) Poll(ctx context.Context) ([]Record, error) {
	if len(s.unread) == 0 {
		select {
		case f := <-s.got:
			if f.err != nil {
				return nil, f.err
			}
			s.unread = f.records
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-s.ctx.Done():
			return nil, errors.New("consumer is closed")
		}
	}
	n := min(len(s.unread), s.config.MaxPollRecords)
	records := s.unread[:n:n]
	s.unread = s.unread[n:]
	return records, nil
}

// Close ends the consumer. A fetch on its way is waited for, fetch.max.wait.ms at most.
func (s *Simple) Close() error {
	s.cancel()
	s.running.Wait()
	if s.client.Closed() {
		return nil
	}
	return s.client.Close()
}

func (s *Simple) stopFetching() {
	s.stop()
	s.running.Wait()
}

// fetchAll runs one fetcher per leader and starts over whenever one of them found the world changed.
func (s *Simple) fetchAll(ctx context.Context, positions map[topic.Partition]*position) {
	for ctx.Err() == nil {
		leaders := s.byLeader(positions)
		round, end := context.WithCancel(ctx)
		if led := countLed(leaders); led < len(positions) {
			round, end = context.WithTimeout(ctx, leaderPatience)
		}
		var fetchers sync.WaitGroup
		for broker, led := range leaders {
			fetchers.Go(func() {
				defer end()
				s.fetchFrom(round, broker, led)
			})
		}
		if len(leaders) == 0 {
			_ = pause(round, s.config.sarama.Consumer.Retry.Backoff)
		}
		fetchers.Wait()
		end()
		if ctx.Err() == nil {
			_ = pause(ctx, s.config.sarama.Consumer.Retry.Backoff)
			s.refresh(positions)
		}
	}
}

func countLed(leaders map[*sarama.Broker][]*position) int {
	n := 0
	for _, led := range leaders {
		n += len(led)
	}
	return n
}

// byLeader groups the partitions by the broker that leads them; one without a leader is left out.
func (s *Simple) byLeader(positions map[topic.Partition]*position) map[*sarama.Broker][]*position {
	leaders := make(map[*sarama.Broker][]*position)
	for tp, p := range positions {
		if broker, err := s.client.Leader(tp.Topic, tp.ID); err == nil {
			leaders[broker] = append(leaders[broker], p)
		}
	}
	return leaders
}

func (s *Simple) refresh(positions map[topic.Partition]*position) {
	topics := make(map[string]bool)
	for tp := range positions {
		topics[tp.Topic] = true
	}
	for name := range maps.Keys(topics) {
		_ = s.client.RefreshMetadata(name) // a topic that stays unknown is asked for again
	}
}

// fetchFrom fetches from one broker until ctx ends or the broker is no longer the one to ask.
func (s *Simple) fetchFrom(ctx context.Context, broker *sarama.Broker, led []*position) {
	for ctx.Err() == nil {
		req := &sarama.FetchRequest{
			Version:      12,
			MinBytes:     s.config.sarama.Consumer.Fetch.Min,
			MaxBytes:     s.config.sarama.Consumer.Fetch.MaxBytes,
			MaxWaitTime:  int32(s.config.sarama.Consumer.MaxWaitTime.Milliseconds()),
			Isolation:    s.config.sarama.Consumer.IsolationLevel,
			SessionEpoch: -1, // no session
			RackID:       s.config.sarama.RackID,
		}
		for _, p := range led {
			if !s.locate(ctx, p) {
				return
			}
			req.AddBlock(p.Topic, p.ID, p.next, s.config.PartitionBytes, -1)
		}
		resp, err := broker.Fetch(req)
		if err != nil {
			_ = broker.Close()
			return
		}
		for _, p := range led {
			if block := resp.GetBlock(p.Topic, p.ID); block != nil && !s.take(ctx, p, block) {
				return
			}
		}
	}
}

// locate turns Latest and Earliest into an offset; false ends the fetcher.
func (s *Simple) locate(ctx context.Context, p *position) bool {
	if p.next >= 0 {
		return true
	}
	offset, err := s.client.GetOffset(p.Topic, p.ID, p.next)
	if err != nil || ctx.Err() != nil {
		return false
	}
	p.next = offset
	return true
}

// take hands the records of an answer to Poll; false ends the fetcher.
func (s *Simple) take(ctx context.Context, p *position, block *sarama.FetchResponseBlock) bool {
	switch block.Err {
	case sarama.ErrNoError:
	case sarama.ErrOffsetOutOfRange:
		return s.reset(ctx, p)
	case sarama.ErrNotLeaderForPartition, sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable,
		sarama.ErrReplicaNotAvailable, sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch,
		sarama.ErrKafkaStorageError:
		return false
	default:
		s.hand(ctx, fetched{err: kafkaError(block.Err)})
		return false
	}
	committedOnly := s.config.sarama.Consumer.IsolationLevel == sarama.ReadCommitted
	records, next := recordsOf(p.Partition, block, p.next, committedOnly)
	if len(records) > 0 && !s.hand(ctx, fetched{records: records}) {
		return false
	}
	p.next = next
	return true
}

func (s *Simple) reset(ctx context.Context, p *position) bool {
	switch s.config.Reset {
	case ResetEarliest:
		p.next = Earliest
	case ResetLatest:
		p.next = Latest
	default:
		s.hand(ctx, fetched{err: kerr.New(kerr.OffsetOutOfRange,
			"Fetch position %d is out of range for partition %s", p.next, p.Partition)})
		return false
	}
	return true
}

func (s *Simple) hand(ctx context.Context, f fetched) bool {
	select {
	case s.got <- f:
		return true
	case <-ctx.Done():
		return false
	}
}

// askTopic asks a broker for a topic once.
func (s *Simple) askTopic(name string) error {
	s.correlation++ // Java's first request of the connection is another one
	return kafkaError(producer.AskTopic(s.client, s.config.Logger, s.logName(), s.correlation, name))
}

func (s *Simple) logName() string { return "Consumer " + s.config.LogName }

// kafkaError gives a broker's error as one of kerr.
func kafkaError(err error) error {
	var code sarama.KError
	if errors.As(err, &code) && code != sarama.ErrNoError {
		return fmt.Errorf("%w", kerr.ForCode(int16(code)))
	}
	return err
}

// pause waits d; the error says that ctx ended first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
