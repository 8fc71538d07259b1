package brokertest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// dialAll opens n connections to a broker; they end with the test.
func dialAll(t *testing.T, addr string, n int) []net.Conn {
	t.Helper()
	all := make([]net.Conn, n)
	for i := range all {
		c, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.EMFILE) {
			t.Skipf("only %d connections are allowed to a process here: ulimit -n", i)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		all[i] = c
	}
	return all
}

// openFiles counts the descriptors of a process, -1 where the system does not tell.
func openFiles(pid int) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return -1
	}
	return len(entries)
}

// slowness is how the slow clients send: a byte a second, or as often as a test has time for.
func slowness(t *testing.T) (pause time.Duration, bytes int) {
	if n := kills(t); n > 3 { // the long variant
		return time.Second, n
	}
	return 20 * time.Millisecond, 50
}

// Clients that say nothing, or a byte now and then, cost a little memory each and nobody else's time, and when
// connections.max.idle.ms is over they are gone.
func TestSlowAndSilentClientsAreCheapAndInNobodysWay(t *testing.T) {
	const silent, slow, idle = 2000, 100, 4 * time.Second
	b := startChild(t, map[string]string{"connections.max.idle.ms": strconv.FormatInt(idle.Milliseconds(), 10)})
	normal := startPulse(t, b.addr)
	files := openFiles(b.PID())
	m := watchMemory(t, b.Node)
	began := time.Now()
	quiet := dialAll(t, b.addr, silent)
	normal.await(5)
	t.Logf("%d silent connections after %v: RssAnon %.1f MiB", silent, time.Since(began).Round(time.Millisecond),
		float64(rssAnon(b.PID()))/(1<<20))

	// Each announces 1 MiB and sends it a byte at a time.
	loris := dialAll(t, b.addr, slow)
	request := join(i32(1<<20), headerOf(0, 8, false), make([]byte, 100))
	pause, bytes := slowness(t)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range bytes {
		for _, c := range loris {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(request[i : i+1]); err != nil && i < 4 {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
		<-tick.C
	}
	normal.await(20)
	m.check(t, memoryBound)

	for _, c := range append(quiet, loris...) {
		_ = c.SetReadDeadline(began.Add(idle + 20*time.Second))
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("an idle connection: %d bytes, %v; want its end", n, err)
		}
	}
	t.Logf("the last one was gone after %v", time.Since(began).Round(time.Millisecond))
	eventually(t, "the descriptors are as many as before", func() error {
		if now := openFiles(b.PID()); now > files+3 {
			return fmt.Errorf("%d, were %d", now, files)
		}
		return nil
	})
	normal.await(5)
	if strings.Contains(b.Log(), "panic") {
		t.Error("the broker's log speaks of a panic")
	}
}

// A client that asks and asks and never reads an answer is held up by itself alone.
func TestAClientThatReadsNothingHoldsUpItselfAlone(t *testing.T) {
	b := startChild(t, nil)
	normal := startPulse(t, b.addr)
	createTopic(t, b.addr, "large", nil)
	for range 40 {
		value := make([]byte, 900_000)
		if got, err := produce(b.addr, "large", 8, newBatch(1, rawRecord(0, value)).bytes()); err != nil || got.ErrorCode != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	m := watchMemory(t, b.Node)
	normal.await(5)
	const clients, requests = 100, 1000
	ask := framed(headerOf(1, 4, false), i32(-1), i32(0), i32(1), i32(50<<20), []byte{0}, // fetch: nobody's, at once, 50 MiB
		i32(1), i16(5), []byte("large"), i32(1), i32(0), i64(0), i32(50<<20))
	for _, c := range dialAll(t, b.addr, clients) {
		_ = c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)) // the broker stops reading at some time
		for range requests {
			if _, err := c.Write(ask); err != nil {
				break
			}
		}
	}
	normal.await(20)
	m.check(t, memoryBound)
}
