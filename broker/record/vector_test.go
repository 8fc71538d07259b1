package record

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Batches computed from the layout and checked with java.util.zip.CRC32C.
const (
	plainVector = "00000000000000000000003a0000000002e99b8dd80000000000000000018bcfe568000000018bcfe56800" +
		"ffffffffffffffffffffffffffff0000000110000000026b027600"
	commitVector = "0000000000000005000000420000000302e3e276810030000000000000018bcfe568000000018bcfe568000000000000000fa0" +
		"0002ffffffff000000012000000008000000010c00000000000700"
	messageVector = "00000000000000000000001839268c3301000000018bcfe56800000000016b0000000176"
	vectorTime    = 1700000000000
)

func unhex(t testing.TB, s string) Batch {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABatchOfOnePlainRecordHasTheKnownBytes(t *testing.T) {
	b := NewBuilder(Compression{Codec: None}, 1000)
	if err := b.Append(vectorTime, []byte("k"), []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	got, err := b.Finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	got.SetLeaderEpoch(0)
	if diff := cmp.Diff(plainVector, hex.EncodeToString(got)); diff != "" {
		t.Fatal(diff)
	}
	if err := got.CheckCRC(); err != nil {
		t.Fatal(err)
	}
}

func TestACommitMarkerHasTheKnownBytes(t *testing.T) {
	want := EndTxnMarker{ProducerID: 4000, ProducerEpoch: 2, Type: Commit, CoordinatorEpoch: 7, Timestamp: vectorTime}
	b := Batch(want.Append(nil))
	if len(b) != endTxnMarkerBytes {
		t.Errorf("marker has %d bytes", len(b))
	}
	b.SetBaseOffset(5)
	b.SetLeaderEpoch(3)
	if diff := cmp.Diff(commitVector, hex.EncodeToString(b)); diff != "" {
		t.Error(diff)
	}
	got, ok, err := ParseEndTxnMarker(unhex(t, commitVector))
	if err != nil || !ok || got != want {
		t.Errorf("parsed %+v, %v, %v", got, ok, err)
	}
}

func TestAMessageOfMagic1HasTheKnownBytes(t *testing.T) {
	b := AppendMessage(nil, 1, 0, None, CreateTime, vectorTime, []byte("k"), []byte("v"))
	if diff := cmp.Diff(messageVector, hex.EncodeToString(b)); diff != "" {
		t.Fatal(diff)
	}
}
