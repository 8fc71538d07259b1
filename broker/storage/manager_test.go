package storage

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

func TestACleanStopLeavesTheMarkerAndAStartTakesItAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "start")
	m := openManager(t, plain(), dir)
	leaderAppend(t, createLog(t, m), batchOf(3, 1700000000000))
	marker := filepath.Join(dir, cleanShutdownFile)
	if _, err := os.Stat(marker); err == nil {
		t.Error("the marker is there while the broker runs")
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(marker); err != nil || string(b) != `{"version":0,"brokerEpoch":-1}` {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, lockFileName)); err == nil {
		t.Error("the lock file is still there")
	}
	points, err := readOffsets(osFS{}, filepath.Join(dir, recoveryPointCheckpoint))
	if err != nil || points[tp0] != 3 {
		t.Errorf("recovery points %v, %v", points, err)
	}
	m = openManager(t, plain(), dir)
	if _, err := os.Stat(marker); err == nil {
		t.Error("the marker is there after the start")
	}
	if v := m.Log(tp0).View(); v.LogEndOffset != 3 {
		t.Errorf("%+v", v)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Error(err)
	}
}

func TestADirectoryHasOneBroker(t *testing.T) {
	dir := t.TempDir()
	m := openManager(t, plain(), dir)
	_, err := Open(managerOptions(t, plain(), dir))
	if err == nil || !strings.HasPrefix(err.Error(), "Failed to acquire lock on file .lock in "+dir) {
		t.Errorf("a second manager: %v", err)
	}
	m.Close()
	openManager(t, plain(), dir)
}

// TestADirectoryHasOneProcess runs this test binary again as the other broker.
func TestADirectoryHasOneProcess(t *testing.T) {
	if dir := os.Getenv("STORAGE_TEST_LOCK"); dir != "" {
		if _, err := lockDir(dir); err != nil {
			fmt.Println("refused:", err)
		} else {
			fmt.Println("locked")
		}
		bufio.NewReader(os.Stdin).ReadString('\n') // until the parent closes it
		return
	}
	dir := t.TempDir()
	other := exec.Command(os.Args[0], "-test.run=^TestADirectoryHasOneProcess$")
	other.Env = append(os.Environ(), "STORAGE_TEST_LOCK="+dir)
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	if _, err := Open(managerOptions(t, plain(), dir)); err == nil || !strings.Contains(err.Error(), "Failed to acquire lock") {
		t.Errorf("while another process has it: %v", err)
	}
	stdin.Close()
	for err == nil {
		_, err = lines.ReadString('\n')
	}
	other.Wait()
	openManager(t, plain(), dir)
}

func TestTheIdentityOfDirectoriesIsChecked(t *testing.T) {
	id := func(broker int32, cluster string) string {
		return string(Meta{BrokerID: broker, ClusterID: cluster}.format(time.Now()))
	}
	for _, c := range []struct {
		name   string
		a, b   string // contents of meta.properties, empty for none
		broker int32
		want   string // part of the error, empty for none
	}{
		{"both new", "", "", 7, ""},
		{"one new", id(7, "clusterclusterclusterA"), "", 7, ""},
		{"of 1.1, without a cluster id", "broker.id=7\n", "", 7, ""},
		{"with keys of others", id(7, "clusterclusterclusterA") + "directory.id=abc\n", "", 7, ""},
		{"of another cluster", id(7, "clusterclusterclusterB"), "", 7, "Invalid cluster.id in: "},
		{"of another broker", id(8, "clusterclusterclusterA"), "", 7, "Stored node id 8 doesn't match previous node id 7 in "},
		{"of two brokers", id(7, ""), id(8, ""), -1, "Stored node id 8 doesn't match previous node id 7 in "},
		{"of a KRaft node", "version=1\nnode.id=7\ncluster.id=x\n", "", 7, "only support version 0"},
		{"not a number", "broker.id=seven\n", "", 7, "broker.id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dirs := []string{t.TempDir(), t.TempDir()}
			slices.Sort(dirs)
			for i, content := range []string{c.a, c.b} {
				if content == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dirs[i], metaFileName), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			o := managerOptions(t, plain(), dirs...)
			o.BrokerID = c.broker
			m, err := Open(o)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			for _, dir := range dirs {
				meta, err := ReadMeta(dir)
				if err != nil || meta.BrokerID != 7 || meta.ClusterID != "clusterclusterclusterA" || meta.Version != 0 {
					t.Errorf("%+v, %v", meta, err)
				}
			}
			if meta, _ := ReadMeta(dirs[0]); strings.Contains(c.a, "directory.id") && meta.Other["directory.id"] != "abc" {
				t.Errorf("a foreign key is lost: %+v", meta)
			}
		})
	}
}

func TestAStrangeDirectoryStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Open(managerOptions(t, plain(), dir))
	if err == nil || !strings.Contains(err.Error(), "Found directory "+dir+"/lost+found, 'lost+found' is not in the form of topic-partition") {
		t.Errorf("%v", err)
	}
}

func TestTheSamePartitionInTwoDirectoriesStopsTheStart(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := os.Mkdir(filepath.Join(dir, "t-0"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(managerOptions(t, plain(), a, b)); err == nil || !strings.Contains(err.Error(), "Duplicate log directories for t-0 are found") {
		t.Errorf("%v", err)
	}
	if _, err := Open(managerOptions(t, plain(), a, a+"/.")); err == nil || !strings.Contains(err.Error(), "Duplicate log directory found") &&
		!strings.Contains(err.Error(), "Failed to acquire lock") {
		t.Errorf("the same path twice: %v", err)
	}
}

func TestNewLogsGoWhereThereAreFewest(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	m := openManager(t, plain(), a, b)
	for i := range 6 {
		if _, err := m.Create(topic.Partition{Topic: "t", ID: int32(i)}, topic.ID{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, info := range m.LogDirs() {
		if len(info.Logs) != 3 || info.Total <= 0 || info.Usable <= 0 || info.Err != nil {
			t.Errorf("%s has %d logs, %d of %d bytes, %v", info.Path, len(info.Logs), info.Usable, info.Total, info.Err)
		}
	}
	for _, bad := range []topic.Partition{{Topic: "../x", ID: 0}, {Topic: "", ID: 0}, {Topic: "t", ID: -1}} {
		if _, err := m.Create(bad, topic.ID{}); err == nil {
			t.Errorf("%v was created", bad)
		}
	}
}

func TestADeletedLogGoesAtOnceAndItsFilesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		m := openManager(t, plain(func(c *config.Topic) { c.FileDeleteDelayMS = 60000 }), dir)
		m.Start()
		l := createLog(t, m)
		leaderAppend(t, l, batchOf(3, 1700000000000))
		r, err := l.Read(0, 1000, 3, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Delete(tp0); err != nil {
			t.Fatal(err)
		}
		if m.Log(tp0) != nil || kerr.CodeOf(m.Delete(tp0)) != kerr.UnknownTopicOrPartition.Code {
			t.Error("it is still there")
		}
		if _, err := l.Read(0, 1000, 3, true); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("a read of a deleted log: %v", err)
		}
		if _, err := l.AppendAsLeader(batchOf(1, 1700000000000), AppendOptions{ProduceVersion: 9}); !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("an append to a deleted log: %v", err)
		}
		if len(regionBytes(t, r)) == 0 {
			t.Error("a read under way has lost its bytes")
		}
		again := createLog(t, m)
		if again == l || again.View().LogEndOffset != 0 {
			t.Error("the new log is the old one")
		}
		if got := namesIn(t, dir, "-delete"); len(got) != 1 {
			t.Errorf("waiting for deletion: %v", got)
		}
		time.Sleep(62 * time.Second)
		synctest.Wait()
		if got := namesIn(t, dir, "-delete"); len(got) != 0 {
			t.Errorf("still there: %v", got)
		}
		m.Close()
	})
}

func namesIn(t *testing.T, dir, suffix string) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestADirectoryThatWaitedForDeletionGoesAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, deletedName(tp0)), 0o755); err != nil {
			t.Fatal(err)
		}
		m := openManager(t, plain(), dir)
		m.Start()
		time.Sleep(62 * time.Second)
		synctest.Wait()
		if got := namesIn(t, dir, "-delete"); len(got) != 0 || len(m.Logs()) != 0 {
			t.Errorf("%v, %d logs", got, len(m.Logs()))
		}
		m.Close()
	})
}

func TestTheBackgroundWorkIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		o := managerOptions(t, plain(crashConfig, func(c *config.Topic) { c.RetentionBytes, c.FlushMS = 500, 1000 }), dir)
		o.FlushCheckInterval = time.Second
		m, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		m.Start()
		m.StartHighWatermarkCheckpoints()
		l := createLog(t, m)
		for range 20 {
			leaderAppend(t, l, batchOf(3, 1700000000000))
		}
		l.SetHighWatermark(60)
		synctest.Wait()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := l.RecoveryPoint(); got != 60 {
			t.Errorf("flush.ms: the recovery point is %d", got)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got, err := readOffsets(osFS{}, filepath.Join(dir, highWatermarkCheckpoint)); err != nil || got[tp0] != 60 {
			t.Errorf("high watermark checkpoint %v, %v", got, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := l.View().LogStartOffset; got != 36 {
			t.Errorf("retention.bytes: the log starts at %d", got)
		}
		if got, err := readOffsets(osFS{}, filepath.Join(dir, recoveryPointCheckpoint)); err != nil || got[tp0] != 60 {
			t.Errorf("recovery point checkpoint %v, %v", got, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}
