package brokertest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// picture is what stands in a directory: path -> size and hash. The lock file is the one thing that comes and goes.
func picture(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			all[path] = "directory"
			return err
		}
		if d.Name() == ".lock" {
			return nil
		}
		content, err := os.ReadFile(path)
		all[path] = fmt.Sprintf("%d bytes, %x", len(content), sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// samePicture compares a directory with what it was.
func samePicture(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, picture(t, dir)); diff != "" {
		t.Errorf("the directory was (-) and is (+)\n%s", diff)
	}
}

// refusesToStart starts a broker that must end by itself with status 1 and these words, within limit.
func refusesToStart(t *testing.T, p *Node, limit time.Duration, words string) {
	t.Helper()
	began := time.Now()
	err := p.TryStart()
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 1 {
		t.Fatalf("the start ended with %v, want status 1\n%s", err, p.Log())
	}
	if took := time.Since(began); took > limit {
		t.Errorf("the refusal took %v", took)
	}
	if said := p.Log(); !strings.Contains(said, words) {
		t.Errorf("no %q in\n%s", words, said)
	}
}

// silence is a server that takes connections and never says a word, as a stopped ZooKeeper does.
func silence(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				for _, c := range open {
					c.Close()
				}
				return
			}
			open = append(open, c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// A log directory that belongs to somebody else, or a ZooKeeper that is not there, stops the start with Kafka's words
// and leaves the directory as it was: a clean stop stays one, and a crash is not made a clean stop.
func TestARefusedStartLeavesTheDirectoryAsItWas(t *testing.T) {
	for _, state := range []struct {
		name  string
		end   func(*Node)
		words string // of the next start
	}{
		{"after a clean stop", func(p *Node) { p.Stop() }, "Skipping recovery of logs from"},
		{"after a crash", (*Node).Kill, "Attempting recovery for all logs in"},
	} {
		t.Run(state.name, func(t *testing.T) {
			zk, other := startZooKeeper(t), startZooKeeper(t)
			b := newChild(t, zk, nil)
			b.Start()
			createTopic(t, b.addr, "t", nil)
			if got, err := produce(b.addr, "t", 8, newBatch(3, records(3)).bytes()); err != nil || got.ErrorCode != 0 {
				t.Fatalf("%+v, %v", got, err)
			}
			state.end(b.Node)
			before := picture(t, b.dir)
			for _, c := range []struct {
				name, key, value string
				words            string
			}{
				{"of another broker", "broker.id", "7", "Stored node id 0 doesn't match previous node id 7 in " + b.dir + "/meta.properties. " +
					"If you moved your data, make sure your configured node id matches. If you intend to create a new node, you should remove " +
					"all data in your data directories."},
				{"of another cluster", "zookeeper.connect", other, "Invalid cluster.id in: " + b.dir + "/meta.properties. Expected "},
				{"no ZooKeeper", "zookeeper.connect", fmt.Sprintf("127.0.0.1:%d", freePort()), "Timed out waiting for connection while in state: CONNECTING"},
				{"a silent ZooKeeper", "zookeeper.connect", silence(t), "Timed out waiting for connection while in state: CONNECTING"},
				{"a bad value", "num.io.threads", "none", "Invalid value none for configuration num.io.threads: Not a number of type INT"},
			} {
				t.Run(c.name, func(t *testing.T) {
					properties := map[string]string{"log.dirs": b.dir, "zookeeper.connection.timeout.ms": "700"}
					properties[c.key] = c.value
					refused := newChild(t, zk, properties)
					refusesToStart(t, refused.Node, 5*time.Second, c.words)
					samePicture(t, b.dir, before)
				})
			}
			said := len(b.Log())
			b.Start()
			if log := b.Log()[said:]; !strings.Contains(log, state.words) {
				t.Errorf("no %q in\n%s", state.words, log)
			}
			if end, err := endOf(b.addr, "t", 0); err != nil || end != 3 {
				t.Errorf("the log ends at %d, %v", end, err)
			}
		})
	}
}

func TestALockedDirectoryIsNotTouchedAndItsOwnerNotDisturbed(t *testing.T) {
	zk := startZooKeeper(t)
	b := newChild(t, zk, nil)
	b.Start()
	normal := startPulse(t, b.addr)
	second := newChild(t, zk, map[string]string{"broker.id": "1", "log.dirs": b.dir})
	refusesToStart(t, second.Node, 5*time.Second, "Failed to acquire lock on file .lock in "+b.dir+
		". A Kafka instance in another process or thread is using this directory.")
	normal.await(3)
	if _, err := os.Stat(filepath.Join(b.dir, ".kafka_cleanshutdown")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("clean marker of a running broker: %v", err)
	}
	third := newChild(t, zk, map[string]string{"broker.id": "1", "log.dirs": b.dir})
	refusesToStart(t, third.Node, 5*time.Second, "Failed to acquire lock") // the refusal did not end the lock
}

func TestTheSamePropertiesInTwoProcesses(t *testing.T) {
	zk := startZooKeeper(t)
	b := newChild(t, zk, nil)
	b.Start()
	normal := startPulse(t, b.addr)
	same := map[string]string{"log.dirs": filepath.Join(tempDir(t), "log"), "zookeeper.session.timeout.ms": "1000"}
	twin := newChild(t, zk, same)
	refusesToStart(t, twin.Node, 15*time.Second, "broker id 0 is registered already, by session 0x")
	normal.await(3)
}
