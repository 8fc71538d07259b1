package zkmeta

import (
	"context"
	"fmt"
	"testing"

	"github.com/go-zookeeper/zk"
)

// Writes leave in their order whatever else goes on in the session: reads of two requests, watches of znodes that are
// missing, and other callers.
func TestOrderOutlastsOtherTraffic(t *testing.T) {
	server := startServer(t)
	p := startProxy(t, server.addr)
	s := session(t, connect(t, server.at(p.addr())))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{}, 8)
	for g := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for ctx.Err() == nil {
				s.getSettled(ctx, "/")
			}
		}()
		go func() {
			defer func() { done <- struct{}{} }()
			for i := 0; ctx.Err() == nil; i++ {
				s.WatchChildren(fmt.Sprintf("/missing-%d-%d", g, i%100), func() {}).Stop()
				s.Sync(ctx, "/")
			}
		}()
	}
	for round := range 20 {
		p.writes()
		var pending []pendingWrite[struct{}]
		for i := range 200 {
			full := s.full(fmt.Sprintf("/%d-%d", round, i))
			pending = append(pending, startWrite(s, ctx, "delete", full, 0, func(conn *zk.Conn) (struct{}, error) {
				return struct{}{}, conn.Delete(full, 0)
			}))
		}
		for _, w := range pending {
			w.wait(ctx)
		}
		for i, r := range p.writes() {
			if want := s.full(fmt.Sprintf("/%d-%d", round, i)); r.path != want {
				t.Fatalf("round %d: %s left where %s should have", round, r.path, want)
			}
		}
	}
	stop()
	for range 8 {
		<-done
	}
}
