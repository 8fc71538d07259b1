package wire

import (
	"sync"
	"time"
)

// paceWindow is over how long a rate is kept: so much of it may come at once after a quiet time. Kafka's window of
// eleven samples of a second (quota.window.num, quota.window.size.seconds) allows as much.
const paceWindow = 10 * time.Second

// pace keeps connections to a rate. The zero pace has no limit.
type pace struct {
	mu struct {
		sync.Mutex
		interval time.Duration // between two connections; 0 for no limit
		due      time.Time     // when the next would come if they came evenly
	}
}

// limit sets the rate, in connections a second; <= 0 for none.
func (p *pace) limit(perSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.interval = 0
	if perSecond > 0 {
		p.mu.interval = time.Second / time.Duration(perSecond)
	}
}

// take counts a connection that comes now, and returns how long it has to wait.
func (p *pace) take(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.due.Before(now) {
		p.mu.due = now
	}
	wait := max(p.mu.due.Sub(now)-paceWindow, 0)
	p.mu.due = p.mu.due.Add(p.mu.interval)
	return wait
}
