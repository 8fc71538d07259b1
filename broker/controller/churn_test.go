package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// TestAControllerDiesAgainAndAgain kills whichever broker is the controller at random moments while topics are created,
// grown, moved, led by others and deleted. What was acknowledged is true in the end, no leader epoch has two leaders,
// and no broker takes orders of an older controller for new ones.
func TestAControllerDiesAgainAndAgain(t *testing.T) {
	kills := 5
	if torture() {
		kills = 50
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := newChurn(t)
	stop := make(chan struct{})
	var working sync.WaitGroup
	topics := make([]*churned, 3)
	for i := range topics {
		topics[i] = &churned{churn: c, name: fmt.Sprintf("t%d", i), random: rand.New(rand.NewPCG(seed, uint64(i)))}
		working.Go(func() {
			for !isClosed(stop) {
				topics[i].step()
			}
		})
	}
	ended := make(chan struct{}) // later than stop: a deletion waits for a reassignment, and that for its followers
	var following sync.WaitGroup
	following.Go(func() { c.follow(ended) })
	random := rand.New(rand.NewPCG(seed, 99))
	for range kills {
		c.killController(time.Duration(random.IntN(400)) * time.Millisecond)
	}
	close(stop)
	working.Wait()
	close(ended)
	following.Wait()
	for _, one := range topics {
		one.settles()
	}
	t.Logf("%d kills, %d operations asked for, %d acknowledged, controller epoch %d", kills, c.asked.value(), c.acked.value(), c.epoch())
}

// churn is a cluster of three whose controllers do not live long.
type churn struct {
	*testing.T
	server       *zkserver.Server
	tool         *zkmeta.Client // nobody kills it
	asked, acked counter
	mu           struct {
		sync.Mutex
		peers   []*peer
		cutters []*cutter
		leaders map[string]int32 // by topic id, partition and leader epoch
	}
}

type counter struct {
	sync.Mutex
	n int
}

func (c *counter) add() {
	c.Lock()
	defer c.Unlock()
	c.n++
}

func (c *counter) value() int {
	c.Lock()
	defer c.Unlock()
	return c.n
}

func isClosed(stop chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

func newChurn(t *testing.T) *churn {
	c := &churn{T: t, server: startZooKeeper(t, zkserver.Options{Addr: "127.0.0.1:0", TickTime: 250 * time.Millisecond})}
	t.Cleanup(func() { c.server.Close() })
	var err error
	c.tool, err = zkmeta.Connect(context.Background(), zkmeta.Options{ConnectString: c.server.Addr().String(), SessionTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.tool.Close)
	c.mu.leaders = make(map[string]int32)
	c.mu.peers, c.mu.cutters = make([]*peer, 3), make([]*cutter, 3)
	for i := range 3 {
		c.start(i)
	}
	return c
}

// start starts a broker whose connection to ZooKeeper can be cut.
func (c *churn) start(i int) {
	quit := make(chan struct{})
	c.Cleanup(func() { close(quit) }) // after the listener, which must not wait for a reader
	cut := newCutter(c.T, c.server.Addr().String())
	p := newPeer(c.T, cut.addr(), int32(i+1), 2*time.Second)
	go func() {
		for {
			select {
			case h := <-p.got:
				c.check(h.Request)
			case <-quit:
				return
			}
		}
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.peers[i], c.mu.cutters[i] = p, cut
}

// check looks at every order of every controller: a leader epoch has one leader, who is in an ISR that is not empty.
func (c *churn) check(req kmsg.Request) {
	lisr, ok := req.(*kmsg.LeaderAndISRRequest)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rt := range lisr.TopicStates {
		for _, rp := range rt.PartitionStates {
			key := fmt.Sprintf("%x-%d at leader epoch %d", rt.TopicID, rp.Partition, rp.LeaderEpoch)
			if other, known := c.mu.leaders[key]; known && other != rp.Leader {
				c.Errorf("%s %s has the leaders %d and %d", rt.Topic, key, other, rp.Leader)
			}
			c.mu.leaders[key] = rp.Leader
			if rp.Leader != noLeader && !slices.Contains(rp.ISR, rp.Leader) || len(rp.ISR) == 0 {
				c.Errorf("%s %s is led by %d with the ISR %v", rt.Topic, key, rp.Leader, rp.ISR)
			}
		}
	}
}

func (c *churn) peers() []*peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.peers)
}

// active is the controller, nil while there is none.
func (c *churn) active() *peer {
	peers := c.peers()
	if i := slices.IndexFunc(peers, func(p *peer) bool { return p.c.IsActive() }); i >= 0 {
		return peers[i]
	}
	return nil
}

func (c *churn) epoch() int32 {
	if p := c.active(); p != nil {
		return p.c.Epoch()
	}
	return 0
}

// killController waits for a controller, and a while, and kills it. Its broker is started again at once.
func (c *churn) killController(after time.Duration) {
	var victim *peer
	until(c.T, "somebody is the controller", func() bool { victim = c.active(); return victim != nil })
	<-time.After(after) // the random moment is what is tested
	i := int(victim.id) - 1
	c.mu.Lock()
	cut := c.mu.cutters[i]
	c.mu.Unlock()
	s := victim.zk.Session()
	cut.kill()
	if s != nil {
		if err := zkmeta.CloseSession(context.Background(), c.server.Addr().String(), s.ID(), s.Password()); err != nil {
			c.Fatal(err)
		}
	}
	c.start(i)
	victim.end()
}

// follow has every follower that lives catch up at once, until stop.
func (c *churn) follow(stop chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !isClosed(stop) {
		c.catchUp()
		<-tick.C
	}
}

func (c *churn) catchUp() {
	controller := c.active()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	names, err := c.tool.Session().Topics(ctx)
	brokers, err2 := c.tool.Session().Brokers(ctx)
	topics, err3 := c.tool.Session().ReadTopics(ctx, names)
	if controller == nil || errors.Join(err, err2, err3) != nil {
		return
	}
	for name, a := range topics {
		found, err := c.tool.Session().ReadStates(ctx, partitionsOf(name, int32(len(a.Partitions))))
		if err != nil {
			return
		}
		for tp, st := range found {
			isr := slices.Clone(st.ISR)
			for _, id := range a.Partitions[tp.ID] {
				if _, lives := brokers[id]; lives && !slices.Contains(isr, id) {
					isr = append(isr, id)
				}
			}
			if leader, lives := brokers[st.Leader]; lives && len(isr) > len(st.ISR) {
				controller.c.AlterPartition(ctx, growth(tp, st, leader, isr))
			}
		}
	}
}
