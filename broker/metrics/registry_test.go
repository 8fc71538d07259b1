package metrics

import (
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scrape renders the series of a registry that begin with kafka_, without help and type lines.
func scrape(t *testing.T, r *Registry) []string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v:\n%s", w.Code, err, body)
	}
	var lines []string
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "kafka_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestAPageShowsWhatTheRoomsCount(t *testing.T) {
	r := New()
	var in atomic.Int64
	in.Store(3)
	r.Counter("kafka_server_brokertopicmetrics_messagesin_total", "Records appended.", in.Load)
	topic := r.With("topic", "t")
	topic.Counter("kafka_server_brokertopicmetrics_messagesin_total", "Records appended.", func() int64 { return 2 })
	topic.With("partition", "0").Gauge("kafka_log_log_size", "Bytes on disk.", func() float64 { return 1.5 })
	want := []string{
		`kafka_log_log_size{partition="0",topic="t"} 1.5`,
		`kafka_server_brokertopicmetrics_messagesin_total 3`,
		`kafka_server_brokertopicmetrics_messagesin_total{topic="t"} 2`,
	}
	if diff := cmp.Diff(want, scrape(t, r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	topic.Close()
	in.Add(1)
	want = []string{`kafka_log_log_size{partition="0",topic="t"} 1.5`, `kafka_server_brokertopicmetrics_messagesin_total 4`}
	if diff := cmp.Diff(want, scrape(t, r)); diff != "" {
		t.Errorf("after the topic is gone (-want +got):\n%s", diff)
	}
}

func TestALaterRegistrationReplacesAnEarlierOne(t *testing.T) {
	r := New()
	for _, v := range []int64{1, 2} {
		r.With("topic", "t").Counter("kafka_x_total", "x", func() int64 { return v })
	}
	if diff := cmp.Diff([]string{`kafka_x_total{topic="t"} 2`}, scrape(t, r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestThePageHasTheProcessAndTheRuntime(t *testing.T) {
	families, err := New().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range families {
		names[f.GetName()] = true
	}
	if !names["go_goroutines"] {
		t.Error("go_goroutines is missing")
	}
}

func TestSeriesComeAndGoWhileThePageIsRead(t *testing.T) {
	r := New()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 50 {
				own := r.With("topic", string(rune('a'+i)))
				own.Counter("kafka_x_total", "x", func() int64 { return 1 })
				own.Close()
			}
		})
	}
	for range 20 {
		if _, err := r.Gatherer().Gather(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if lines := scrape(t, r); len(lines) > 0 {
		t.Errorf("%q is left", lines)
	}
}
