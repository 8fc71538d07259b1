package zkserver

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func TestASessionExpiresAtTheEndOfTheTickBehindItsTimeout(t *testing.T) {
	for _, tc := range []struct {
		name          string
		timeout       time.Duration
		touchedAtTick int64
		want          int64
	}{
		{"whole ticks", 4 * time.Second, 0, 3},
		{"a broken tick counts as whole", 4100 * time.Millisecond, 0, 4},
		{"a touch starts it anew", 4 * time.Second, 2, 5},
		{"a touch too late is none", 4 * time.Second, 3, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSessions(2*time.Second, time.Now())
			x := s.add(7, tc.timeout)
			for tick := int64(1); tick < 20; tick++ {
				if expired := s.advance(); slices.Contains(expired, x) {
					if tick != tc.want {
						t.Errorf("expired at tick %d, not %d", tick, tc.want)
					}
					return
				}
				if tick == tc.touchedAtTick {
					s.touch(x)
				}
			}
			t.Error("never expired")
		})
	}
}

func TestSessionsLeaveNothingBehind(t *testing.T) {
	s := newSessions(time.Second, time.Now())
	for range 100 {
		x := s.add(s.newID(), time.Minute)
		for range 5 {
			s.advance()
			s.touch(x)
		}
		s.remove(x)
	}
	if len(s.byID)+len(s.buckets) != 0 {
		t.Errorf("%d sessions and %d buckets remain", len(s.byID), len(s.buckets))
	}
}

func TestSessionIDsRiseAboveThoseThatWereLoaded(t *testing.T) {
	now := time.Now()
	s := newSessions(time.Second, now)
	later := newSessions(time.Second, now.Add(time.Hour)).newID()
	s.add(later, time.Second)
	if id := s.newID(); id <= later || id>>56 != 1 {
		t.Errorf("id %x behind %x", id, later)
	}
}

// The password was taken from a ZooKeeper 3.8.4: anybody can derive it, and tools do.
func TestPasswordsAreThoseOfZooKeeper(t *testing.T) {
	if got := fmt.Sprintf("%x", sessionPassword(0x10000334b370000)); got != "dbd52c26cc01b365b1d7e558f5247444" {
		t.Error(got)
	}
}

func TestASessionWithoutPingsExpiresAndItsClientIsTold(t *testing.T) {
	s := startServer(t, Options{TickTime: 50 * time.Millisecond})
	c := connectZK(t, s.Addr().String())
	lazy, err := dialRaw(s.Addr().String(), 100, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lazy.nc.Close()
	var e encoder
	scriptArgs{path: "/lazy", values: map[string][]string{"flags": {"ephemeral"}}}.encode(&e, opCreate, "")
	if r, err := lazy.call(opCreate, e.b); err != nil || r.code != ok {
		t.Fatal(r, err)
	}
	there, _, gone, err := c.ExistsW("/lazy")
	if err != nil || !there {
		t.Fatal(there, err)
	}
	if ev := <-gone; ev.Type != zk.EventNodeDeleted {
		t.Fatal(ev)
	}
	if _, err := lazy.recv(); err == nil {
		t.Error("the connection of an expired session lives")
	}
	again, err := dialRaw(s.Addr().String(), 100, lazy.id, lazy.password)
	if err != nil || again.id != 0 || again.timeout != 0 {
		t.Errorf("an expired session is taken up again: %+v, %v", again, err)
	}
	again.nc.Close()
}

func TestASecondConnectionTakesTheSessionFromTheFirst(t *testing.T) {
	s := startServer(t, Options{})
	first := mustRaw(t, s.Addr().String())
	second, err := dialRaw(s.Addr().String(), 10_000, first.id, first.password)
	if err != nil || second.id != first.id {
		t.Fatal(second, err)
	}
	defer second.nc.Close()
	if _, err := first.recv(); err == nil {
		t.Error("the first connection lives on")
	}
	if r, err := second.call(opPing, nil); err != nil || r.code != ok {
		t.Error(r, err)
	}
}
