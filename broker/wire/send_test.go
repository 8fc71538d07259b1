package wire

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAcksZeroGetsNoReply(t *testing.T) {
	c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
		if r.Key == keyProduce {
			return NoReply()
		}
		return respondTo(r)
	}, nil))
	c.request(produceRequest(0, 10), 1)
	c.request(metadataRequest(1), 2)
	if got, _ := c.receive(); got != 2 {
		t.Errorf("response %d, want 2", got)
	}
}

func TestThrottleAnswersAtOnceAndMutesTheConnection(t *testing.T) {
	const mute = 100 * time.Millisecond
	c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
		return respondTo(r).WithThrottle(mute)
	}, nil))
	start := time.Now()
	c.request(metadataRequest(1), 1)
	c.receive()
	first := time.Since(start)
	c.request(metadataRequest(1), 2)
	c.receive()
	if second := time.Since(start); first >= mute || second < mute {
		t.Errorf("answers after %v and %v, want one before and one after %v", first, second, mute)
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
		return RespondParts(nil, Part{Bytes: make([]byte, 64<<20)})
	}, func(o *ServerOptions) { o.IdleTimeout = 100 * time.Millisecond }))
	c.request(metadataRequest(1), 1)
	eventually(t, "the connection is closed", func() bool {
		_ = c.SetWriteDeadline(time.Now().Add(within))
		_, err := c.Write([]byte{0})
		return err != nil
	})
}

// releases counts what it was told.
type releases chan struct{}

func (r releases) Release() { r <- struct{}{} }

func TestRegionsArriveAsTheyLieInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "segment")
	content := make([]byte, 9<<20)
	for i := range content {
		content[i] = byte(i * 7 >> 3)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tests := []struct {
		name  string
		parts [][2]int // offset and length; a negative offset stands for that many bytes of 'x'
	}{
		{"nothing", nil},
		{"a small region", [][2]int{{5, 100}}},
		{"an empty region", [][2]int{{5, 0}}},
		{"just what one write takes", [][2]int{{0, copyLimit - 8}}},
		{"a little more", [][2]int{{0, copyLimit + 1}}},
		{"small and large mixed", [][2]int{{-30, 30}, {3, 500}, {-20, 20}, {77, 1 << 20}, {-9, 9}, {1 << 20, 8 << 20}}},
		{"large bytes between", [][2]int{{0, 300000}, {-1, 300000}, {5, 300000}}},
		{"bytes alone", [][2]int{{-1, 100000}, {-1, 5}, {-1, 100000}}},
	}
	for _, remote := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s, remote %v", tt.name, remote), func(t *testing.T) {
				released := make(releases, len(tt.parts))
				head := []byte("the head")
				want := strings.Builder{}
				want.Write(head)
				var parts []Part
				regions := 0
				for _, p := range tt.parts {
					if p[0] < 0 {
						b := []byte(strings.Repeat("x", p[1]))
						parts = append(parts, Part{Bytes: b})
						want.Write(b)
						continue
					}
					regions++
					parts = append(parts, Part{Region: &Region{File: f, Offset: int64(p[0]), N: p[1], Release: released}})
					want.Write(content[p[0] : p[0]+p[1]])
				}
				c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
					if remote {
						r.Conn.local = false // send as to another machine
					}
					return RespondParts(head, parts...)
				}, nil))
				c.request(metadataRequest(1), 3)
				id, body := c.receive()
				if id != 3 || string(body) != want.String() {
					t.Errorf("%d bytes came, %d wanted, or they differ", len(body), want.Len())
				}
				for range regions {
					<-released
				}
			})
		}
	}
}

func TestAFileShorterThanPromisedCostsTheConnection(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "segment"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(100 << 10); err != nil {
		t.Fatal(err)
	}
	for _, remote := range []bool{false, true} {
		for _, n := range []int{200 << 10, 100<<10 + 1} {
			released := make(releases, 1)
			c := dial(t, startServer(t, func(_ context.Context, r *Request) Reply {
				if remote {
					r.Conn.local = false
				}
				return RespondParts(nil, Part{Region: &Region{File: f, N: n, Release: released}})
			}, nil))
			c.request(metadataRequest(1), 1)
			if b, _ := io.ReadAll(c); len(b) >= 8+n {
				t.Errorf("%d bytes came, of a file that is %d short", len(b), n-(100<<10))
			}
			<-released
		}
	}
}
