package replica

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A broker that stops in good order must not be waited for. Its partitions get other leaders, whom it would follow, and
// it soon has everything: the new leader would propose it for the ISR, and until the controller has answered, which may
// be the broker that stops, no high watermark passes it. So whoever leaves follows no new leader, and a follower that
// the controller has just called ineligible neither is proposed again at once nor holds the high watermark.

// Leave says that this broker is about to stop: it follows whom it follows, and nobody else.
func (m *Manager) Leave() { m.leaving.Store(true) }

// followsOn tells whether a partition in this state is to be followed: who leaves follows only where the ISR counts it.
func (m *Manager) followsOn(s *kmsg.LeaderAndISRRequestTopicPartition) bool {
	return !m.leaving.Load() || slices.Contains(s.ISR, m.BrokerID)
}

// refusedPause is for how long a follower that was refused as ineligible is not proposed again.
const refusedPause = 250 * time.Millisecond

// refuse notes that the controller does not want those among the proposed who are new.
func (r *role) refuse(now time.Duration) {
	for _, id := range r.proposed {
		if f := r.followers[id]; f != nil && !slices.Contains(r.isr, id) {
			f.refusedUntil.Store(int64(now + refusedPause))
		}
	}
}

// refused tells whether the follower has just been called ineligible.
func (f *progress) refused(now time.Duration) bool { return int64(now) < f.refusedUntil.Load() }
