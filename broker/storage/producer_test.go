package storage

import (
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/record"
)

// send appends a batch of n records of a producer and returns its first offset.
func send(l *Log, id int64, epoch int16, sequence int32, n int, transactional bool) (AppendInfo, error) {
	p := &record.Producer{ID: id, Epoch: epoch, BaseSequence: sequence, Transactional: transactional}
	return l.AppendAsLeader(producerBatch(n, 1700000000000, p), AppendOptions{ProduceVersion: 9, TransactionVerified: true})
}

func TestSequencesOfAnIdempotentProducer(t *testing.T) {
	type batch struct {
		epoch    int16
		sequence int32
		n        int
		code     int16
		first    int64 // offset, -1 for any
		repeat   bool
	}
	for _, c := range []struct {
		name    string
		batches []batch
	}{
		{"in order", []batch{{0, 0, 2, 0, 0, false}, {0, 2, 3, 0, 2, false}, {0, 5, 1, 0, 5, false}}},
		{"an unknown producer may begin anywhere", []batch{{3, 17, 2, 0, 0, false}, {3, 19, 1, 0, 2, false}}},
		{"a repeat of the last batch gets its offset", []batch{{0, 0, 2, 0, 0, false}, {0, 2, 3, 0, 2, false}, {0, 2, 3, 0, 2, true}}},
		{"a repeat of the fifth last batch too", []batch{{0, 0, 1, 0, 0, false}, {0, 1, 1, 0, 1, false}, {0, 2, 1, 0, 2, false},
			{0, 3, 1, 0, 3, false}, {0, 4, 1, 0, 4, false}, {0, 0, 1, 0, 0, true}}},
		{"a repeat of an older one is out of order", []batch{{0, 0, 1, 0, 0, false}, {0, 1, 1, 0, 1, false}, {0, 2, 1, 0, 2, false},
			{0, 3, 1, 0, 3, false}, {0, 4, 1, 0, 4, false}, {0, 5, 1, 0, 5, false}, {0, 0, 1, 45, -1, false}}},
		{"a gap", []batch{{0, 0, 2, 0, 0, false}, {0, 3, 1, 45, -1, false}, {0, 2, 1, 0, 2, false}}},
		{"half a repeat is out of order", []batch{{0, 0, 4, 0, 0, false}, {0, 2, 2, 45, -1, false}}},
		{"a new epoch begins with 0", []batch{{0, 0, 2, 0, 0, false}, {1, 0, 2, 0, 2, false}}},
		{"a new epoch does not begin elsewhere", []batch{{0, 0, 2, 0, 0, false}, {1, 2, 2, 45, -1, false}}},
		{"an old epoch is fenced", []batch{{1, 0, 2, 0, 0, false}, {0, 2, 2, 47, -1, false}}},
		{"after the largest number comes 0", []batch{{0, math.MaxInt32 - 1, 2, 0, 0, false}, {0, 0, 1, 0, 2, false}}},
		{"a batch may go over the largest number", []batch{{0, math.MaxInt32 - 1, 4, 0, 0, false}, {0, 2, 1, 0, 4, false},
			{0, math.MaxInt32 - 1, 4, 0, 0, true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			m := openManager(t, plain(), dir)
			l := createLog(t, m)
			for i, b := range c.batches {
				end := l.View().LogEndOffset
				info, err := send(l, 7, b.epoch, b.sequence, b.n, false)
				if kerr.CodeOf(err) != b.code || b.first >= 0 && (info.FirstOffset != b.first || info.LastOffset != b.first+int64(b.n)-1) {
					t.Fatalf("batch %d: %+v, %v", i, info, err)
				}
				if stamp := 1700000000000 + int64(b.n) - 1; b.repeat && info.LogAppendTime != stamp {
					t.Errorf("batch %d: a repeat is answered with the time %d, the batch has %d", i, info.LogAppendTime, stamp)
				}
				if info.Duplicate != b.repeat || (b.repeat || err != nil) != (l.View().LogEndOffset == end) {
					t.Errorf("batch %d: duplicate %v, log end %d then %d", i, info.Duplicate, end, l.View().LogEndOffset)
				}
			}
		})
	}
}

func TestTheLastBatchIsKnownAfterARestart(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := t.TempDir()
		m := openManager(t, plain(), dir)
		l := createLog(t, m)
		for i := range int32(3) {
			if _, err := send(l, 7, 0, i, 1, false); err != nil {
				t.Fatal(err)
			}
		}
		if !clean {
			dir = killedCopy(t, dir)
		}
		m.Close()
		l = openManager(t, plain(), dir).Log(tp0)
		if info, err := send(l, 7, 0, 2, 1, false); err != nil || !info.Duplicate || info.FirstOffset != 2 {
			t.Errorf("clean %v: %+v, %v", clean, info, err)
		}
		if _, err := send(l, 7, 0, 4, 1, false); !errors.Is(err, kerr.OutOfOrderSequenceNumber) {
			t.Errorf("clean %v: a gap after the restart: %v", clean, err)
		}
		if _, err := send(l, 7, 0, 3, 1, false); err != nil {
			t.Errorf("clean %v: %v", clean, err)
		}
	}
}

// killedCopy copies a directory that is in use, as a killed process would leave it.
func killedCopy(t *testing.T, dir string) string {
	to := t.TempDir()
	copyDir(t, dir, to)
	return to
}

func TestTransactionsHoldTheLastStableOffset(t *testing.T) {
	dir := t.TempDir()
	m := openManager(t, plain(), dir)
	l := createLog(t, m)
	must := func(info AppendInfo, err error) AppendInfo {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	stable := func(when string, want int64) {
		t.Helper()
		l.SetHighWatermark(l.View().LogEndOffset)
		if v := l.View(); v.LastStableOffset != want {
			t.Errorf("%s: %+v, want LSO %d", when, v, want)
		}
	}
	must(send(l, 1, 0, 0, 2, false)) // 0..1
	stable("without transactions", 2)
	must(send(l, 2, 0, 0, 2, true)) // 2..3
	must(send(l, 3, 0, 0, 2, true)) // 4..5
	must(send(l, 2, 0, 2, 1, true)) // 6
	stable("two are open", 2)
	if _, err := send(l, 2, 0, 3, 1, false); !errors.Is(err, kerr.InvalidTxnState) {
		t.Errorf("a plain batch inside a transaction: %v", err)
	}
	leaderMarker(t, l, 2, 0, record.Abort) // 7
	if v := l.View(); v.LastStableOffset != 2 {
		t.Errorf("the marker is not committed yet: %+v", v)
	}
	stable("the first is aborted", 4)
	leaderMarker(t, l, 3, 0, record.Commit) // 8
	stable("both have ended", 9)

	r, err := l.Read(0, 1<<20, 9, true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.AbortedTxns(0, r)
	r.Region.Release.Release()
	if want := []AbortedTxn{{2, 2, 7, 4}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("aborted %+v, %v", got, err)
	}
	must(send(l, 3, 0, 2, 1, true)) // 9, open
	for _, clean := range []bool{true, false} {
		from := dir
		if !clean {
			from = killedCopy(t, dir)
			os.Remove(from + "/" + recoveryPointCheckpoint)
		} else {
			from = killedCopy(t, dir) // and stopped cleanly below
		}
		if clean {
			m2 := openManager(t, plain(), from)
			m2.Close()
		}
		l2 := openManager(t, plain(), from).Log(tp0)
		l2.SetHighWatermark(10)
		if v := l2.View(); v.LastStableOffset != 9 || !l2.HasOpenTxn(3, 0) || l2.HasOpenTxn(2, 0) {
			t.Errorf("clean %v: %+v %+v", clean, v, l2.ActiveProducers())
		}
		r, err := l2.Read(0, 1<<20, 9, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := l2.AbortedTxns(0, r)
		r.Region.Release.Release()
		if err != nil || len(got) != 1 {
			t.Errorf("clean %v: aborted %+v, %v", clean, got, err)
		}
	}
}

func TestMarkersOfADeposedCoordinatorOrProducerAreRefused(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	if _, err := send(l, 4, 3, 0, 1, true); err != nil {
		t.Fatal(err)
	}
	mark := func(epoch int16, coordinator int32) error {
		b := record.EndTxnMarker{ProducerID: 4, ProducerEpoch: epoch, Type: record.Commit, CoordinatorEpoch: coordinator}.Append(nil)
		_, err := l.AppendAsLeader(b, AppendOptions{Origin: Coordinator})
		return err
	}
	if err := mark(2, 9); !errors.Is(err, kerr.InvalidProducerEpoch) {
		t.Errorf("an old producer epoch: %v", err)
	}
	if err := mark(3, 9); err != nil {
		t.Error(err)
	}
	if err := mark(3, 8); !errors.Is(err, kerr.TransactionCoordinatorFenced) {
		t.Errorf("an old coordinator: %v", err)
	}
}

func TestAnUnverifiedTransactionIsRefused(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	p := &record.Producer{ID: 4, Transactional: true}
	_, err := l.AppendAsLeader(producerBatch(1, 1700000000000, p), AppendOptions{ProduceVersion: 9})
	if !errors.Is(err, kerr.InvalidTxnState) {
		t.Errorf("no transaction is open: %v", err)
	}
	if _, err := send(l, 4, 0, 0, 1, true); err != nil {
		t.Fatal(err)
	}
	p.BaseSequence = 1
	if _, err := l.AppendAsLeader(producerBatch(1, 1700000000000, p), AppendOptions{ProduceVersion: 9}); err != nil {
		t.Errorf("the transaction is open: %v", err)
	}
}

func TestSilentProducersAreForgottenUnlessTheirTransactionIsOpen(t *testing.T) {
	l := createLog(t, openManager(t, plain(), t.TempDir()))
	for id := range int64(3) {
		if _, err := send(l, id, 0, 0, 1, id == 1); err != nil {
			t.Fatal(err)
		}
	}
	l.ExpireProducers(1700000000000+999, 1000)
	if n := len(l.ActiveProducers()); n != 3 {
		t.Errorf("%d producers are left too early", n)
	}
	l.ExpireProducers(1700000000000+1000, 1000)
	if got := l.ActiveProducers(); len(got) != 1 || got[0].ProducerID != 1 {
		t.Errorf("left: %+v", got)
	}
}

func TestSnapshotsAreAsJavaWritesThem(t *testing.T) {
	// The vectors of log-format.md section 20.
	p := producerState{}
	if got := p.encodeSnapshot(); cmp.Diff(unhex(t, "000148674bc700000000"), got) != "" {
		t.Errorf("empty: %x", got)
	}
	*p.entry(4000, 2) = producerEntry{epoch: 2, count: 1, coordinatorEpoch: -1, txnFirstOffset: -1, lastTimestamp: 1700000000000,
		batches: [remembered]sentBatch{{lastOffset: 109, timestamp: 1700000000000, lastSequence: 9, offsetDelta: 9}}}
	want := unhex(t, "000198cffc68000000010000000000000fa0000200000009000000000000006d000000090000018bcfe56800ffffffffffffffffffffffff")
	if got := p.encodeSnapshot(); cmp.Diff(want, got) != "" {
		t.Errorf("one producer: %x", got)
	}
	entries, err := decodeSnapshot(want)
	if err != nil || len(entries) != 1 || entries[0].producerEntry != *p.producers[4000] {
		t.Errorf("%+v, %v", entries, err)
	}
	for i := range want {
		damaged := slices.Clone(want)
		damaged[i] ^= 1
		if _, err := decodeSnapshot(damaged); err == nil {
			t.Errorf("a flipped bit in byte %d passes", i)
		}
		if _, err := decodeSnapshot(want[:i]); err == nil {
			t.Errorf("the first %d bytes pass", i)
		}
	}
}
