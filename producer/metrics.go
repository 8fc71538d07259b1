package producer

import "github.com/rcrowley/go-metrics"

// Metrics are the figures sarama keeps about this producer, by its names: counts, rates a second over the last minute,
// means of histograms. After Close they are those of the end.
func (p *Producer) Metrics() map[string]float64 {
	p.mu.Lock()
	figures := p.mu.figures
	p.mu.Unlock()
	if figures != nil {
		return figures
	}
	values := make(map[string]float64)
	p.config.sarama.MetricRegistry.Each(func(name string, m any) {
		switch m := m.(type) {
		case metrics.Counter:
			values[name] = float64(m.Count())
		case metrics.Meter:
			values[name] = m.Rate1()
		case metrics.Histogram:
			values[name] = m.Mean()
		}
	})
	return values
}
