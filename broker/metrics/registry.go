// Package metrics gathers the counters, gauges and histograms of all rooms on one Prometheus page.
//
// A room keeps its numbers in atomics of its own and tells the registry how to read them, so the hot path
// touches neither maps nor locks of this package. Names are Kafka's MBeans flattened,
// kafka_<domain>_<type>_<name> in lower case, as the usual JMX exporter rules make them (configuration.md 9);
// dashboards for Kafka then work as they are.
package metrics

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry is where a room registers its series. With gives a child for what lives shorter than the broker: a
// topic, a partition, a peer. Safe for concurrent use.
type Registry struct {
	page   *page
	labels []string // name, value, name, value, ... that every series of this registry carries
	own    struct {
		sync.Mutex
		keys []string // of the series registered here, for Close
	}
}

// New makes an empty registry with the Go runtime's and the process's own series.
func New() *Registry {
	p := &page{prometheus: prometheus.NewRegistry()}
	p.mu.series = map[string]series{}
	p.prometheus.MustRegister(p, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Registry{page: p}
}

// With gives a registry on the same page whose series all carry the labels, given as name, value, name, value.
func (r *Registry) With(labels ...string) *Registry {
	return &Registry{page: r.page, labels: slices.Concat(r.labels, labels)}
}

// Counter registers a number that only grows. read must not block.
func (r *Registry) Counter(name, help string, read func() int64) {
	r.add(name, help, func(d *prometheus.Desc) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(read()))
	})
}

// Gauge registers a number that goes up and down. read must not block.
func (r *Registry) Gauge(name, help string, read func() float64) {
	r.add(name, help, func(d *prometheus.Desc) prometheus.Metric {
		return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, read())
	})
}

// Histogram registers and returns a histogram; a name ending in ms holds milliseconds.
func (r *Registry) Histogram(name, help string) *Histogram {
	h := &Histogram{}
	r.add(name, help, h.metric)
	return h
}

// Close takes the series of this registry off the page; children made by With are closed by their own owners.
func (r *Registry) Close() {
	r.own.Lock()
	defer r.own.Unlock()
	r.page.remove(r.own.keys)
	r.own.keys = nil
}

// Handler serves the page in Prometheus's text format.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.page.prometheus, promhttp.HandlerOpts{})
}

// Gatherer gives the page's series to tests and tools.
func (r *Registry) Gatherer() prometheus.Gatherer { return r.page.prometheus }

func (r *Registry) add(name, help string, read func(*prometheus.Desc) prometheus.Metric) {
	labels := prometheus.Labels{}
	for i := 0; i+1 < len(r.labels); i += 2 {
		labels[r.labels[i]] = r.labels[i+1]
	}
	key := name + "\x00" + strings.Join(r.labels, "\x00")
	r.own.Lock()
	defer r.own.Unlock()
	r.own.keys = append(r.own.keys, key)
	r.page.put(key, series{prometheus.NewDesc(name, help, nil, labels), read})
}

// page is the one collector behind all registries. It describes nothing in advance, because Kafka's topic
// metrics appear both with and without a topic label, and come and go with their topics.
type page struct {
	prometheus *prometheus.Registry
	mu         struct {
		sync.Mutex
		series map[string]series // by name and labels; a later registration replaces an earlier one
	}
}

type series struct {
	desc *prometheus.Desc
	read func(*prometheus.Desc) prometheus.Metric
}

func (p *page) put(key string, s series) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.series[key] = s
}

func (p *page) remove(keys []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		delete(p.mu.series, key)
	}
}

// Describe implements prometheus.Collector; sending nothing makes the collector an unchecked one.
func (p *page) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. It reads outside the lock, so a slow reader holds up no
// registration.
func (p *page) Collect(out chan<- prometheus.Metric) {
	p.mu.Lock()
	all := make([]series, 0, len(p.mu.series))
	for _, s := range p.mu.series {
		all = append(all, s)
	}
	p.mu.Unlock()
	for _, s := range all {
		out <- s.read(s.desc)
	}
}
