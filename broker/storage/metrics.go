package storage

import (
	"strconv"

	"github.com/zurau/zurau/broker/metrics"
)

// Measure puts the Manager's numbers and those of its logs on the metrics page, under the names of Kafka's
// MBeans. Call it once, after Load and before Start.
func (m *Manager) Measure(r *metrics.Registry) {
	r.Gauge("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that have failed.", func() float64 {
		return float64(len(m.OfflineDirs()))
	})
	flushes := r.Histogram("kafka_log_logflushstats_logflushrateandtimems", "Duration of the flushes of logs, ms.")
	for _, d := range m.dirs {
		d.flushes.Store(flushes)
		r.With("logdirectory", d.path).Gauge("kafka_log_logmanager_logdirectoryoffline", "1 when the directory has failed.",
			func() float64 {
				if d.failed() != nil {
					return 1
				}
				return 0
			})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.page = r
	for _, l := range m.mu.logs {
		l.measure(r)
	}
}

// measure puts one log on the page; the Manager's lock is held. The numbers are read without the log's.
func (l *Log) measure(page *metrics.Registry) {
	if page == nil {
		return
	}
	l.series = page.With("topic", l.partition.Topic, "partition", strconv.Itoa(int(l.partition.ID)))
	gauge := func(name, help string, read func() int64) {
		l.series.Gauge("kafka_log_log_"+name, help, func() float64 { return float64(read()) })
	}
	gauge("size", "Bytes of all segments.", l.SizeBytes)
	gauge("numlogsegments", "Segments of the log.", func() int64 { return int64(len(l.state.load().segments)) })
	gauge("logstartoffset", "The first offset that can be read.", func() int64 { return l.View().LogStartOffset })
	gauge("logendoffset", "The next offset to be written.", func() int64 { return l.View().LogEndOffset })
}

// unmeasure takes a log off the page; the Manager's lock is held.
func (l *Log) unmeasure() {
	if l.series != nil {
		l.series.Close()
	}
}
