package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand"
	"testing"
	"testing/iotest"
)

func TestFramesOfEverySizeArriveWhole(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	sizes := []int{8, 100, 4095, 4096, 4097, firstStep - 1, firstStep, firstStep + 1, 1 << 20, maxPooled, maxPooled + 1,
		maxPooled*growth + 1, 20 << 20}
	var in bytes.Buffer
	var want [][]byte
	for _, size := range sizes {
		req := produceRequest(1, max(size-60, 0))
		r.Read(req.Topics[0].Partitions[0].Records)
		frame := appendRequest(nil, req, 1, "")
		in.Write(frame)
		want = append(want, frame[4:])
	}
	f := frameReader{in: bufio.NewReaderSize(iotest.HalfReader(&in), readBuffer), maxSize: 100 << 20}
	var prefix [4]byte
	for _, w := range want {
		size, err := f.readSize(&prefix)
		if err != nil {
			t.Fatal(err)
		}
		buf, err := f.read(size)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(*buf, w) {
			t.Errorf("a frame of %d bytes came out different", len(w))
		}
		putBuffer(buf)
	}
	if _, err := f.readSize(&prefix); err != io.EOF {
		t.Errorf("behind the last frame: %v, want EOF", err)
	}
}

func TestMemoryOfAFrameFollowsItsBytes(t *testing.T) {
	tests := []struct {
		name          string
		announced     int
		came          int
		trusted, most int
	}{
		{"nothing came", 100 << 20, 0, 0, firstStep},
		{"a little came", 100 << 20, 1000, 0, firstStep},
		{"64 KiB came", 100 << 20, firstStep, 0, growth * firstStep},
		{"3 MiB came", 100 << 20, 3 << 20, 0, growth << 20},
		{"a small frame", 5000, 0, 0, 5000},
		{"a connection that has sent 1 MiB before", 100 << 20, 0, 1 << 20, 1 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := &measuringReader{in: bytes.NewReader(produceFrame(tt.came))}
			f := frameReader{in: in, maxSize: 100 << 20, trusted: tt.trusted}
			if _, err := f.read(tt.announced); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("got %v, want an unexpected EOF", err)
			}
			if in.most > tt.most {
				t.Errorf("asked for %d bytes at once, want at most %d", in.most, tt.most)
			}
		})
	}
}

// produceFrame is the beginning of a frame whose records are announced to be long, n bytes of it.
func produceFrame(n int) []byte {
	req := produceRequest(1, 90<<20)
	return appendRequest(nil, req, 1, "")[4 : 4+n]
}

// measuringReader remembers the longest buffer it was asked to fill.
type measuringReader struct {
	in   io.Reader
	most int
}

func (m *measuringReader) Read(p []byte) (int, error) {
	m.most = max(m.most, len(p))
	return m.in.Read(p)
}

func FuzzFrame(f *testing.F) {
	f.Add(appendRequest(nil, metadataRequest(1), 1, "a"))
	f.Add(appendRequest(nil, metadataRequest(12), 1, "a"))
	f.Add(appendRequest(nil, produceRequest(1, 70<<10), 1, "a"))
	for _, in := range badInputs() {
		f.Add(in.prefix)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := frameReader{in: bufio.NewReaderSize(bytes.NewReader(b), readBuffer), maxSize: 1 << 20}
		var prefix [4]byte
		for {
			size, err := r.readSize(&prefix)
			if err != nil {
				return
			}
			buf, err := r.read(size)
			if err != nil {
				return
			}
			if len(*buf) != size || size > r.maxSize || size < minFrame {
				t.Fatalf("a frame of %d bytes, %d announced", len(*buf), size)
			}
			_, _, _ = parseHeader(*buf)
			putBuffer(buf)
		}
	})
}
