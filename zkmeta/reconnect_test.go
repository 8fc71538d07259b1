package zkmeta

import (
	"errors"
	"fmt"
	"testing"
)

// What a new connection does first, setting the watches again, must not meet the answers to requests: the race detector
// watches, and every change must be told although connections come and go.
func TestWatchesAreSetAgainBeforeAnswersAreRead(t *testing.T) {
	zk := startServer(t)
	p := startProxy(t, zk.addr)
	s := session(t, connect(t, zk.at(p.addr())))
	other := session(t, connect(t, zk.String()))
	ctx := t.Context()
	_, err := other.Create(ctx, "/watched", nil, Persistent)
	must(t, err)
	var told bell
	s.WatchData("/watched", told.ring)
	for i := range 100 {
		_, err := other.Create(ctx, fmt.Sprintf("/%d", i), nil, Persistent)
		must(t, err)
		s.WatchChildren(fmt.Sprintf("/%d", i), func() {})
	}
	await(t, "the first hint", func() bool { return told.rung() > 0 })
	for range 4 { // quickly following losses cost a pause of a second each
		calls := make([]*call[answered], 20)
		for i := range calls {
			calls[i] = start(s, ctx, readRequest(exists).on(s.full("/watched")))
		}
		before := told.rung()
		p.cut()
		for _, c := range calls {
			if err := c.wait(ctx); err != nil && !errors.Is(err, ErrUnknown) {
				t.Fatal(err)
			}
		}
		_, err := other.Set(ctx, "/watched", nil, AnyVersion)
		must(t, err)
		await(t, "a hint after the reconnection", func() bool { return told.rung() > before })
		must(t, s.Sync(ctx, "/"))
	}
}
