package controller

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// churned is one topic of a churn, with what must be true of it. It belongs to one goroutine.
type churned struct {
	*churn
	name   string
	random *rand.Rand

	exists     bool
	id         topic.ID
	partitions int32
	// mayBe are the assignments of each partition: the last acknowledged one, and later ones nobody answered for.
	mayBe map[int32][][]int32
}

// step does one thing to the topic.
func (c *churned) step() {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	c.asked.add()
	switch n := c.random.IntN(10); {
	case !c.exists:
		c.create(ctx)
	case n == 0:
		c.delete(ctx)
	case n <= 2:
		c.grow(ctx)
	case n <= 6:
		c.reassign(ctx)
	default:
		c.elect(ctx)
	}
}

func (c *churned) replicas() []int32 {
	all := []int32{1, 2, 3}
	c.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:2+c.random.IntN(2)]
}

func (c *churned) create(ctx context.Context) {
	c.id, c.mayBe = topic.NewID(), map[int32][][]int32{}
	a := zkmeta.TopicAssignment{ID: c.id, Partitions: make(map[int32][]int32)}
	for c.partitions = range int32(3) {
		a.Partitions[c.partitions] = c.replicas()
		c.mayBe[c.partitions] = [][]int32{a.Partitions[c.partitions]}
	}
	c.partitions = 3
	if err := c.tool.Session().CreateTopic(ctx, c.name, nil, a); err != nil {
		c.Errorf("create %s: %v", c.name, err)
		return
	}
	c.exists = true
	c.acked.add()
	c.waits("has leaders", func() error { return c.led(ctx) })
}

// delete asks for the end of the topic, and waits for it: its name is needed again.
func (c *churned) delete(ctx context.Context) {
	if err := c.tool.Session().MarkTopicDeleted(ctx, c.name); err != nil {
		c.Errorf("delete %s: %v", c.name, err)
		return
	}
	c.exists = false
	c.acked.add()
	c.waits("is deleted", func() error { return c.gone(ctx) })
}

func (c *churned) grow(ctx context.Context) {
	a, err := c.tool.Session().ReadTopic(ctx, c.name)
	if err != nil || len(a.Adding)+len(a.Removing) > 0 || len(a.Partitions) != int(c.partitions) {
		return
	}
	a.Partitions[c.partitions] = c.replicas()
	if err := c.tool.Session().AddPartitions(ctx, c.name, a); err != nil {
		return // the controller was quicker: refused
	}
	c.mayBe[c.partitions] = [][]int32{a.Partitions[c.partitions]}
	c.partitions++
	c.acked.add()
}

func (c *churned) reassign(ctx context.Context) {
	controller := c.active()
	if controller == nil {
		return
	}
	id, target := c.random.Int32N(c.partitions), c.replicas()
	req := &kmsg.AlterPartitionAssignmentsRequest{Topics: []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: c.name,
		Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: id, Replicas: target}}}}}
	resp := controller.c.AlterPartitionReassignments(ctx, req)
	if resp.ErrorCode == 0 && resp.Topics[0].Partitions[0].ErrorCode == 0 {
		c.mayBe[id] = [][]int32{target}
		c.acked.add()
	} else {
		c.mayBe[id] = append(c.mayBe[id], target)
	}
}

func (c *churned) elect(ctx context.Context) {
	controller := c.active()
	if controller == nil {
		return
	}
	if results, ok := controller.c.ElectLeaders(ctx, partitionsOf(c.name, c.partitions), false); ok {
		c.acked.add()
		for tp, e := range results {
			if e.Err == nil && e.Leader == noLeader {
				c.Errorf("%s was elected nobody", tp)
			}
		}
	}
}

// waits waits until ok returns nil.
func (c *churned) waits(what string, ok func() error) {
	var last error
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); time.Now().Before(end); <-tick.C {
		if last = ok(); last == nil {
			return
		}
	}
	c.Errorf("%s never %s: %v", c.name, what, last)
}

func (c *churned) gone(ctx context.Context) error {
	for _, path := range []string{zkmeta.TopicPath(c.name), "/config/topics/" + c.name, zkmeta.DeleteTopicPath(c.name)} {
		if _, err := c.tool.Session().Exists(ctx, path); !errors.Is(err, zkmeta.ErrNoNode) {
			return fmt.Errorf("%s is still there: %v", path, err)
		}
	}
	return nil
}

// led tells whether every partition has a leader in its ISR, and all replicas are in it.
func (c *churned) led(ctx context.Context) error {
	found, err := c.tool.Session().ReadStates(ctx, partitionsOf(c.name, c.partitions))
	if err != nil || len(found) != int(c.partitions) {
		return fmt.Errorf("%d partitions of %d, %w", len(found), c.partitions, err)
	}
	for tp, st := range found {
		if !slices.Contains(st.ISR, st.Leader) {
			return fmt.Errorf("%s is %+v", tp, st)
		}
	}
	return nil
}

// settles checks that what was acknowledged is true, and what was not, wholly true or wholly false.
func (c *churned) settles() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	if !c.exists {
		c.waits("is gone", func() error { return c.gone(ctx) })
		return
	}
	c.waits("settles", func() error {
		c.catchUp()
		a, err := c.tool.Session().ReadTopic(ctx, c.name)
		if err != nil {
			return err
		}
		if a.ID != c.id || len(a.Partitions) != int(c.partitions) || len(a.Adding)+len(a.Removing) > 0 {
			return fmt.Errorf("%+v, want the id %s and %d partitions", a, c.id, c.partitions)
		}
		found, err := c.tool.Session().ReadStates(ctx, partitionsOf(c.name, c.partitions))
		if err != nil {
			return err
		}
		for tp, st := range found {
			replicas := a.Partitions[tp.ID]
			if !slices.ContainsFunc(c.mayBe[tp.ID], func(may []int32) bool { return slices.Equal(may, replicas) }) {
				return fmt.Errorf("%s is on %v, which nobody asked for: %v", tp, replicas, c.mayBe[tp.ID])
			}
			isr := slices.Clone(st.ISR)
			slices.Sort(isr)
			if all := slices.Sorted(slices.Values(replicas)); !slices.Equal(isr, all) {
				return fmt.Errorf("%s has the ISR %v of %v", tp, isr, all)
			}
		}
		return c.led(ctx)
	})
}
