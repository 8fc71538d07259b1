package controller

import (
	"context"

	"go.uber.org/zap"
)

// call has a request answered by the loop. It gives refused when this broker is not the controller, when the
// loop drops the request (session lost, Stop) or when ctx ends first; the loop may then still do what was
// asked.
func call[T any](ctx context.Context, c *Controller, name string, refused T, serve func(*term) T) T {
	answer := make(chan T, 1)
	c.mailbox.post(event{
		name: name,
		run: func() {
			if c.term == nil || !c.term.alive() || ctx.Err() != nil {
				answer <- refused
				return
			}
			answer <- serve(c.term)
		},
		drop: func() { answer <- refused },
	})
	select {
	case resp := <-answer:
		return resp
	case <-ctx.Done():
		c.log.Warn("A request was given up before the controller came to it", zap.String("event", name))
		return refused
	}
}
