package api

import (
	"context"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/metadata"
	"github.com/zurau/zurau/broker/wire"
)

// introduce is an UpdateMetadata that names one broker and, if so, a partition.
func introduce(h *Handler, broker int32, partitions bool, change func(*kmsg.UpdateMetadataRequest)) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.BrokerEpoch = 8, -1
	req.LiveBrokers = []kmsg.UpdateMetadataRequestLiveBroker{{ID: broker}}
	if partitions {
		req.TopicStates = []kmsg.UpdateMetadataRequestTopicState{{Topic: "t",
			PartitionStates: []kmsg.UpdateMetadataRequestTopicPartition{{Leader: broker}}}}
	}
	if change != nil {
		change(req)
	}
	h.updateMetadata(context.Background(), nil, req)
}

func TestABrokerServesClientsOnceItsControllerHasIntroducedIt(t *testing.T) {
	const self, other = 1, 2
	for _, c := range []struct {
		name       string
		logs       int32
		broker     int32
		partitions bool
		change     func(*kmsg.UpdateMetadataRequest)
		want       bool
	}{
		{"another broker is named", 0, other, true, nil, false},
		{"it is named and has no logs", 0, self, false, nil, true},
		{"it is named and has logs, whose partitions are still to come", 1, self, false, nil, false},
		{"it is named with its partitions", 1, self, true, nil, true},
		{"by a controller that means an earlier life", 0, self, true, func(r *kmsg.UpdateMetadataRequest) { r.BrokerEpoch = 6 }, false},
		{"by a controller that knows of our next registration before us", 0, self, true, func(r *kmsg.UpdateMetadataRequest) { r.BrokerEpoch = 8 }, true},
		{"by a KRaft controller", 0, self, true, func(r *kmsg.UpdateMetadataRequest) { r.IsKRaftController = true }, false},
		{"by a controller that has been replaced", 0, self, true, func(r *kmsg.UpdateMetadataRequest) { r.ControllerEpoch = -1 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := data(t, c.logs)
			h.Metadata, h.BrokerEpoch = metadata.New(), func() int64 { return 7 }
			introduce(h, c.broker, c.partitions, c.change)
			if got := h.ready.isOpen(); got != c.want {
				t.Errorf("serves clients: %v", got)
			}
		})
	}
}

func TestWhatMayBeAskedBeforeTheIntroduction(t *testing.T) {
	h := data(t, 0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // who must wait is sent away at once
	for key, early := range map[int16]bool{0: false, 1: false, 3: false, 19: false, 4: true, 5: true, 6: true, 18: true, 56: true} {
		a := lookup(key)
		if a == nil || a.early != early {
			t.Errorf("key %d: early %v, want %v", key, a.early, early)
		}
		if !early {
			got, want := h.Handle(ctx, &wire.Request{Key: key}), wire.Close("the controller has not introduced this broker to the cluster yet")
			if !reflect.DeepEqual(got, want) {
				t.Errorf("key %d: got %+v", key, got)
			}
		}
	}
}
