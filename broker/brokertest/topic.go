package brokertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
)

// clusterTimeout bounds how long a cluster may take to do what it was asked for.
const clusterTimeout = 60 * time.Second

// CreateTopic makes a topic, with configs as "key=value", and waits until every partition has a leader and the full
// ISR.
func (c *Cluster) CreateTopic(name string, partitions, replicas int, configs ...string) {
	c.t.Helper()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(partitions), int16(replicas)
	for _, pair := range configs {
		key, value, _ := strings.Cut(pair, "=")
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = key, &value
		t.Configs = append(t.Configs, config)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis, req.Topics = 5, 20_000, append(req.Topics, t)
	c.await("the topic "+name+" is created", func(ctx context.Context) error {
		resp, err := c.toController(ctx, req)
		if err != nil {
			return err
		}
		if e := kerr.ForCode(resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode); e != nil && e != kerr.TopicAlreadyExists {
			return e
		}
		return nil
	})
	c.AwaitISR(name, replicas)
}

// AwaitISR waits until every partition of a topic has a leader and at least n members in its ISR, as every broker tells
// that is up and neither paused nor cut off.
func (c *Cluster) AwaitISR(topic string, n int) {
	c.t.Helper()
	c.await(fmt.Sprintf("every partition of %s has %d in-sync replicas", topic, n), func(ctx context.Context) error {
		for _, node := range c.brokers {
			if node.life == nil || node.silent {
				continue
			}
			if err := isrAtLeast(ctx, node.Addr(), topic, n); err != nil {
				return fmt.Errorf("broker %d says: %w", node.id, err)
			}
		}
		return nil
	})
}

func isrAtLeast(ctx context.Context, addr, topic string, n int) error {
	m, err := metadataFrom(ctx, addr, topic)
	if err != nil {
		return err
	}
	if e := kerr.ForCode(m.Topics[0].ErrorCode); e != nil {
		return e
	}
	for _, p := range m.Topics[0].Partitions {
		if p.Leader < 0 || len(p.ISR) < n {
			return fmt.Errorf("partition %d: leader %d, ISR %v", p.Partition, p.Leader, p.ISR)
		}
	}
	return nil
}

// Leader is the broker that leads a partition, as one of those tells that are up; it is waited for.
func (c *Cluster) Leader(topic string, partition int) (leader *Node) {
	c.t.Helper()
	c.await(fmt.Sprintf("%s-%d has a leader", topic, partition), func(ctx context.Context) error {
		m, err := metadataFrom(ctx, c.anyone(), topic)
		if err != nil {
			return err
		}
		for _, p := range m.Topics[0].Partitions {
			if int(p.Partition) == partition {
				leader = c.running(p.Leader)
			}
		}
		if leader == nil {
			return errors.New("none that is up")
		}
		return nil
	})
	return leader
}

// Controller is the broker that is controller, as one of those tells that are up; it is waited for.
func (c *Cluster) Controller() (controller *Node) {
	c.t.Helper()
	c.await("there is a controller", func(ctx context.Context) error {
		m, err := metadataFrom(ctx, c.anyone())
		if err != nil {
			return err
		}
		if controller = c.running(m.ControllerID); controller == nil {
			return errors.New("none that is up")
		}
		return nil
	})
	return controller
}

// running is the node with a broker id, nil if it is not up or there is none.
func (c *Cluster) running(id int32) *Node {
	if id < 0 || int(id) >= len(c.brokers) || c.brokers[id].life == nil {
		return nil
	}
	return c.brokers[id]
}

// anyone is the address of a broker that can answer, "" if there is none.
func (c *Cluster) anyone() string {
	for _, n := range c.brokers {
		if n.life != nil && !n.silent {
			return n.Addr()
		}
	}
	return ""
}

// toController asks the controller that one of the brokers knows.
func (c *Cluster) toController(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	m, err := metadataFrom(ctx, c.anyone())
	if err != nil {
		return nil, err
	}
	for _, b := range m.Brokers {
		if b.NodeID == m.ControllerID {
			return askOnce(ctx, fmt.Sprintf("%s:%d", b.Host, b.Port), req)
		}
	}
	return nil, errors.New("no controller is known")
}

// await asks again until check has nothing to say against; the end of the test comes first.
func (c *Cluster) await(what string, check func(ctx context.Context) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), clusterTimeout)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			c.t.Fatalf("%s: not within %v: %v", what, clusterTimeout, err)
		}
	}
}

// metadataFrom asks one broker for these topics; for none it tells brokers and controller.
func metadataFrom(ctx context.Context, addr string, topics ...string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.Topics = 9, []kmsg.MetadataRequestTopic{}
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	req.AllowAutoTopicCreation = false
	resp, err := askOnce(ctx, addr, req)
	if err != nil {
		return nil, err
	}
	return resp.(*kmsg.MetadataResponse), nil
}

// askOnce sends one request on a connection of its own.
func askOnce(ctx context.Context, addr string, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := wire.NewClient(wire.ClientOptions{ClientID: "brokertest", Timeout: startTimeout})
	defer client.Close()
	if err := client.Connect(ctx, addr); err != nil {
		return nil, err
	}
	return client.Do(ctx, req)
}
