package api

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/replica"
	"github.com/zurau/zurau/zkmeta"
)

// epochReader answers what /brokers/ids says, and counts how often it is asked.
type epochReader struct {
	epoch int64
	err   error
	asked int
}

func (r *epochReader) read(context.Context, int32) (int64, error) {
	r.asked++
	return r.epoch, r.err
}

func TestTheEpochOfAFollowerThatDoesNotTellIt(t *testing.T) {
	h := data(t, 1)
	registered := &epochReader{epoch: 40}
	h.FollowerEpoch = registered.read
	session := mustOpen(t, h.sessions, partitions(0), false)
	now := noon
	// next is the session's next request; it gives the epoch that goes with its positions.
	next := func() (epoch int64, soon bool) {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.ReplicaID = 12, 2
		f := fetching{h: h, req: req, session: session, now: now}
		f.learnFollowerEpoch(t.Context())
		return f.brokerEpoch, f.answerSoon
	}
	expect := func(what string, epoch int64, soon bool, asked int) {
		t.Helper()
		if e, s := next(); e != epoch || s != soon || registered.asked != asked {
			t.Errorf("%s: epoch %d, answered soon %t, read %d times; want %d, %t, %d", what, e, s, registered.asked, epoch, soon, asked)
		}
	}
	registered.err = zkmeta.ErrNoNode
	expect("it is not registered", replica.EpochPending, false, 1)
	expect("it is not asked for again at once", replica.EpochPending, false, 1)
	registered.err = nil
	now = now.Add(followerEpochRetry)
	expect("what is read goes with the next request", replica.EpochPending, true, 2)
	expect("the next request", 40, false, 2)
	registered.epoch = 50
	h.Replicas.LeaderAndIsr(kmsg.NewPtrLeaderAndISRRequest())
	expect("behind a LeaderAndIsr it is read again", 40, false, 3)
	expect("and counts from then on", 50, false, 3)
}

func TestWhoseEpochIsNotLookedUp(t *testing.T) {
	h := data(t, 1)
	registered := &epochReader{epoch: 40}
	h.FollowerEpoch = registered.read
	for _, c := range []struct {
		name    string
		version int16
		replica int32
		told    int64 // from version 15 on
		session bool
		want    int64
	}{
		{"a follower that tells it", 15, 2, 7, true, 7},
		{"a follower that is not registered yet and says so", 15, 2, -1, true, replica.EpochUnknown},
		{"a consumer", 12, -1, 0, true, replica.EpochUnknown},
		{"a follower without a session", 12, 2, 0, false, replica.EpochUnknown},
	} {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.ReplicaID, req.ReplicaState.Epoch = c.version, c.replica, c.told
		f := fetching{h: h, req: req, now: time.Now()}
		if c.session {
			f.session = mustOpen(t, h.sessions, partitions(0), false)
		}
		if f.learnFollowerEpoch(t.Context()); f.brokerEpoch != c.want || registered.asked != 0 {
			t.Errorf("%s: epoch %d, read %d times", c.name, f.brokerEpoch, registered.asked)
		}
	}
}
