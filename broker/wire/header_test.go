package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestHeadersOfAllVersions(t *testing.T) {
	id := func(s string) []byte { return []byte(s) }
	tests := []struct {
		name  string
		frame []byte
		want  header
		body  string
	}{
		{"v0 has no client id", []byte{0, 7, 0, 0, 0, 0, 0, 5, 1, 2}, header{7, 0, 5, nil}, "\x01\x02"},
		{"v1 with a client id", []byte{0, 3, 0, 1, 0, 0, 0, 6, 0, 2, 'm', 'e', 9}, header{3, 1, 6, id("me")}, "\x09"},
		{"v1 with an empty client id", []byte{0, 3, 0, 1, 0, 0, 0, 6, 0, 0}, header{3, 1, 6, id("")}, ""},
		{"v1 with a null client id", []byte{0, 3, 0, 1, 0, 0, 0, 6, 0xff, 0xff, 9}, header{3, 1, 6, nil}, "\x09"},
		{"v1 with a client id of length -5 is null too", []byte{0, 3, 0, 1, 0, 0, 0, 6, 0xff, 0xfb, 9}, header{3, 1, 6, nil}, "\x09"},
		{"v2 without tags", []byte{0, 3, 0, 9, 0, 0, 0, 6, 0, 1, 'x', 0, 9}, header{3, 9, 6, id("x")}, "\x09"},
		{"v2 with tags nobody knows", []byte{0, 3, 0, 9, 0, 0, 0, 6, 0, 1, 'x', 2, 0, 1, 'a', 5, 2, 'b', 'c', 9},
			header{3, 9, 6, id("x")}, "\x09"},
		{"ApiVersions of a version to come has header v2", []byte{0, 18, 0, 99, 0, 0, 0, 6, 0, 1, 'x', 0},
			header{18, 99, 6, id("x")}, ""},
		{"ApiVersions of a negative version has header v1", []byte{0, 18, 0xff, 0xff, 0, 0, 0, 6, 0, 1, 'x'},
			header{18, -1, 6, id("x")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, body, err := parseHeader(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(h, tt.want) || string(body) != tt.body {
				t.Errorf("got %+v and %q, want %+v and %q", h, body, tt.want, tt.body)
			}
		})
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	tests := []struct {
		name  string
		frame []byte
	}{
		{"too short", []byte{0, 3, 0, 1, 0, 0, 0}},
		{"no client id", []byte{0, 3, 0, 1, 0, 0, 0, 1}},
		{"a client id beyond the frame", []byte{0, 3, 0, 1, 0, 0, 0, 1, 0, 9, 'x'}},
		{"no tags", []byte{0, 3, 0, 9, 0, 0, 0, 1, 0, 1, 'x'}},
		{"too many tags", append([]byte{0, 3, 0, 9, 0, 0, 0, 1, 0, 1, 'x'}, 0xff, 0xff, 0x7f)},
		{"a tag beyond the frame", []byte{0, 3, 0, 9, 0, 0, 0, 1, 0, 1, 'x', 1, 0, 9}},
		{"an unknown key", []byte{0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if h, _, err := parseHeader(tt.frame); err == nil {
				t.Errorf("got %+v, want an error", h)
			}
		})
	}
}

// Frames recorded between real brokers and clients go in and come out unchanged.
func TestRecordedFramesOfKafka(t *testing.T) {
	files, err := filepath.Glob("testdata/frames/*-request.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no frames: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			frame := readHex(t, file)
			h, body, err := parseHeader(frame[4:])
			if err != nil {
				t.Fatal(err)
			}
			if size := binary.BigEndian.Uint32(frame); int(size) != len(frame)-4 {
				t.Fatalf("size %d of %d", size, len(frame)-4)
			}
			req := kmsg.RequestForKey(h.key)
			req.SetVersion(h.version)
			if err := decodeBody(req, body); err != nil {
				t.Fatal(err)
			}
			if h.clientID == nil {
				t.Fatal("no client id")
			}
			if again := appendRequest(nil, req, h.correlationID, string(h.clientID)); !bytes.Equal(again, frame) {
				t.Errorf("written again:\n%x\nwant\n%x", again, frame)
			}
			answer := strings.Replace(file, "request", "response", 1)
			entries, _ := filepath.Glob(filepath.Join(filepath.Dir(answer), "*"+filepath.Base(answer)[3:]))
			for _, e := range entries {
				recordedResponse(t, e, req)
			}
		})
	}
}

// recordedResponse decodes a recorded response to a request like req and writes it again with our header.
func recordedResponse(t *testing.T, file string, req kmsg.Request) {
	frame := readHex(t, file)
	h := replyHeader{int32(binary.BigEndian.Uint32(frame[4:])), flexibleResponse(req.Key(), req.GetVersion())}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if err := resp.ReadFrom(frame[4+h.size():]); err != nil {
		if req.Key() == keyApiVersions { // an answer to too new a version has the layout of v0
			return
		}
		t.Fatalf("%s: %v", file, err)
	}
	if again := appendResponse(nil, &owed{h, Respond(resp)}); req.Key() != keyApiVersions && !bytes.Equal(again, frame) {
		t.Errorf("%s written again:\n%x\nwant\n%x", file, again, frame)
	}
}

func readHex(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzHeader(f *testing.F) {
	f.Add(appendRequestHeader(nil, metadataRequest(1), 1, "a"))
	f.Add(appendRequestHeader(nil, metadataRequest(12), 1, "client"))
	f.Add([]byte{0, 7, 0, 0, 0, 0, 0, 5})
	f.Add([]byte{0, 3, 0, 9, 0, 0, 0, 6, 0, 1, 'x', 2, 0, 1, 'a', 5, 2, 'b', 'c', 9})
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := parseHeader(frame)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(frame, body) {
			t.Error("the body is not the end of the frame")
		}
		// A whole header stays whole when more follows.
		again, _, err := parseHeader(append(bytes.Clone(frame), 0))
		if err != nil || again.key != h.key || again.correlationID != h.correlationID {
			t.Errorf("with one byte more: %+v, %v", again, err)
		}
	})
}
