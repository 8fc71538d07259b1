package zkserver

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkCreate measures writes, alone and many at a time, in memory and with the disk: group commit shows in the
// difference between one client and many.
func BenchmarkCreate(b *testing.B) {
	for _, durable := range []bool{false, true} {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("durable=%v/clients=%d", durable, clients), func(b *testing.B) {
				o := Options{}
				if durable {
					o.Dir = b.TempDir()
				}
				s := startServer(b, o)
				var left, name atomic.Int64
				left.Store(int64(b.N))
				raws := make([]*rawClient, clients)
				for i := range raws {
					raws[i] = mustRaw(b, s.Addr().String())
				}
				b.ResetTimer()
				var all sync.WaitGroup
				for _, c := range raws {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							var e encoder
							scriptArgs{path: fmt.Sprintf("/n%d", name.Add(1))}.encode(&e, opCreate, "")
							if r, err := c.call(opCreate, e.b); err != nil || r.code != ok {
								b.Error(r, err)
								return
							}
						}
					})
				}
				all.Wait()
			})
		}
	}
}

// BenchmarkGet measures reads of one client.
func BenchmarkGet(b *testing.B) {
	s := startServer(b, Options{})
	c := mustRaw(b, s.Addr().String())
	var e encoder
	e.string("/zookeeper")
	e.bool(false)
	for b.Loop() {
		if r, err := c.call(opGetData, e.b); err != nil || r.code != ok {
			b.Fatal(r, err)
		}
	}
}
