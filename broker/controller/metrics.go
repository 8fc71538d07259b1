package controller

import (
	"sync/atomic"

	"github.com/zurau/zurau/broker/metrics"
)

// numbers are what dashboards show of the controller. The loop writes them, scrapes read them.
type numbers struct {
	active            atomic.Bool
	topics            atomic.Int64
	partitions        atomic.Int64
	offlinePartitions atomic.Int64
	topicsToDelete    atomic.Int64
	misled            atomic.Int64
	elections         atomic.Int64
	uncleanElections  atomic.Int64
}

// register puts the numbers on the metrics page, under the names of Kafka's MBeans.
func (n *numbers) register(r *metrics.Registry, queue func() int) {
	gauge := func(name, help string, read func() int64) {
		r.Gauge("kafka_controller_"+name, help, func() float64 { return float64(read()) })
	}
	gauge("kafkacontroller_activecontrollercount", "1 on the broker that is the controller.", func() int64 {
		if n.active.Load() {
			return 1
		}
		return 0
	})
	gauge("kafkacontroller_globaltopiccount", "Topics of the cluster.", n.topics.Load)
	gauge("kafkacontroller_globalpartitioncount", "Partitions of the cluster.", n.partitions.Load)
	gauge("kafkacontroller_offlinepartitionscount", "Partitions without a living leader.", n.offlinePartitions.Load)
	gauge("kafkacontroller_topicstodeletecount", "Topics queued for deletion.", n.topicsToDelete.Load)
	gauge("kafkacontroller_preferredreplicaimbalancecount", "Partitions that their preferred replica does not lead.",
		n.misled.Load)
	gauge("controllereventmanager_eventqueuesize", "Events that wait for the controller.", func() int64 {
		return int64(queue())
	})
	r.Counter("kafka_controller_controllerstats_leaderelection_total", "Leaders elected.", n.elections.Load)
	r.Counter("kafka_controller_controllerstats_uncleanleaderelections_total", "Leaders elected from outside the ISR.",
		n.uncleanElections.Load)
}

// count takes the numbers of a term; nil is none.
func (n *numbers) count(t *term) {
	n.active.Store(t != nil)
	var topics, partitions, offline, doomed, misled int64
	if t != nil {
		t.recount = false
		topics, doomed = int64(len(t.cluster.topics)), int64(len(t.cluster.toBeDeleted))
		for name, s := range t.cluster.topics {
			partitions += int64(len(s.partitions))
			for _, p := range s.partitions {
				if t.cluster.isBeingDeleted(name) {
					continue
				}
				if p.state != onlinePartition {
					offline++
				}
				if len(p.replicas) > 0 && p.leadership != nil && p.leadership.Leader != p.replicas[0] {
					misled++
				}
			}
		}
	}
	n.topics.Store(topics)
	n.partitions.Store(partitions)
	n.offlinePartitions.Store(offline)
	n.topicsToDelete.Store(doomed)
	n.misled.Store(misled)
}
