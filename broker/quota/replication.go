package quota

import (
	"maps"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zurau/zurau/broker/topic"
)

// Replication throttles one direction of a broker's replication (KIP-73; Kafka: ReplicationQuotaManager): what leaders
// here send to followers, or what followers here fetch. The replicas an operator has named share a rate; all their
// bytes count, those of replicas in sync too, but only replicas out of sync are made to wait. Methods may be called
// from anywhere; a nil Replication throttles nothing.
type Replication struct {
	broker int32
	begun  time.Time
	window *window
	limit  atomic.Int64 // bytes a second
	topics atomic.Pointer[map[string]replicas]
	mu     sync.Mutex // held by who replaces topics
}

// Unlimited is the rate of a throttle that is not set.
const Unlimited = math.MaxInt64

// replicas of one topic on this broker that are throttled.
type replicas struct {
	all        bool
	partitions map[int32]bool
}

// NewReplication makes a throttle without a limit for a broker's replicas; its rate is measured over so many samples
// of such a size (replication.quota.window.num and .size.seconds).
func NewReplication(broker int32, samples int, size time.Duration) *Replication {
	q := &Replication{broker: broker, begun: time.Now(), window: newWindow(samples, size)}
	q.limit.Store(Unlimited)
	q.topics.Store(&map[string]replicas{})
	return q
}

// SetRate takes leader. or follower.replication.throttled.rate, in bytes a second.
func (q *Replication) SetRate(limit int64) { q.limit.Store(limit) }

// SetTopic takes leader. or follower.replication.throttled.replicas of a topic: "*" or words of the form
// partition:broker. Words of another form were refused where they were set, and count for nothing.
func (q *Replication) SetTopic(name string, words []string) {
	found := replicas{partitions: make(map[int32]bool)}
	for _, word := range words {
		if word = strings.TrimSpace(word); word == "*" {
			found.all = true
			continue
		}
		partition, broker, _ := strings.Cut(word, ":")
		p, err := strconv.ParseInt(partition, 10, 32)
		if b, berr := strconv.ParseInt(broker, 10, 32); err == nil && berr == nil && int32(b) == q.broker {
			found.partitions[int32(p)] = true
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	old := *q.topics.Load()
	next := maps.Clone(old)
	if delete(next, name); found.all || len(found.partitions) > 0 {
		next[name] = found
	} else if len(next) == len(old) {
		return
	}
	q.topics.Store(&next)
}

// Active tells whether any replica is throttled at all.
func (q *Replication) Active() bool { return q != nil && len(*q.topics.Load()) > 0 }

// Throttles tells whether a partition's replica on this broker is among those that are throttled.
func (q *Replication) Throttles(tp topic.Partition) bool {
	if !q.Active() {
		return false
	}
	r := (*q.topics.Load())[tp.Topic]
	return r.all || r.partitions[tp.ID]
}

// Record counts bytes of replicas that Throttles names.
func (q *Replication) Record(bytes int) { q.window.record(int64(bytes), time.Since(q.begun)) }

// Exceeded tells whether more has gone through than the rate allows.
func (q *Replication) Exceeded() bool {
	if q == nil {
		return false
	}
	limit := q.limit.Load()
	return limit != Unlimited && q.Rate() > float64(limit)
}

// Rate is what goes through now, in bytes a second.
func (q *Replication) Rate() float64 { return q.window.rate(time.Since(q.begun)) }
