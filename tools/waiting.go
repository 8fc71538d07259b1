package main

import (
	"context"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// patience is how long a tool may be silent before it says what it waits for.
const patience = 500 * time.Millisecond

// showWaiting tells a person at a terminal, after a while, what the tool waits for, until done is called.
func showWaiting(stderr io.Writer, what string) (done func()) {
	if !isTerminal(stderr) {
		return func() {}
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var line progress
		ticks := time.NewTicker(patience)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				if line.bar == nil {
					line.bar = progressbar.NewOptions64(-1,
						progressbar.OptionSetWriter(stderr),
						progressbar.OptionSetDescription(what),
						progressbar.OptionClearOnFinish())
				}
				line.add(1)
			case <-over:
				line.done()
				return
			}
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}

// interruptible gives a tool that a signal ended the status that says so.
func interruptible(run func(ctx context.Context, args []string, io stdio) int) func(context.Context, []string, stdio) int {
	return func(ctx context.Context, args []string, io stdio) int {
		status := run(ctx, args, io)
		if status != 0 && ctx.Err() != nil {
			return signalStatus(ctx)
		}
		return status
	}
}

// signalPatience is how long a tool that got a signal waits for what it has sent to be acknowledged.
const signalPatience = 3 * time.Second

// closeProducer sends what p holds and waits for its acknowledgements: to the end, or after a signal for
// signalPatience. A broker that is silent then does not keep the tool, which leaves the closing behind and ends.
func closeProducer(ctx context.Context, p io.Closer) error {
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-closed:
		return err
	case <-time.After(signalPatience):
		return context.Cause(ctx)
	}
}
