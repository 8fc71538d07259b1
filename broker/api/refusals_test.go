package api_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/brokertest"
	"github.com/zurau/zurau/broker/kerr"
)

func TestMetadataCreatesATopicUnlessItIsForbidden(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	for _, c := range []struct {
		topic   string
		version int16
		allow   bool
		want    *kerr.Error
	}{
		{"never", 4, false, kerr.UnknownTopicOrPartition},
		{"never", 12, false, kerr.UnknownTopicOrPartition},
		{"old", 3, false, kerr.LeaderNotAvailable}, // where nobody can forbid it
		{"new", 4, true, kerr.LeaderNotAvailable},
	} {
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation = c.allow
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: &c.topic}}
		if got := do[*kmsg.MetadataResponse](a, c.version, req).Topics[0].ErrorCode; got != c.want.Code {
			t.Errorf("%s, version %d: code %d, want %s", c.topic, c.version, got, c.want.Name)
		}
	}
}

func TestWhatIsValidatedOnlyIsNotDone(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 1)
	req := create("dry", 1, 1, nil)
	req.ValidateOnly = true
	if got := a.create(4, req); got.ErrorCode != 0 {
		t.Fatalf("validated: %s", result(got.ErrorCode, got.ErrorMessage))
	}
	a.mustCreate("dry", 1) // it is not there yet
	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.TimeoutMillis, grow.ValidateOnly = timeoutMS, true
	grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 2}}
	for _, only := range []bool{true, false} {
		grow.ValidateOnly = only
		if got := do[*kmsg.CreatePartitionsResponse](a, 3, grow).Topics[0]; got.ErrorCode != 0 {
			t.Errorf("one partition more, validated only: %v: %s", only, result(got.ErrorCode, got.ErrorMessage))
		}
	}
}

func TestTopicsAreTheControllersBusiness(t *testing.T) {
	c := brokertest.Start(t, brokertest.Brokers(2))
	a := ask(t, c, 0)
	other := 1 - int(do[*kmsg.MetadataResponse](a, 12, kmsg.NewPtrMetadataRequest()).ControllerID)
	a = ask(t, c, other)
	if got := a.create(4, create("t", 1, 1, nil)); got.ErrorCode != kerr.NotController.Code {
		t.Errorf("CreateTopics: %s", result(got.ErrorCode, got.ErrorMessage))
	}
	name := "t"
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TimeoutMillis = timeoutMS
	remove.TopicNames, remove.Topics = []string{name}, []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
	if got := do[*kmsg.DeleteTopicsResponse](a, 6, remove).Topics[0]; got.ErrorCode != kerr.NotController.Code {
		t.Errorf("DeleteTopics: %s", result(got.ErrorCode, got.ErrorMessage))
	}
	grow := kmsg.NewPtrCreatePartitionsRequest()
	grow.TimeoutMillis = timeoutMS
	grow.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 2}}
	if got := do[*kmsg.CreatePartitionsResponse](a, 3, grow).Topics[0]; got.ErrorCode != kerr.NotController.Code {
		t.Errorf("CreatePartitions: %s", result(got.ErrorCode, got.ErrorMessage))
	}
}

func TestAClientsSoftwareHasANameAndAVersion(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	for _, c := range []struct {
		name, version string
		ok            bool
	}{
		{"apache-kafka-java", "3.9.1", true},
		{"a", "1", true},
		{"", "1", false},
		{"a", "", false},
		{"a b", "1", false},
		{"a", "1\n", false},
		{"-a", "1", false},
		{"a", "1.", false},
	} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = c.name, c.version
		got := do[*kmsg.ApiVersionsResponse](a, 3, req).ErrorCode
		if want := kerr.InvalidRequest.Code; (got == 0) != c.ok || !c.ok && got != want {
			t.Errorf("%q %q: code %d", c.name, c.version, got)
		}
	}
}

func TestATransactionalIDIsCheckedBeforeItsCoordinatorIsMissed(t *testing.T) {
	a := ask(t, brokertest.Start(t, brokertest.Property("transaction.max.timeout.ms", "5000")), 0)
	for _, c := range []struct {
		id      string
		timeout int32
		want    *kerr.Error
	}{
		{"", 1000, kerr.InvalidRequest},
		{"tx", 0, kerr.InvalidTransactionTimeout},
		{"tx", -1, kerr.InvalidTransactionTimeout},
		{"tx", 5001, kerr.InvalidTransactionTimeout},
		{"tx", 5000, kerr.CoordinatorNotAvailable},
	} {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis = &c.id, c.timeout
		if got := do[*kmsg.InitProducerIDResponse](a, 4, req); got.ErrorCode != c.want.Code || got.ProducerID != -1 {
			t.Errorf("%q, %d ms: %+v, want %s", c.id, c.timeout, got, c.want.Name)
		}
	}
}

func TestTheAskersEpochIsCheckedSinceItIsInTheRequest(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 1)
	for version := int16(0); version <= 4; version++ {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.CurrentLeaderEpoch = 9
		req.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "t",
			Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
		want := int16(0)
		if version >= 2 {
			want = kerr.UnknownLeaderEpoch.Code
		}
		if got := do[*kmsg.OffsetForLeaderEpochResponse](a, version, req).Topics[0].Partitions[0].ErrorCode; got != want {
			t.Errorf("version %d: code %d, want %d", version, got, want)
		}
	}
}

func TestATopicGrowsOnceInARequest(t *testing.T) {
	a := ask(t, brokertest.Start(t), 0)
	a.mustCreate("t", 1)
	a.mustCreate("u", 1)
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = timeoutMS
	req.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "t", Count: 2}, {Topic: "t", Count: 3}, {Topic: "u", Count: 2}}
	resp := do[*kmsg.CreatePartitionsResponse](a, 3, req)
	for i, want := range []int16{kerr.InvalidRequest.Code, kerr.InvalidRequest.Code, 0} {
		if got := resp.Topics[i]; got.ErrorCode != want {
			t.Errorf("%s: %s", got.Topic, result(got.ErrorCode, got.ErrorMessage))
		}
	}
}
