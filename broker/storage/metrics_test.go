package storage

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/zurau/zurau/broker/metrics"
	"github.com/zurau/zurau/broker/topic"
)

func TestThePageShowsTheLogsAndTheirDirectories(t *testing.T) {
	_, m, l, _ := faulty(t, plain())
	page := metrics.New()
	m.Measure(page)
	later, err := m.Create(topic.Partition{Topic: "later", ID: 3}, topic.ID{})
	if err != nil {
		t.Fatal(err)
	}
	leaderAppend(t, l, batchOf(5, 1700000000000))
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	scrape := func() string {
		w := httptest.NewRecorder()
		page.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Body.String()
	}
	offline := `kafka_log_logmanager_logdirectoryoffline{logdirectory="` + l.Dir() + `"} `
	text := scrape()
	for _, line := range []string{
		`kafka_log_log_logendoffset{partition="0",topic="t"} 5`, `kafka_log_log_logstartoffset{partition="0",topic="t"} 0`,
		`kafka_log_log_numlogsegments{partition="3",topic="later"} 1`, `kafka_log_log_size{partition="3",topic="later"} 0`,
		`kafka_log_logflushstats_logflushrateandtimems_count 1`, `kafka_log_logmanager_offlinelogdirectorycount 0`, offline + "0",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if err := m.Delete(later.Partition()); err != nil {
		t.Fatal(err)
	}
	l.home.fail("a test", errCrashed)
	text = scrape()
	for _, line := range []string{`kafka_log_logmanager_offlinelogdirectorycount 1`, offline + "1"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("after a failure no line %s", line)
		}
	}
	if strings.Contains(text, `topic="later"`) {
		t.Error("a deleted log is still shown")
	}
}
