package zkserver

import (
	"net"
	"testing"
	"time"

	"go.uber.org/zap"
)

// While the disk stalls and the loop takes no more messages nobody can be heard, so nobody's session may run out.
func TestNoSessionExpiresWhileTheDiskStalls(t *testing.T) {
	opts, err := Options{Dir: t.TempDir(), TickTime: 5 * time.Millisecond, MinSessionTimeout: 50 * time.Millisecond}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l := newLoop(opts, &stats{}, zap.NewNop()) // without a committer: the disk takes nothing
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	c := newConn(ours, opts.JuteMaxBuffer, l.post, zap.NewNop())
	go l.run()
	l.post(message{conn: c, connect: &connectRequest{timeoutMS: 50}})
	for range 6 { // more than batchLimit
		l.post(message{conn: c, request: &request{op: opSetData, path: "/", data: make([]byte, 1<<20), version: -1}})
	}
	stalled := time.NewTimer(20 * opts.MinSessionTimeout)
	defer stalled.Stop()
	<-stalled.C
	close(l.stop)
	for range l.commits { // the disk is back
	}
	<-l.done
	if len(l.sessions.byID) != 1 {
		t.Error("the session expired")
	}
}
