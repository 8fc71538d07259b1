package api

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/broker/wire"
)

// tellIDsOnDisk tells the controller the ids, from partition.metadata, of topics that nobody has told this broker of
// since it started: the topics' znodes may have lost theirs to an old tool. The error of the answer stays.
func (h *Handler) tellIDsOnDisk(r *wire.Request, controller int32, topics []kmsg.MetadataResponseTopic) {
	if r.ClientID == nil || *r.ClientID != strconv.Itoa(int(controller)) {
		return
	}
	unknown := make(map[string]*kmsg.MetadataResponseTopic)
	for i := range topics {
		if t := &topics[i]; t.ErrorCode == kerr.UnknownTopicOrPartition.Code && t.Topic != nil {
			unknown[*t.Topic] = t
		}
	}
	if len(unknown) == 0 {
		return
	}
	for _, log := range h.Storage.Logs() {
		if t := unknown[log.Partition().Topic]; t != nil && topic.ID(t.TopicID).IsZero() {
			t.TopicID = log.TopicID()
		}
	}
}
