package wire

import (
	"sync/atomic"

	"github.com/zurau/zurau/broker/metrics"
)

// serverMetrics counts what belongs to no listener.
type serverMetrics struct {
	panics atomic.Int64 // requests whose handler panicked
}

// listenerMetrics counts the connections and bytes of one listener. The names are those of Kafka's
// socket-server-metrics, without the network processor, which we do not have.
type listenerMetrics struct {
	connections atomic.Int64 // now open
	accepted    atomic.Int64
	rejected    atomic.Int64 // closed at once: too many from one address
	refused     atomic.Int64 // closed after a bad request
	requests    atomic.Int64
	responses   atomic.Int64
	bytesIn     atomic.Int64
	bytesOut    atomic.Int64
}

// request counts a request of n bytes, its size field included.
func (m *listenerMetrics) request(n int) {
	m.requests.Add(1)
	m.bytesIn.Add(int64(n))
}

func (m *serverMetrics) register(r *metrics.Registry) {
	r.Counter("kafka_network_socketserver_requesthandlerpanics_total",
		"Requests whose handler panicked; their connections were closed.", m.panics.Load)
}

func (m *listenerMetrics) register(r *metrics.Registry) {
	const prefix = "kafka_server_socket_server_metrics_"
	r.Gauge(prefix+"connection_count", "Open connections.", func() float64 { return float64(m.connections.Load()) })
	r.Counter(prefix+"connection_creation_total", "Connections accepted.", m.accepted.Load)
	r.Counter(prefix+"connection_close_total", "Connections closed.", func() int64 {
		return m.accepted.Load() - m.connections.Load()
	})
	r.Counter(prefix+"connection_rejected_total", "Connections closed for too many from one address.", m.rejected.Load)
	r.Counter(prefix+"bad_request_total", "Connections closed after a bad request.", m.refused.Load)
	r.Counter(prefix+"request_total", "Requests read.", m.requests.Load)
	r.Counter(prefix+"response_total", "Responses sent.", m.responses.Load)
	r.Counter(prefix+"incoming_byte_total", "Bytes of requests read.", m.bytesIn.Load)
	r.Counter(prefix+"outgoing_byte_total", "Bytes of responses sent.", m.bytesOut.Load)
}
