//go:build !race

package wire

import (
	"context"
	"fmt"
	"math/rand"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestGuardDoesNotAllocate(t *testing.T) {
	b := produceRequest(1, 1000).AppendTo(nil)
	if n := testing.AllocsPerRun(100, func() { _ = guard(0, 9, b, 0) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// A round trip costs the request and what the handler does; no buffers.
func TestRequestsAllocateLittle(t *testing.T) {
	resp := kmsg.NewPtrMetadataResponse()
	handler := func(r *Request) Reply {
		resp.Version = r.Version
		return Respond(resp)
	}
	s := startServer(t, ignoreContext(handler), nil)
	c := dial(t, s)
	frame := appendRequest(nil, metadataRequest(1), 1, "client")
	in := make([]byte, 1024)
	round := func() {
		_, _ = c.Write(frame)
		_, _ = c.Read(in)
	}
	for range 100 {
		round()
	}
	if n := testing.AllocsPerRun(1000, round); n > 2 {
		t.Errorf("%v allocations a request, want at most 2", n)
	}
}

func TestAnIdleConnectionTakesLittleMemory(t *testing.T) {
	const n = 1000
	s := startServer(t, echo, nil)
	warm := dial(t, s)
	warm.request(metadataRequest(1), 1)
	warm.receive()
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := used()
	for range n {
		dial(t, s)
	}
	eventually(t, "all are served", func() bool { return s.ConnectionCount() == n+1 })
	each := (used() - before) / n
	t.Logf("%d bytes a connection, both ends", each)
	if each > 16<<10 {
		t.Errorf("%d bytes for an idle connection, want at most 16 KiB with the test's own end", each)
	}
}

func BenchmarkGuardProduce(b *testing.B) {
	body := produceRequest(1, 1000).AppendTo(nil)
	for b.Loop() {
		_ = guard(0, 9, body, 0)
	}
}

func BenchmarkGuardFetchOfAThousandPartitions(b *testing.B) {
	req := kmsg.NewPtrFetchRequest()
	req.Version = 12
	topic := kmsg.NewFetchRequestTopic()
	topic.Partitions = make([]kmsg.FetchRequestTopicPartition, 1000)
	req.Topics = append(req.Topics, topic)
	body := req.AppendTo(nil)
	for b.Loop() {
		_ = guard(1, 12, body, 0)
	}
}

func ignoreContext(fn func(*Request) Reply) Handler {
	return func(_ context.Context, r *Request) Reply { return fn(r) }
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{100, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			s := startServer(b, echo, nil)
			c := dial(b, s)
			_ = c.SetDeadline(time.Time{})
			req := produceRequest(1, size)
			rand.New(rand.NewSource(1)).Read(req.Topics[0].Partitions[0].Records)
			frame := appendRequest(nil, req, 1, "client")
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			in := make([]byte, 1024)
			for b.Loop() {
				_, _ = c.Write(frame)
				_, _ = c.Read(in)
			}
		})
	}
}
