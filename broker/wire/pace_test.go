package wire

import (
	"context"
	"testing"
	"time"
)

func TestAPaceLetsItsWindowInAtOnceAndThenKeepsItsRate(t *testing.T) {
	var p pace
	p.limit(10)
	now := time.Unix(1000, 0)
	take := func(n int) (last time.Duration) {
		for range n {
			last = p.take(now)
		}
		return last
	}
	for _, step := range []struct {
		name string
		n    int
		want time.Duration // of the last of n
		rest time.Duration // until the next step
	}{
		{"a burst of ten seconds' worth", 101, 0, 0},
		{"the next comes too early", 1, 100 * time.Millisecond, 0},
		{"and those behind it more so", 5, 600 * time.Millisecond, time.Second},
		{"after a second those of a second are free", 4, 0, 0},
		{"and no more", 1, 100 * time.Millisecond, time.Hour},
		{"a quiet hour allows no larger burst", 102, 100 * time.Millisecond, 0},
	} {
		if got := take(step.n); got != step.want {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
		now = now.Add(step.rest)
	}
	p.limit(0)
	now = now.Add(time.Hour)
	if got := take(100000); got != 0 {
		t.Errorf("without a limit: %v", got)
	}
}

// burst is what a rate of one a second lets in at once.
const burst = int(paceWindow/time.Second) + 1

// served opens n connections and waits until each has been answered.
func served(t *testing.T, s *Server, n int) {
	t.Helper()
	for range n {
		c := dial(t, s)
		c.request(metadataRequest(1), 1)
		c.receive()
	}
}

func TestConnectionsThatComeTooFastAreTakenInLater(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*ServerOptions)
		slow   bool
	}{
		{"for the whole server", func(o *ServerOptions) { o.MaxCreationRate = 1 }, true},
		{"for one listener", func(o *ServerOptions) { o.Listeners[0].CreationRate = 1 }, true},
		{"for a listener that is not the brokers' alone", func(o *ServerOptions) {
			o.MaxCreationRate, o.InterBrokerListener = 1, "PLAINTEXT"
		}, true},
		{"not for the brokers' own listener", func(o *ServerOptions) {
			o.MaxCreationRate, o.InterBrokerListener = 1, "PLAINTEXT"
			o.Listeners = append(o.Listeners, Listener{Name: "CLIENTS", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"})
		}, false},
		{"but for that listener's own rate", func(o *ServerOptions) {
			o.Listeners[0].CreationRate, o.InterBrokerListener = 1, "PLAINTEXT"
			o.Listeners = append(o.Listeners, Listener{Name: "CLIENTS", SecurityProtocol: "PLAINTEXT", Host: "127.0.0.1"})
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			s := startServer(t, echo, test.change)
			n := burst + 1
			if !test.slow {
				n = 3 * burst // which would take far longer than any machine needs for them
			}
			served(t, s, n)
			if took := time.Since(begin); test.slow != (took >= time.Second) && (test.slow || took > within) {
				t.Errorf("%d connections took %v", n, took)
			}
		})
	}
}

func TestAStopDoesNotWaitForConnectionsThatCameTooFast(t *testing.T) {
	s := startServer(t, echo, func(o *ServerOptions) { o.MaxCreationRate = 1 })
	served(t, s, burst)
	for range 20 {
		dial(t, s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	begin := time.Now()
	if err := s.Stop(ctx); err != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestLimitsChangeWhileTheServerRuns(t *testing.T) {
	limits := DefaultServerOptions().Limits
	limits.MaxConnections = 1
	s := startServer(t, echo, func(o *ServerOptions) { o.Limits = limits })
	served(t, s, 1)
	second := dial(t, s)
	second.request(metadataRequest(1), 2)
	_ = second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := second.Read(make([]byte, 1)); n != 0 {
		t.Fatal("a second connection was served beyond max.connections")
	}
	_ = second.SetReadDeadline(time.Now().Add(within))
	limits.MaxConnections, limits.MaxConnectionsPerIP = 10, 2
	s.SetLimits(limits)
	second.receive() // who waited comes in, without anybody leaving
	dial(t, s).expectClosed()
	limits.MaxConnectionsPerIPOverrides = map[string]int{"127.0.0.1": 3}
	s.SetLimits(limits)
	served(t, s, 1)
	limits.MaxConnections, limits.MaxCreationRate = 100, 1
	limits.MaxConnectionsPerIPOverrides = nil
	limits.MaxConnectionsPerIP = 100
	s.SetLimits(limits)
	begin := time.Now()
	served(t, s, burst+1)
	if took := time.Since(begin); took < time.Second {
		t.Errorf("%d connections at one a second took %v", burst+1, took)
	}
}
