package zkserver

import (
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFirst(t *testing.T) {
	s, err := NewServer(Options{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, _, err := zk.Connect([]string{s.Addr().String()}, 5*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	acl := zk.WorldACL(zk.PermAll)
	if _, err := c.Create("/a", []byte("x"), 0, acl); err != nil {
		t.Fatal(err)
	}
	_, _, ev, err := c.GetW("/a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Set("/a", []byte("y"), 0); err != nil {
		t.Fatal(err)
	}
	if e := <-ev; e.Type != zk.EventNodeDataChanged {
		t.Fatal(e)
	}
	p, err := c.Create("/a/s-", nil, zk.FlagEphemeral|zk.FlagSequence, acl)
	if err != nil || p != "/a/s-0000000000" {
		t.Fatal(p, err)
	}
	res, err := c.Multi(&zk.CheckVersionRequest{Path: "/a", Version: 1}, &zk.CreateRequest{Path: "/b", Acl: acl, Flags: 1}, &zk.SetDataRequest{Path: "/b", Data: []byte("q"), Version: 0})
	if err != nil || res[2].Stat.Czxid == 0 {
		t.Fatal(res, err)
	}
	res, err = c.Multi(&zk.CreateRequest{Path: "/c", Acl: acl}, &zk.CheckVersionRequest{Path: "/a", Version: 9})
	if err != zk.ErrBadVersion {
		t.Fatal(res, err)
	}
	ch, st, err := c.Children("/")
	t.Log(ch, st, err)
	if err := c.Delete("/a", -1); err != zk.ErrNotEmpty {
		t.Fatal(err)
	}
}
