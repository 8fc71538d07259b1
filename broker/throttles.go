package broker

import (
	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/quota"
)

// throttles are the bounds of this broker's replication, kept as the dynamic configuration has them.
type throttles struct{ leader, follower *quota.Replication }

func newThrottles(id int32, c *config.Broker) *throttles {
	samples, size := int(c.ReplicationQuotaSamples), c.ReplicationQuotaSampleSize
	return &throttles{quota.NewReplication(id, samples, size), quota.NewReplication(id, samples, size)}
}

func (t *throttles) setTopic(name string, c *config.Topic) {
	t.leader.SetTopic(name, c.LeaderThrottledReplicas)
	t.follower.SetTopic(name, c.FollowerThrottledReplicas)
}

func (t *throttles) setRates(c *config.Broker) {
	t.leader.SetRate(c.LeaderThrottledRate)
	t.follower.SetRate(c.FollowerThrottledRate)
}

func (t *throttles) measure(r *metrics.Registry) {
	r.Gauge("kafka_server_leaderreplication_byte_rate", "Bytes a second that leaders here send to throttled replicas.", t.leader.Rate)
	r.Gauge("kafka_server_followerreplication_byte_rate", "Bytes a second that throttled replicas here fetch.", t.follower.Rate)
}
