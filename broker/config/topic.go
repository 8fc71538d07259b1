package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Topic is what one topic goes by: its overrides, else the broker's values, else the defaults. MS is
// milliseconds. Immutable; a change of configuration makes a new one.
type Topic struct {
	overrides map[string]string
	parsed    map[string]any // every topic key, as Key.parse gives it

	CleanupDelete  bool // cleanup.policy contains delete
	CleanupCompact bool // cleanup.policy contains compact

	CompressionType             string   `config:"compression.type"` // producer, uncompressed, gzip, snappy, lz4, zstd
	CompressionGzipLevel        int32    `config:"compression.gzip.level"`
	CompressionLZ4Level         int32    `config:"compression.lz4.level"`
	CompressionZstdLevel        int32    `config:"compression.zstd.level"`
	DeleteRetentionMS           int64    `config:"delete.retention.ms"`
	FileDeleteDelayMS           int64    `config:"file.delete.delay.ms"`
	FlushMessages               int64    `config:"flush.messages"`
	FlushMS                     int64    `config:"flush.ms"`
	IndexIntervalBytes          int32    `config:"index.interval.bytes"`
	MaxCompactionLagMS          int64    `config:"max.compaction.lag.ms"`
	MinCompactionLagMS          int64    `config:"min.compaction.lag.ms"`
	MinCleanableDirtyRatio      float64  `config:"min.cleanable.dirty.ratio"`
	MaxMessageBytes             int32    `config:"max.message.bytes"`
	MessageDownconversionEnable bool     `config:"message.downconversion.enable"`
	MessageTimestampType        string   `config:"message.timestamp.type"`          // CreateTime or LogAppendTime
	MessageTimestampBeforeMaxMS int64    `config:"message.timestamp.before.max.ms"` // else the old difference key
	MessageTimestampAfterMaxMS  int64    `config:"message.timestamp.after.max.ms"`  // else the old difference key
	MinInsyncReplicas           int32    `config:"min.insync.replicas"`
	Preallocate                 bool     `config:"preallocate"`
	RetentionBytes              int64    `config:"retention.bytes"` // -1: no limit
	RetentionMS                 int64    `config:"retention.ms"`    // -1: no limit
	SegmentBytes                int32    `config:"segment.bytes"`
	SegmentIndexBytes           int32    `config:"segment.index.bytes"`
	SegmentJitterMS             int64    `config:"segment.jitter.ms"`
	SegmentMS                   int64    `config:"segment.ms"`
	UncleanLeaderElectionEnable bool     `config:"unclean.leader.election.enable"`
	LeaderThrottledReplicas     []string `config:"leader.replication.throttled.replicas"`
	FollowerThrottledReplicas   []string `config:"follower.replication.throttled.replicas"`
}

// LogAppendTime says whether the broker stamps the records of this topic.
func (t *Topic) LogAppendTime() bool { return t.MessageTimestampType == "LogAppendTime" }

// Overrides are the topic's own settings, as kept in /config/topics. Not to be changed.
func (t *Topic) Overrides() map[string]string { return t.overrides }

// Topic is the configuration of a topic with the given overrides. What is wrong is said in Kafka's words,
// with the code of INVALID_CONFIG.
func (b *Broker) Topic(overrides map[string]string) (*Topic, error) {
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if topicKeysByName[name] == nil {
			return nil, &Error{invalidConfiguration, "Unknown topic config name: " + name}
		}
	}
	t := &Topic{overrides: maps.Clone(overrides), parsed: make(map[string]any, len(topicKeys))}
	for i := range topicKeys {
		k := &topicKeys[i]
		text, set := overrides[k.Name]
		if !set {
			t.parsed[k.Name] = b.topicDefault(k)
			continue
		}
		v, err := k.parse(text)
		if err != nil {
			return nil, err
		}
		t.parsed[k.Name] = v
	}
	fill(t, t.parsed)
	if err := t.derive(); err != nil {
		return nil, err
	}
	return t, nil
}

// derive works out the fields that no single key gives and holds what several keys must agree on.
func (t *Topic) derive() error {
	policy := t.parsed["cleanup.policy"].([]string)
	t.CleanupDelete = slices.Contains(policy, "delete")
	t.CleanupCompact = slices.Contains(policy, "compact")
	difference := t.parsed["message.timestamp.difference.max.ms"].(int64)
	if t.MessageTimestampBeforeMaxMS == math.MaxInt64 {
		t.MessageTimestampBeforeMaxMS = difference
	}
	if t.MessageTimestampAfterMaxMS == math.MaxInt64 {
		t.MessageTimestampAfterMaxMS = difference
	}
	if t.MinCompactionLagMS > t.MaxCompactionLagMS {
		return &Error{invalidConfiguration, fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > "+
			"max.compaction.lag.ms (%d)", t.MinCompactionLagMS, t.MaxCompactionLagMS)}
	}
	if t.parsed["remote.storage.enable"].(bool) {
		return refuse("Tiered Storage functionality is disabled in the broker. " +
			"Topic cannot be configured with remote log storage.")
	}
	return nil
}

// topicDefault is what a topic without an override gets: the first broker key that is set, in the topic key's
// unit.
func (b *Broker) topicDefault(k *TopicKey) any {
	for _, s := range k.Synonyms {
		switch v := b.parsed[s.Name].(type) {
		case nil:
		case int64:
			if v *= s.Factor; v < 0 && k.Name == "retention.ms" {
				v = -1
			}
			return v
		default:
			return v
		}
	}
	v, _ := parseType(k.Type, k.Default)
	return v
}
