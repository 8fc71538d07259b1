package main

import (
	"io"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/consumer"
)

const (
	offsetsFormatter      = "kafka.coordinator.group.GroupMetadataManager$OffsetsMessageFormatter"
	groupsFormatter       = "kafka.coordinator.group.GroupMetadataManager$GroupMetadataMessageFormatter"
	transactionsFormatter = "kafka.coordinator.transaction.TransactionLog$TransactionLogMessageFormatter"
)

func coordinatorSamples(t testing.TB) map[string]coordinatorRecord {
	t.Helper()
	p := topic.Partition{Topic: "t", ID: 3}
	protocol := "range"
	oldCommit := kmsg.OffsetCommitValue{Version: 1, Offset: 5, Metadata: "m", CommitTimestamp: 10, ExpireTimestamp: 20}
	return map[string]coordinatorRecord{
		"commit":      commitRecord("g", p, 5, untold{clock: 10, epoch: 2}),
		"old commit":  {commitRecord("g", p, 0, untold{}).key, oldCommit.AppendTo(nil)},
		"tombstone":   {key: groupKey("g")},
		"group":       {groupKey("g"), groupValue(2, &protocol, "c"+uuidTail, nil, untold{session: 10})},
		"transaction": transactionRecord(t, "x", "PrepareAbort", "t-1, a-0", 7, 1, 9, 3, 4),
		"bad value":   {commitRecord("g", p, 0, untold{}).key, []byte{0, 3, 1}},
		"later value": {commitRecord("g", p, 0, untold{}).key, []byte("0000-0000-0000-0000")},
		"short key":   {[]byte{0}, []byte("v")},
		"newer key":   {[]byte{0, 3, 0, 0}, []byte("v")},
		"no key":      {nil, []byte("v")},
	}
}

func TestCoordinatorFormatters(t *testing.T) {
	samples := coordinatorSamples(t)
	for _, c := range []struct{ name, class, sample, want, err string }{
		{"a commit with the epoch it was read in", offsetsFormatter, "commit",
			"[g,t,3]::OffsetAndMetadata(offset=5, leaderEpoch=Optional[2], metadata=, commitTimestamp=10, expireTimestamp=None)\n", ""},
		{"a commit of the time when clients said how long it is kept", offsetsFormatter, "old commit",
			"[g,t,3]::OffsetAndMetadata(offset=5, leaderEpoch=Optional.empty, metadata=m, commitTimestamp=10, " +
				"expireTimestamp=Some(20))\n", ""},
		{"a commit is none of a group's own", groupsFormatter, "commit", "", ""},
		{"a group is no commit", offsetsFormatter, "group", "", ""},
		{"a tombstone", groupsFormatter, "tombstone", "g::NULL\n", ""},
		{"a group with a member", groupsFormatter, "group", "g::GroupMetadata(groupId=g, generation=2, " +
			"protocolType=Some(consumer), currentState=Stable, members=HashMap(c" + uuidTail + " -> MemberMetadata(memberId=c" +
			uuidTail + ", groupInstanceId=None, clientId=c, clientHost=/127.0.0.1, sessionTimeoutMs=10, " +
			"rebalanceTimeoutMs=300000, supportedProtocols=List(range), )))\n", ""},
		{"a transaction on two partitions", transactionsFormatter, "transaction", "x::TransactionMetadata(transactionalId=x, " +
			"producerId=7, producerEpoch=1, txnTimeoutMs=9, state=PrepareAbort, pendingState=None, " +
			"topicPartitions=HashSet(a-0, t-1), txnStartTimestamp=3, txnLastUpdateTimestamp=4)\n", ""},
		{"a key of a later version is passed over", offsetsFormatter, "newer key", "", ""},
		{"a record without a key is passed over", transactionsFormatter, "no key", "", ""},
		{"a value that is cut off is an error", offsetsFormatter, "bad value", "", "The value of q-1 at offset 8 is not understood"},
		{"a value with tagged fields is an error and counts none of them", offsetsFormatter, "later value", "",
			"The value of q-1 at offset 8 is not understood"},
		{"a key that is cut off is an error", transactionsFormatter, "short key", "", "The key of q-1 at offset 8 is not understood"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := samples[c.sample]
			r := &consumer.Record{Partition: topic.Partition{Topic: "q", ID: 1}, Offset: 8, Key: s.key, Value: s.value}
			var out strings.Builder
			err := coordinatorFormatters[c.class].write(&out, r)
			if out.String() != c.want {
				t.Errorf("got  %s\nwant %s", out.String(), c.want)
			}
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

// FuzzCoordinatorFormatters wants no bytes to be more than an error.
func FuzzCoordinatorFormatters(f *testing.F) {
	for _, s := range coordinatorSamples(f) {
		f.Add(s.key, s.value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		for _, one := range coordinatorFormatters {
			_ = one.write(io.Discard, &consumer.Record{Key: key, Value: value})
		}
	})
}

func TestInternalTopicsAreReadByPatternOnlyWhenAskedFor(t *testing.T) {
	for value, want := range map[string]bool{"": false, "true": false, "false": true} {
		args := []string{"--bootstrap-server", "h:1", "--include", ".*"}
		if value != "" {
			args = append(args, "--consumer-property", "exclude.internal.topics="+value)
		}
		o, err := parseConsoleConsumerOptions(args)
		if err != nil {
			t.Fatal(err)
		}
		j, err := o.job(io.Discard)
		if err != nil || j.internal != want {
			t.Errorf("exclude.internal.topics=%s: internal %v, %v", value, j.internal, err)
		}
	}
}
