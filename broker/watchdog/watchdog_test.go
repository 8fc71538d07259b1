package watchdog

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/zurau/zurau/zkmeta"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// serversVariable makes the test binary the watchdog.
const serversVariable = "WATCHDOG_TEST_SERVERS"

func TestMain(m *testing.M) {
	if servers := os.Getenv(serversVariable); servers != "" {
		if err := Run(os.Stdin, servers); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func session(t *testing.T, servers string) *zkmeta.Session {
	t.Helper()
	c, err := zkmeta.Connect(t.Context(), zkmeta.Options{ConnectString: servers, SessionTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s, err := c.AwaitSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheEndOfThePipeClosesTheLastSession(t *testing.T) {
	for _, c := range []struct {
		name         string
		tell         func(w *Watchdog, first, second *zkmeta.Session) error
		first, ended bool // whether the first, and the second session end
	}{
		{"one session", func(w *Watchdog, _, second *zkmeta.Session) error { return w.Tell(second.ID(), second.Password()) }, false, true},
		{"the last of two", func(w *Watchdog, first, second *zkmeta.Session) error {
			if err := w.Tell(first.ID(), first.Password()); err != nil {
				return err
			}
			return w.Tell(second.ID(), second.Password())
		}, false, true},
		{"none after a clean stop", func(w *Watchdog, _, second *zkmeta.Session) error {
			if err := w.Tell(second.ID(), second.Password()); err != nil {
				return err
			}
			return w.Tell(0, nil)
		}, false, false},
		{"none when none was told", func(*Watchdog, *zkmeta.Session, *zkmeta.Session) error { return nil }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			zk, err := zkserver.NewServer(zkserver.Options{Addr: "127.0.0.1:0"})
			if err != nil {
				t.Fatal(err)
			}
			if err := zk.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { zk.Close() })
			servers := zk.Addr().String()
			first, second := session(t, servers), session(t, servers)
			t.Setenv(serversVariable, servers)
			w, err := Start(os.Args[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := c.tell(w, first, second); err != nil {
				t.Fatal(err)
			}
			if lives(t, second) != true {
				t.Fatal("a session ended while the pipe was open")
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if lives(t, first) == c.first || lives(t, second) == c.ended {
				t.Errorf("the first session lives: %t, the second: %t", lives(t, first), lives(t, second))
			}
		})
	}
}

// lives asks the server, over the session itself.
func lives(t *testing.T, s *zkmeta.Session) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _, err := s.Get(ctx, "/zookeeper")
	return err == nil
}

func TestLinesThatAreNoSessionAreRefused(t *testing.T) {
	for _, text := range []string{"\n", "xyz 00\n", "0123456789abcdef zz\n", "0123456789abcdef0 00\n", strings.Repeat("f", 100) + "\n"} {
		if err := Run(strings.NewReader(text), "127.0.0.1:1"); err == nil {
			t.Errorf("%q is taken for a session", text)
		}
	}
}

func TestALineThatWasCutOffWasNeverTold(t *testing.T) {
	if err := Run(strings.NewReader("0123456789abcdef 00112233"), "127.0.0.1:1"); err != nil {
		t.Error(err)
	}
}

func TestANilWatchdogTakesEverything(t *testing.T) {
	var w *Watchdog
	if err := w.Tell(1, nil); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
