package wire

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestDecodeGivesABodyBackThatNothingPointsInto(t *testing.T) {
	for _, test := range []struct {
		name string
		req  kmsg.Request
		kept bool
	}{
		{"Produce, for its records", produceRequest(1, 10), true},
		{"Fetch, for its names", kmsg.NewPtrFetchRequest(), true},
		{"JoinGroup, for its metadata", kmsg.NewPtrJoinGroupRequest(), true},
		{"SyncGroup, for its assignments", kmsg.NewPtrSyncGroupRequest(), true},
		{"Metadata", metadataRequest(1), false},
		{"CreateTopics, which may wait for minutes", kmsg.NewPtrCreateTopicsRequest(), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			kept := make(chan bool, 1)
			s := startServer(t, func(_ context.Context, r *Request) Reply {
				if err := r.Decode(kmsg.RequestForKey(r.Key)); err != nil {
					return Close(err.Error())
				}
				kept <- r.Body != nil && r.Conn.server.memory.mu.used > 0
				return respondTo(r)
			}, func(o *ServerOptions) { o.MaxQueuedBytes = 1000 })
			c := dial(t, s)
			c.request(test.req, 1)
			c.receive()
			if got := <-kept; got != test.kept {
				t.Errorf("the body was kept: %v", got)
			}
		})
	}
}
