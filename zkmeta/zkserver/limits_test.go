package zkserver

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func frameOf(body ...byte) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + string(body)
}

func TestGarbageEndsItsConnectionAndNothingElse(t *testing.T) {
	s := startServer(t, Options{})
	bystander := mustRaw(t, s.Addr().String())
	connect := frameOf(append(append(make([]byte, 24), 0, 0, 0, 16), make([]byte, 17)...)...)
	huge := []byte{0x7f, 0xff, 0xff, 0xff}
	request := func(op byte, body ...[]byte) string {
		return connect + frameOf(slices.Concat(append([][]byte{{0, 0, 0, 1, 0, 0, 0, op}}, body...)...)...)
	}
	for name, bytes := range map[string]string{
		"a length of -1":                         "\xff\xff\xff\xff",
		"a length of 2^31-1":                     "\x7f\xff\xff\xff",
		"a length one above jute.maxbuffer":      "\x00\x10\x00\x00",
		"an empty connect request":               frameOf(),
		"a connect request that ends early":      frameOf(0, 0, 0, 0, 1),
		"a connect request with a huge password": frameOf(append(make([]byte, 24), huge...)...),
		"a word nobody knows":                    "help",
		"an HTTP request":                        "GET / HTTP/1.1\r\n\r\n",
		"a TLS hello":                            "\x16\x03\x01\x02\x00\x01\x00\x01",
		"a request without a header":             connect + frameOf(0, 0, 0),
		"an empty request":                       connect + frameOf(),
		"a negative length behind the handshake": connect + "\x80\x00\x00\x00",
		"a path of 2^31-1 bytes":                 request(4, huge),
		"a path of -7 bytes":                     request(4, []byte{0xff, 0xff, 0xff, 0xf9}),
		"an ACL of 2^31-1 entries":               request(1, []byte{0, 0, 0, 2, '/', 'x', 0, 0, 0, 0}, huge),
		"a multi that never ends":                request(14),
		"watches that are 2^31-1":                request(101, make([]byte, 8), huge),
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(rawDeadline))
			io.WriteString(nc, bytes)
			if _, err := io.Copy(io.Discard, nc); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the connection lives on: %v", err)
			}
			if r, err := bystander.call(opPing, nil); err != nil || r.code != ok {
				t.Errorf("another connection suffers: %v %v", r, err)
			}
		})
	}
}

func TestAnUnknownRequestIsRefusedOnALivingConnection(t *testing.T) {
	s := startServer(t, Options{})
	c := mustRaw(t, s.Addr().String())
	for _, op := range []opCode{0, 10, 20, 23, 99, 102, 108, 1000, -1, -10, -100} {
		r, err := c.call(op, []byte("who knows"))
		if err != nil || r.code != codeUnimplemented {
			t.Fatalf("op %d: %+v, %v", op, r, err)
		}
	}
	if r, err := c.call(opPing, nil); err != nil || r.code != ok {
		t.Fatalf("%+v, %v", r, err)
	}
}

// A real ZooKeeper never answers a check outside of a multi.
func TestACheckOfItsOwnIsAnswered(t *testing.T) {
	s := startServer(t, Options{})
	c := mustRaw(t, s.Addr().String())
	for version, want := range map[int64]code{-1: ok, 0: ok, 1: codeBadVersion} {
		var e encoder
		scriptArgs{path: "/zookeeper", values: map[string][]string{"version": {fmt.Sprint(version)}}}.encode(&e, opCheck, "")
		if r, err := c.call(opCheck, e.b); err != nil || r.code != want {
			t.Errorf("version %d: %+v, %v", version, r, err)
		}
	}
}

func TestMemoryFollowsTheBytesThatCome(t *testing.T) {
	s := startServer(t, Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 100 {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, "\x00\x0f\xff\xffbut few bytes come")
	}
	await(t, "100 connections", func() bool { return len(s.connections()) == 100 })
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 20<<20 {
		t.Errorf("100 connections that claim a megabyte take %d bytes", grown)
	}
}

func TestAClientThatTakesNothingIsHeldUp(t *testing.T) {
	s := startServer(t, Options{})
	c := mustRaw(t, s.Addr().String())
	var e encoder
	scriptArgs{path: "/big", values: map[string][]string{"data": {strings.Repeat("x", 900<<10)}}}.encode(&e, opCreate, "")
	if r, err := c.call(opCreate, e.b); err != nil || r.code != ok {
		t.Fatal(r, err)
	}
	glutton := mustRaw(t, s.Addr().String())
	e = encoder{}
	e.string("/big")
	e.bool(false)
	glutton.nc.SetDeadline(time.Now().Add(rawDeadline))
	const asked = 200
	go func() {
		for i := range int32(asked) {
			if glutton.send(i+1, opGetData, e.b) != nil {
				return
			}
		}
	}()
	await(t, "the server to stop reading", func() bool {
		for _, sc := range s.connections() {
			sc.out.Lock()
			bytes := sc.out.bytes
			sc.out.Unlock()
			if bytes > loadLimit {
				return true
			}
		}
		return false
	})
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if after.HeapAlloc > 2*pendingLimit<<20 {
		t.Errorf("replies nobody takes fill %d bytes", after.HeapAlloc)
	}
	for i := range int32(asked) {
		frame, err := glutton.recv()
		if err != nil {
			t.Fatal(err)
		}
		if xid := int32(binary.BigEndian.Uint32(frame)); xid != i+1 {
			t.Fatalf("reply %d came in place of %d", xid, i+1)
		}
	}
}

func TestAnAddressMayHaveSoManyConnections(t *testing.T) {
	s := startServer(t, Options{MaxClientCnxns: 3})
	for range 3 {
		mustRaw(t, s.Addr().String())
	}
	if _, err := dialRaw(s.Addr().String(), 10_000, 0, nil); err == nil {
		t.Fatal("the fourth of three connections is served")
	}
	s.connections()[0].abort()
	await(t, "room for another", func() bool {
		c, err := dialRaw(s.Addr().String(), 10_000, 0, nil)
		if err == nil {
			c.nc.Close()
		}
		return err == nil
	})
}

func TestARequestLargerThanJuteMaxbufferEndsTheConnection(t *testing.T) {
	s := startServer(t, Options{JuteMaxBuffer: 2000})
	c := connectZK(t, s.Addr().String())
	if _, err := c.Create("/small", make([]byte, 1900), 0, openZK); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Create("/large", make([]byte, 2100), 0, openZK); err != zk.ErrConnectionClosed {
		t.Fatalf("a request that is too large: %v", err)
	}
	await(t, "the client's next connection", func() bool {
		there, _, err := c.Exists("/small")
		return err == nil && there
	})
}

func TestAClientFromTheFutureIsSentAway(t *testing.T) {
	s := startServer(t, Options{})
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(rawDeadline))
	e := newFrame(44)
	e.int32(0)
	e.int64(1 << 40) // has seen what this server does not know
	e.int32(4000)
	e.int64(0)
	e.buffer(make([]byte, 16))
	nc.Write(e.frame())
	if n, err := io.Copy(io.Discard, nc); n != 0 || err != nil {
		t.Errorf("answered with %d bytes, %v", n, err)
	}
}

func TestAClientWithoutTheReadOnlyFlagIsAnsweredWithoutIt(t *testing.T) {
	s := startServer(t, Options{})
	for withFlag, want := range map[bool]int{false: 36, true: 37} {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(rawDeadline))
		e := newFrame(45)
		e.int32(0)
		e.int64(0)
		e.int32(4000)
		e.int64(0)
		e.buffer(make([]byte, 16))
		if withFlag {
			e.bool(true)
		}
		nc.Write(e.frame())
		reply, err := (&rawClient{nc: nc}).recv()
		if err != nil || len(reply) != want {
			t.Errorf("read-only flag %v: %d bytes, %v", withFlag, len(reply), err)
		}
		nc.Close()
	}
}
