package wire

import (
	"net"
	"sync"
)

// queueBound is how many replies a connection may owe before it stops reading.
const queueBound = 64

// owed is a reply and what its header needs.
type owed struct {
	replyHeader
	reply Reply // of kind replyLater until its promise is kept
}

// replyQueue keeps the replies of a connection in the order of their requests while the first of them is not
// known yet. It comes to life with the first delayed reply: the connection's goroutine pushes, and a writer
// goroutine, which lives only as long as there is something in the queue, sends.
type replyQueue struct {
	send func([]owed) error // writes replies that are all known; called by the writer alone
	gone <-chan struct{}    // closed when the connection is
	wake func()             // given to the promise at the head

	kept    chan struct{} // capacity 1: the promise at the head has been kept
	room    chan struct{} // capacity 1: something left the queue
	writers sync.WaitGroup

	mu struct {
		sync.Mutex
		items   []owed // in request order
		writing bool   // a writer goroutine lives
		err     error  // why nothing can be sent any more
	}
}

func newReplyQueue(send func([]owed) error, gone <-chan struct{}) *replyQueue {
	q := &replyQueue{send: send, gone: gone, kept: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	q.wake = func() { signal(q.kept) }
	return q
}

// signal makes sure that c has something in it.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push appends a reply, waiting while the queue is full.
func (q *replyQueue) push(o owed) error {
	for {
		q.mu.Lock()
		if q.mu.err != nil {
			defer q.mu.Unlock()
			o.reply.abandon()
			return q.mu.err
		}
		if len(q.mu.items) < queueBound {
			q.mu.items = append(q.mu.items, o)
			if !q.mu.writing {
				q.mu.writing = true
				q.writers.Go(q.write)
			}
			q.mu.Unlock()
			return nil
		}
		q.mu.Unlock()
		<-q.room // the writer always answers: it empties the queue when the connection is gone
	}
}

// empty tells whether nothing is owed. Only the pushing goroutine can rely on a yes.
func (q *replyQueue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.mu.items) == 0 && !q.mu.writing
}

// awaitEmpty blocks until all that was owed has been sent, or cannot be.
func (q *replyQueue) awaitEmpty() error {
	for {
		q.mu.Lock()
		idle, err := len(q.mu.items) == 0 && !q.mu.writing, q.mu.err
		q.mu.Unlock()
		if idle || err != nil {
			return err
		}
		<-q.room
	}
}

// write sends what is owed, in order and as it becomes known, and ends when the queue is empty.
func (q *replyQueue) write() {
	for {
		ready := q.ready()
		if len(ready) > 0 {
			if err := q.send(ready); err != nil {
				q.fail(err)
				return
			}
			if q.drop(len(ready)) {
				return
			}
			continue
		}
		select {
		case <-q.kept:
		case <-q.gone:
			q.fail(net.ErrClosed)
			return
		}
	}
}

// ready resolves the promises at the head and returns the replies that can be sent now.
func (q *replyQueue) ready() []owed {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.mu.items) {
		o := &q.mu.items[n]
		if o.reply.kind == replyLater {
			r, ok := o.reply.pending.result(q.wake)
			if !ok {
				break
			}
			o.reply = r
		}
		n++
	}
	return q.mu.items[:n:n]
}

// drop removes what has been sent and tells whether the writer has nothing left to do and ends.
func (q *replyQueue) drop(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := copy(q.mu.items, q.mu.items[n:])
	clear(q.mu.items[rest:])
	q.mu.items = q.mu.items[:rest]
	q.mu.writing = rest > 0
	signal(q.room)
	return rest == 0
}

// fail gives up all that is owed: the connection is gone.
func (q *replyQueue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.mu.items {
		q.mu.items[i].reply.abandon()
	}
	q.mu.items, q.mu.writing, q.mu.err = nil, false, err
	signal(q.room)
}
