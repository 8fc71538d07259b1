//go:build linux

package brokertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"

	"github.com/zurau/zurau/broker/kerr"
)

// smallDisk mounts a file system of its own, that can really be full. Only root may.
func smallDisk(t *testing.T, megabytes int) string {
	t.Helper()
	dir := tempDir(t)
	if err := unix.Mount("zurau-test", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skipf("a small disk cannot be mounted (root may): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// ballast fills the disk but for some bytes, and can be thrown out.
type ballast string

func fill(t *testing.T, disk string, but int64) ballast {
	t.Helper()
	path := filepath.Join(disk, "ballast")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		var free unix.Statfs_t
		if err := unix.Statfs(disk, &free); err != nil {
			t.Fatal(err)
		}
		if int64(free.Bavail)*free.Bsize <= but {
			return ballast(path)
		}
		if _, err := f.Write(block); err != nil {
			if errors.Is(err, syscall.ENOSPC) {
				return ballast(path)
			}
			t.Fatal(err)
		}
	}
}

func (b ballast) throwOut(t *testing.T) {
	t.Helper()
	if err := os.Remove(string(b)); err != nil {
		t.Fatal(err)
	}
}

// acknowledged are values and where they were acknowledged to stand.
type acknowledged struct {
	mu sync.Mutex
	at map[int64]string
}

// produceUntilItFails sends batches of one record from several clients until each of them was refused, and returns
// what the refusals were.
func produceUntilItFails(addr, topic string, acks *acknowledged) []error {
	var clients sync.WaitGroup
	refusals := make([]error, 4)
	for i := range refusals {
		clients.Go(func() {
			for n := 0; ; n++ {
				value := fmt.Sprintf("%d-%d-", i, n) + strings.Repeat("x", 40000)
				got, err := produce(addr, topic, 8, newBatch(1, rawRecord(0, []byte(value))).bytes())
				if err == nil {
					if err = errorOrNil(kerr.ForCode(got.ErrorCode)); err == nil {
						acks.mu.Lock()
						acks.at[got.BaseOffset] = value
						acks.mu.Unlock()
						continue
					}
				}
				refusals[i] = err
				return
			}
		})
	}
	clients.Wait()
	return refusals
}

// checkAcknowledged reads a topic whole: dense offsets, nothing torn, and everything acknowledged at its place.
func checkAcknowledged(t *testing.T, addr, topic string, acks *acknowledged) {
	t.Helper()
	read := drainTopic(t, addr, topic, 1)[0]
	at := map[int64]string{}
	for i, r := range read {
		if r.Offset != int64(i) {
			t.Fatalf("offset %d follows %d", r.Offset, i-1)
		}
		at[r.Offset] = string(r.Value)
	}
	lost := 0
	for offset, value := range acks.at {
		if at[offset] != value {
			lost++
		}
	}
	t.Logf("%d records acknowledged, %d there", len(acks.at), len(read))
	if lost > 0 || len(acks.at) == 0 {
		t.Errorf("%d of %d acknowledged records are lost", lost, len(acks.at))
	}
}

func TestAFullDiskEndsABrokerThatHasNoOther(t *testing.T) {
	for _, c := range []struct {
		name       string
		properties map[string]string
	}{
		{"in the middle of a segment", nil},
		{"with many small segments", map[string]string{"log.segment.bytes": "131072"}},
		{"while checkpoints are written", map[string]string{"log.segment.bytes": "1048576", "log.flush.interval.messages": "5",
			"replica.high.watermark.checkpoint.interval.ms": "20"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := smallDisk(t, 32)
			dir := filepath.Join(disk, "log")
			properties := map[string]string{"log.dirs": dir, "log.index.size.max.bytes": "65536"}
			for k, v := range c.properties {
				properties[k] = v
			}
			b := startChild(t, properties)
			createTopic(t, b.addr, "t", nil)
			acks := &acknowledged{at: map[int64]string{}}
			full := fill(t, disk, 6<<20)
			refusals := produceUntilItFails(b.addr, "t", acks)
			// Whoever meets the full disk is told so; the others find the broker gone, or on its way out.
			told := 0
			for _, err := range refusals {
				if errors.Is(err, kerr.KafkaStorageError) {
					told++
				} else if k := new(kerr.Error); errors.As(err, &k) && k != kerr.NotLeaderOrFollower {
					t.Errorf("refused with %v", err)
				}
			}
			if told == 0 && c.properties["replica.high.watermark.checkpoint.interval.ms"] == "" {
				t.Errorf("nobody was told of a storage error: %v", refusals)
			}
			var status *exec.ExitError
			if err := b.Wait(15 * time.Second); !errors.As(err, &status) || status.ExitCode() != 1 {
				t.Errorf("the broker ended with %v, want status 1", err)
			}
			if words := "Shutdown broker because all log dirs in " + dir + " have failed"; !strings.Contains(b.Log(), words) {
				t.Errorf("the broker did not say %q", words)
			}
			if _, err := os.Stat(filepath.Join(dir, ".kafka_cleanshutdown")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a directory that failed is marked clean: %v", err)
			}
			full.throwOut(t)
			b.Start()
			eventually(t, "the topic is served again", func() error {
				_, err := endOf(b.addr, "t", 0)
				return err
			})
			checkAcknowledged(t, b.addr, "t", acks)
			if got, err := produce(b.addr, "t", 8, newBatch(1, records(1)).bytes()); err != nil || got.ErrorCode != 0 {
				t.Errorf("produce with room again: %+v, %v", got, err)
			}
		})
	}
}

func TestAStartOnAFullDiskIsRefusedAndCostsNothing(t *testing.T) {
	disk := smallDisk(t, 32)
	b := startChild(t, map[string]string{"log.dirs": filepath.Join(disk, "log"), "log.index.size.max.bytes": "65536"})
	createTopic(t, b.addr, "t", nil)
	acks := &acknowledged{at: map[int64]string{}}
	for n := range 20 {
		value := fmt.Sprint(n)
		got, err := produce(b.addr, "t", 8, newBatch(1, rawRecord(0, []byte(value))).bytes())
		if err != nil || got.ErrorCode != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		acks.at[got.BaseOffset] = value
	}
	b.Kill()
	full := fill(t, disk, 0)
	if err := b.TryStart(); err != nil {
		t.Logf("the start was refused: %v", err)
	} else if err := b.stop(); err != nil {
		t.Logf("the stop: %v", err)
	}
	full.throwOut(t)
	b.Start()
	eventually(t, "the topic is served again", func() error {
		_, err := endOf(b.addr, "t", 0)
		return err
	})
	checkAcknowledged(t, b.addr, "t", acks)
}

func TestAFullDiskOfTwoTakesOnlyItsOwnPartitions(t *testing.T) {
	disk, whole := smallDisk(t, 32), filepath.Join(tempDir(t), "log")
	small := filepath.Join(disk, "log")
	c := Start(t, Property("log.dirs", small+","+whole), Property("log.index.size.max.bytes", "65536"))
	n := c.Node(0)
	where := map[string][]string{} // by directory
	for i := range 4 {
		name := fmt.Sprint("t", i)
		createTopic(t, n.Addr(), name, nil)
		dir := whole
		if _, err := os.Stat(filepath.Join(small, name+"-0")); err == nil {
			dir = small
		}
		where[dir] = append(where[dir], name)
	}
	if len(where[small]) == 0 || len(where[whole]) == 0 {
		t.Fatalf("topics lie in %v", where)
	}
	sick, well := where[small][0], where[whole][0]
	waiting := fetchAtEnd(n.Addr(), where[small][1])
	acks := &acknowledged{at: map[int64]string{}}
	full := fill(t, disk, 4<<20)
	for _, err := range produceUntilItFails(n.Addr(), sick, acks) {
		if !errors.Is(err, kerr.KafkaStorageError) {
			t.Errorf("refused with %v", err)
		}
	}
	select {
	case code := <-waiting:
		if code != kerr.KafkaStorageError.Code {
			t.Errorf("a fetch that waited at another partition of the full disk: %d", code)
		}
	case <-time.After(5 * time.Second):
		t.Error("a fetch at another partition of the full disk still waits")
	}
	for version, want := range map[int16]*kerr.Error{3: kerr.NotLeaderOrFollower, 8: kerr.KafkaStorageError} {
		if got, err := produce(n.Addr(), sick, version, newBatch(1, records(1)).bytes()); err != nil || got.ErrorCode != want.Code {
			t.Errorf("Produce %d: %+v, %v; want %v", version, got, err, want)
		}
	}
	if _, err := endOf(n.Addr(), sick, 0); err == nil {
		t.Error("ListOffsets answers for a log that is offline")
	}
	eventually(t, "the controller takes the lead away from the partitions that are gone", func() error {
		for _, name := range where[small] {
			if p := metadataOf(t, n.Addr(), name, false).Partitions; len(p) != 1 || p[0].Leader != -1 {
				return fmt.Errorf("%s: %+v", name, p)
			}
		}
		return nil
	})
	if got, err := produce(n.Addr(), well, 8, newBatch(1, records(1)).bytes()); err != nil || got.ErrorCode != 0 {
		t.Errorf("Produce to the other directory: %+v, %v", got, err)
	}
	createTopic(t, n.Addr(), "later", nil)
	full.throwOut(t)
	n.Restart()
	eventually(t, "the topic is served again", func() error {
		_, err := endOf(n.Addr(), sick, 0)
		return err
	})
	checkAcknowledged(t, n.Addr(), sick, acks)
}

// fetchAtEnd fetches what is not there yet, and gives the partition's error code.
func fetchAtEnd(addr, topic string) <-chan int16 {
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 11, 25000, 1, 1<<20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	code := make(chan int16, 1)
	go func() {
		resp, err := tryAsk[*kmsg.FetchResponse](addr, req)
		if err != nil || len(resp.Topics) == 0 {
			code <- -1
			return
		}
		code <- resp.Topics[0].Partitions[0].ErrorCode
	}()
	return code
}
