package controller

import "sync"

// event is one thing for the loop to do. It runs on the loop's goroutine.
type event struct {
	name string // as in Kafka's ControllerEventManager states: "BrokerChange", "TopicChange"
	key  string // hints with equal keys that wait together are one; "" never collapses
	run  func()
	drop func() // called in place of run when the event is thrown away unhandled; nil when nobody waits for it
}

// mailbox is the loop's unbounded queue. Posting never blocks, so watches and other loops may post at any time.
type mailbox struct {
	mu struct {
		sync.Mutex
		events []event
		hints  map[string]bool // keys of the waiting events that have one
		closed bool
	}
	ready chan struct{} // holds one token while events wait
}

func newMailbox() *mailbox {
	m := &mailbox{ready: make(chan struct{}, 1)}
	m.mu.hints = make(map[string]bool)
	return m
}

// post appends e. After close it is dropped.
func (m *mailbox) post(e event) {
	m.mu.Lock()
	closed := m.mu.closed
	if !closed && (e.key == "" || !m.mu.hints[e.key]) {
		m.appendLocked(e)
	}
	m.mu.Unlock()
	if closed && e.drop != nil {
		e.drop()
	}
}

// postAlone drops everything that waits and posts e as the only event (Kafka: clearAndPut).
func (m *mailbox) postAlone(e event) {
	m.mu.Lock()
	dropped := m.mu.events
	m.mu.events = nil
	clear(m.mu.hints)
	if m.mu.closed {
		dropped = append(dropped, e)
	} else {
		m.appendLocked(e)
	}
	m.mu.Unlock()
	dropAll(dropped)
}

// close drops everything that waits and everything posted later.
func (m *mailbox) close() {
	m.mu.Lock()
	dropped := m.mu.events
	m.mu.events, m.mu.closed = nil, true
	m.mu.Unlock()
	dropAll(dropped)
}

// take removes the oldest event. A false answer means none waits; ready tells when to ask again.
func (m *mailbox) take() (event, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.mu.events) == 0 {
		return event{}, false
	}
	e := m.mu.events[0]
	m.mu.events[0] = event{}
	m.mu.events = m.mu.events[1:]
	delete(m.mu.hints, e.key) // before it runs: what happens from now on is news again
	if len(m.mu.events) > 0 {
		m.signal()
	}
	return e, true
}

// size is how many events wait.
func (m *mailbox) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.mu.events)
}

func (m *mailbox) appendLocked(e event) {
	m.mu.events = append(m.mu.events, e)
	if e.key != "" {
		m.mu.hints[e.key] = true
	}
	m.signal()
}

func (m *mailbox) signal() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

func dropAll(events []event) {
	for _, e := range events {
		if e.drop != nil {
			e.drop()
		}
	}
}
