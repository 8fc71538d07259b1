package replica

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/storage"
	"github.com/zurau/zurau/broker/topic"
)

// controllerScript answers AlterPartition as a test says; a request it has no answer for waits until there is one.
type controllerScript struct {
	asked  chan *kmsg.AlterPartitionRequest
	answer chan func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error)
}

func newControllerScript(m *Manager) *controllerScript {
	s := &controllerScript{make(chan *kmsg.AlterPartitionRequest, 100),
		make(chan func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error), 100)}
	m.AlterPartition = func(ctx context.Context, req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
		req.Version = 3
		s.asked <- req
		select {
		case a := <-s.answer:
			return a(req)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s
}

// says answers every partition of the next request with this code, or grants what it asks for.
func (s *controllerScript) says(code int16) {
	s.answer <- func(req *kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
		resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
		for _, t := range req.Topics {
			out := kmsg.AlterPartitionResponseTopic{TopidID: t.TopicID}
			for _, p := range t.Partitions {
				a := kmsg.NewAlterPartitionResponseTopicPartition()
				a.Partition, a.ErrorCode = p.Partition, code
				if code == 0 {
					a.LeaderID, a.LeaderEpoch, a.ISR, a.PartitionEpoch = req.BrokerID, p.LeaderEpoch, p.NewISR, p.PartitionEpoch+1
				}
				out.Partitions = append(out.Partitions, a)
			}
			resp.Topics = append(resp.Topics, out)
		}
		return resp, nil
	}
}

func (s *controllerScript) next(t *testing.T) []int32 {
	t.Helper()
	select {
	case req := <-s.asked:
		return req.Topics[0].Partitions[0].NewISR
	case <-time.After(10 * time.Second):
		t.Fatal("the controller was not asked")
		return nil
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func appendOne(t *testing.T, p *Partition) {
	t.Helper()
	if _, err := p.AppendAsLeader(batch(t, "a"), 1, storage.AppendOptions{Origin: storage.Client, ProduceVersion: 9}); err != nil {
		t.Fatal(err)
	}
}

func TestAFollowerThatHasEverythingJoinsTheISR(t *testing.T) {
	m := newManager(t, nil)
	controller := newControllerScript(m)
	m.Start()
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self, 2}, topic.NewID()})
	appendOne(t, p)
	follow(t, p, 0)
	if len(controller.asked) != 0 || p.log.View().HighWatermark != 1 {
		t.Fatalf("a follower that lacks a record: asked %d times, %+v", len(controller.asked), p.log.View())
	}
	follow(t, p, 1)
	if isr := controller.next(t); !slices.Equal(isr, []int32{self, 2}) {
		t.Fatalf("asked for %v", isr)
	}
	appendOne(t, p)
	if hw := p.log.View().HighWatermark; hw != 1 {
		t.Errorf("while the answer is on its way the high watermark waits for the new member; it stands at %d", hw)
	}
	controller.says(0)
	eventually(t, "the ISR has the new member", func() bool { return len(p.role.Load().isr) == 2 })
	if r := p.role.Load(); r.partitionEpoch != 1 || r.proposed != nil {
		t.Errorf("%+v", r)
	}
	follow(t, p, 2)
	if hw := p.log.View().HighWatermark; hw != 2 {
		t.Errorf("high watermark %d, want 2", hw)
	}
}

func TestAMemberThatIsBehindForTooLongLeavesTheISR(t *testing.T) {
	m := newManager(t, nil)
	m.ReplicaLagTimeMax = 20 * time.Millisecond
	controller := newControllerScript(m)
	m.Start()
	p := mustLead(t, m, state{self, 0, []int32{self, 2}, []int32{self, 2}, topic.NewID()})
	appendOne(t, p)
	follow(t, p, 0)
	if isr := controller.next(t); !slices.Equal(isr, []int32{self}) {
		t.Fatalf("asked for %v", isr)
	}
	if hw := p.log.View().HighWatermark; hw != 0 {
		t.Errorf("nobody has confirmed the smaller ISR, and the high watermark moved to %d", hw)
	}
	controller.says(kerr.NotController.Code)
	if isr := controller.next(t); !slices.Equal(isr, []int32{self}) {
		t.Fatalf("asked once more for %v", isr)
	}
	controller.answer <- func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
		return nil, errors.New("the connection is gone")
	}
	controller.next(t)
	controller.says(0)
	eventually(t, "the high watermark passes", func() bool { return p.log.View().HighWatermark == 1 })
	if r := p.role.Load(); !slices.Equal(r.isr, []int32{self}) {
		t.Errorf("ISR %v", r.isr)
	}
}

func TestWhatBecomesOfAProposalThatIsNotTaken(t *testing.T) {
	for _, c := range []struct {
		name    string
		code    int16
		pending bool // the larger set counts until LeaderAndIsr says what holds
	}{
		{"an ineligible member: back to the ISR there was", kerr.IneligibleReplica.Code, false},
		{"the same by its older name", kerr.OperationNotAttempted.Code, false},
		{"a leader epoch that is over", kerr.FencedLeaderEpoch.Code, true},
		{"a partition epoch that is over", kerr.InvalidUpdateVersion.Code, true},
		{"a topic nobody knows", kerr.UnknownTopicID.Code, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newManager(t, nil)
			controller := newControllerScript(m)
			m.Start()
			p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self, 2}, topic.NewID()})
			controller.says(c.code)
			follow(t, p, 0)
			controller.next(t)
			if !c.pending {
				eventually(t, "the proposal is dropped", func() bool { return p.role.Load().proposed == nil })
				return
			}
			if len(p.role.Load().maximalISR()) != 2 {
				t.Error("the new member does not count")
			}
			mustLead(t, m, state{self, 1, []int32{self}, []int32{self, 2}, topic.ID{}})
			if r := p.role.Load(); r.proposed != nil {
				t.Errorf("LeaderAndIsr has not settled it: %v", r.proposed)
			}
		})
	}
}

// A follower caught up, was restarted without its data, and fetches again while the proposal is still asked for: what is
// asked once more names the life that had caught up (KIP-903; failures.md A9).
func TestAProposalThatIsAskedAgainNamesTheLifeThatCaughtUp(t *testing.T) {
	m := newManager(t, nil)
	controller := newControllerScript(m)
	m.Start()
	p := mustLead(t, m, state{self, 0, []int32{self}, []int32{self, 2}, topic.NewID()})
	appendOne(t, p)
	fetch := func(brokerEpoch, offset int64) {
		t.Helper()
		want := []Position{{Partition: p, Offset: offset, MaxBytes: 1000, LeaderEpoch: -1, LastFetchedEpoch: -1}}
		out := make([]Fetched, 1)
		m.Fetch(t.Context(), Reader{ReplicaID: 2, BrokerEpoch: brokerEpoch, MaxBytes: 1000}, want, out)
		if release(out); out[0].Err != nil {
			t.Fatal(out[0].Err)
		}
	}
	epochs := func() []int64 {
		t.Helper()
		select {
		case req := <-controller.asked:
			var all []int64
			for _, member := range req.Topics[0].Partitions[0].NewEpochISR {
				all = append(all, member.BrokerEpoch)
			}
			return all
		case <-time.After(10 * time.Second):
			t.Fatal("the controller was not asked")
			return nil
		}
	}
	fetch(EpochPending, 1)
	fetch(71, 1) // only now it is known who caught up
	if got := epochs(); !slices.Equal(got, []int64{EpochUnknown, 71}) {
		t.Fatalf("broker epochs %d", got)
	}
	fetch(99, 0) // another life, with nothing
	controller.answer <- func(*kmsg.AlterPartitionRequest) (*kmsg.AlterPartitionResponse, error) {
		return nil, errors.New("the answer is lost")
	}
	if got := epochs(); !slices.Equal(got, []int64{EpochUnknown, 71}) {
		t.Errorf("asked again with broker epochs %d", got)
	}
	controller.says(kerr.IneligibleReplica.Code)
	eventually(t, "the proposal is dropped", func() bool { return p.role.Load().proposed == nil })
}
