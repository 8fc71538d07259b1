package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zurau/zurau/broker/brokertest"
)

func TestAMeasurementSendsWhatItSays(t *testing.T) {
	cluster := brokertest.Start(t)
	bootstrap := strings.Join(cluster.Bootstrap(), ",")
	payloads := filepath.Join(t.TempDir(), "payloads")
	if err := os.WriteFile(payloads, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ flags, value string }{
		"records of a size":   {"--record-size 7", "^[A-Z]{7}$"},
		"records of a file":   {"--payload-file " + payloads, "^(one|two)$"},
		"with its own tables": {"--record-size 7 --print-metrics", "^[A-Z]{7}$"},
	} {
		t.Run(name, func(t *testing.T) {
			topic := strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "'", "")
			args := append([]string{"kafka-producer-perf-test", "--topic", topic, "--num-records", "30",
				"--producer-props", "bootstrap.servers=" + bootstrap, "--throughput", "-1"}, strings.Fields(c.flags)...)
			status, out, stderr := capture(args...)
			if status != 0 || !strings.Contains(out, "30 records sent, ") {
				t.Fatalf("status %d, %s%s", status, out, stderr)
			}
			if strings.Contains(c.flags, "metrics") != strings.Contains(out, "record-send-rate") {
				t.Errorf("the metrics:\n%s", out)
			}
			values := valuesOf(t, bootstrap, topic, 30)
			if i := slices.IndexFunc(values, func(v string) bool { return !regexp.MustCompile(c.value).MatchString(v) }); i >= 0 {
				t.Errorf("record %d is %q", i, values[i])
			}
		})
	}
}

// valuesOf reads the n records that partition 0 must hold, with our own tools.
func valuesOf(t *testing.T, bootstrap, topic string, n int) []string {
	t.Helper()
	_, end, stderr := capture("kafka-get-offsets", "--bootstrap-server", bootstrap, "--topic", topic)
	if want := fmt.Sprintf("%s:0:%d\n", topic, n); end != want {
		t.Fatalf("the end is %q, not %q: %s", end, want, stderr)
	}
	_, out, _ := capture("kafka-console-consumer", "--bootstrap-server", bootstrap, "--topic", topic,
		"--partition", "0", "--offset", "earliest", "--max-messages", strconv.Itoa(n))
	return strings.Fields(out)
}

func TestARateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &performanceRun{throughput: 100}
		start := time.Now()
		for n := range int64(30) {
			if err := r.throttle(t.Context(), start, n+1); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("30 records at 100 a second took %v", took)
		}
		r.throughput = -1
		if err := r.throttle(t.Context(), start, 1000); err != nil || time.Since(start) != 300*time.Millisecond {
			t.Errorf("without a limit it waited: %v", err)
		}
	})
}

func TestRatesAndLatenciesAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		s := newPerformanceStats(&out, progress{})
		for ms := range time.Duration(100) {
			now := time.Now()
			s.record(now.Add(-(ms+1)*time.Millisecond), now, 1<<20)
		}
		time.Sleep(reportEvery)
		s.record(time.Now(), time.Now(), 1<<20)
		s.finish()
		want := "101 records sent, 20.2 records/sec (20.20 MB/sec), 50.0 ms avg latency, 100.0 ms max latency.\n" +
			"101 records sent, 20.200000 records/sec (20.20 MB/sec), 50.00 ms avg latency, 100.00 ms max latency, " +
			"50 ms 50th, 95 ms 95th, 99 ms 99th, 100 ms 99.9th.\n"
		if out.String() != want {
			t.Errorf("%s", out.String())
		}
	})
}

func TestSizesThatAreNoneAreRefused(t *testing.T) {
	for size, want := range map[string]string{
		"-1":         "Exception in thread \"main\" java.lang.NegativeArraySizeException: -1\n",
		"9999999999": "could not convert '9999999999' to Integer",
	} {
		status, _, stderr := capture("kafka-producer-perf-test", "--topic", "t", "--num-records", "1", "--throughput", "-1",
			"--producer-props", "bootstrap.servers=127.0.0.1:1", "--record-size", size)
		if status != 1 || !strings.Contains(strings.Join(strings.Fields(stderr), " "), strings.TrimSpace(want)) {
			t.Errorf("%s: status %d, %s", size, status, stderr)
		}
	}
}

// silent is a producer whose broker does not answer before release is closed.
type silent struct{ release chan struct{} }

func (s silent) Close() error {
	<-s.release
	return nil
}

func TestAfterASignalASilentBrokerIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("terminated")
		ctx, cancel := context.WithCancelCause(t.Context())
		s := silent{make(chan struct{})}
		defer close(s.release)
		time.AfterFunc(time.Hour, func() { cancel(stop) })
		began := time.Now()
		err := closeProducer(ctx, s)
		if took := time.Since(began); !errors.Is(err, stop) || took != time.Hour+signalPatience {
			t.Errorf("%v after %v", err, took)
		}
	})
}
