package zkserver

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// say sends a word as people do, with a line feed behind it, and returns the answer.
func say(t *testing.T, s *Server, word string) string {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(rawDeadline))
	io.WriteString(nc, word+"\n")
	answer, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("%s: %v", word, err)
	}
	return string(answer)
}

func TestWordsAreAnswered(t *testing.T) {
	s := startServer(t, Options{Words: []string{"*"}, Dir: t.TempDir()})
	c := connectZK(t, s.Addr().String())
	if _, err := c.Create("/e", []byte("x"), zk.FlagEphemeral, openZK); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := c.ExistsW("/none"); err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]string{
		"ruok": `^imok$`,
		"isro": `^rw$`,
		"srvr": `^Zookeeper version: 3\.8\.\S+, built on .*\nLatency min/avg/max: \d+/\d+\.\d/\d+\nReceived: \d+\nSent: \d+\n` +
			`Connections: \d\nOutstanding: 0\nZxid: 0x2\nMode: standalone\nNode count: 6\n$`,
		"stat": `(?s)\nClients:\n /127\.0\.0\.1:\d+\[1\]\(queued=0,recved=\d+,sent=\d+\)\n.*\n\nLatency `,
		"cons": `,sid=0x1[0-9a-f]+,lop=EXIS,est=\d+,to=5000,lcxid=0x\d,lzxid=0x2,lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)\n`,
		"conf": `^clientPort=\d+\nsecureClientPort=-1\ndataDir=/.*version-2\ndataDirSize=[1-9]\d+\n(?s:.*)tickTime=2000\n` +
			`maxClientCnxns=0\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n`,
		"mntr": `(?s)zk_version\t3\.8.*zk_server_state\tstandalone\nzk_ephemerals_count\t1\n.*zk_znode_count\t6\n.*zk_watch_count\t1\n`,
		"envi": `^Environment:\nzookeeper\.version=3\.8`,
		"dump": `(?s)Session Sets \(1\)/\(1\):\n.*Sessions with Ephemerals \(1\):\n0x1[0-9a-f]+:\n\t/e\n`,
		"dirs": `^datadir_size: \d+\nlogdir_size: \d+\n$`,
		"wchs": `^1 connections watching 1 paths\nTotal watches:1\n$`,
		"wchc": `^0x1[0-9a-f]+\n\t/none\n$`,
		"wchp": `^/none\n\t0x1[0-9a-f]+\n$`,
	} {
		if got := say(t, s, word); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s: %q does not match %s", word, got, want)
		}
	}
	if len(words) != 13 {
		t.Errorf("%d words, and this test does not ask all", len(words))
	}
}

// As in `echo ruok | nc -N`.
func TestAWordIsAnsweredToAClientThatHasClosedItsSide(t *testing.T) {
	s := startServer(t, Options{})
	for range 50 {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(nc, "ruok")
		nc.(*net.TCPConn).CloseWrite()
		nc.SetDeadline(time.Now().Add(rawDeadline))
		if answer, err := io.ReadAll(nc); string(answer) != "imok" || err != nil {
			t.Fatalf("%q, %v", answer, err)
		}
		nc.Close()
	}
}

func TestAWordMayBeForbidden(t *testing.T) {
	s := startServer(t, Options{Words: []string{"srvr"}})
	if got := say(t, s, "ruok"); got != "ruok is not executed because it is not in the whitelist.\n" {
		t.Errorf("%q", got)
	}
	if got := say(t, s, "srvr"); !strings.HasPrefix(got, "Zookeeper version") {
		t.Errorf("%q", got)
	}
}
