package wire

// A Guard is asked directly before a guarded reply is written to its socket: what the reply says may have become untrue
// while the process was stopped.
type Guard interface {
	// Pass tells whether a reply whose work began under token may leave now. It may block until it knows, but not beyond
	// the closing of done.
	Pass(token uint64, done <-chan struct{}) bool
}

// guarded names what a reply has to pass; the zero value lets it through.
type guarded struct {
	by    Guard
	token uint64
}

// Guarded makes the reply ask g before it is written. If it may not leave, its connection is closed in its place, and
// with it the replies that would have left by the same write: to their clients the outcome is unknown, which is true.
func (r Reply) Guarded(g Guard, token uint64) Reply {
	r.guard = guarded{g, token}
	return r
}

const refusedByGuard = closeError("a reply was not sent, for this process may have been stopped while it was being made")

// pass asks the guards of replies that are about to be written.
func (c *Conn) pass(replies []owed) error {
	for i := range replies {
		if g := &replies[i].reply.guard; g.by != nil && !g.by.Pass(g.token, c.ctx.Done()) {
			return refusedByGuard
		}
	}
	return nil
}

// writeGuarded writes b, which is made of these replies, if all of them may leave.
func (c *Conn) writeGuarded(b []byte, replies []owed) error {
	if err := c.pass(replies); err != nil {
		return err
	}
	return c.write(b)
}
