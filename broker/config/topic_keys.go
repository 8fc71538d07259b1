package config

// TopicKey is one row of the topic table: a key, and the broker keys that give its default, in order of
// precedence.
type TopicKey struct {
	Key
	Synonyms []Synonym
}

// Synonym is a broker key that stands behind a topic key. Factor turns its unit into that of the topic key.
type Synonym struct {
	Name   string
	Factor int64
}

const (
	msPerMinute = 60 * 1000
	msPerHour   = 60 * msPerMinute
)

func from(name string) []Synonym { return []Synonym{{name, 1}} }

// topicKeys are the topic level keys: name, type, default where no broker key gives one, bounds; broker keys.
var topicKeys = []TopicKey{
	{Key{"cleanup.policy", List, "delete", eachOf("compact", "delete"), 0}, from("log.cleanup.policy")},
	{Key{"compression.gzip.level", Int, "-1", gzipLevel, 0}, from("compression.gzip.level")},
	{Key{"compression.lz4.level", Int, "9", between(1, 17), 0}, from("compression.lz4.level")},
	{Key{"compression.type", String, "producer", compressionType, 0}, from("compression.type")},
	{Key{"compression.zstd.level", Int, "3", between(-131072, 22), 0}, from("compression.zstd.level")},
	{Key{"delete.retention.ms", Long, "86400000", atLeast(0), 0}, from("log.cleaner.delete.retention.ms")},
	{Key{"file.delete.delay.ms", Long, "60000", atLeast(0), 0}, from("log.segment.delete.delay.ms")},
	{Key{"flush.messages", Long, maxLong, atLeast(1), 0}, from("log.flush.interval.messages")},
	{Key{"flush.ms", Long, maxLong, atLeast(0), 0},
		[]Synonym{{"log.flush.interval.ms", 1}, {"log.flush.scheduler.interval.ms", 1}}},
	{Key{"follower.replication.throttled.replicas", List, "", throttledReplicas, 0}, nil},
	{Key{"index.interval.bytes", Int, "4096", atLeast(0), 0}, from("log.index.interval.bytes")},
	{Key{"leader.replication.throttled.replicas", List, "", throttledReplicas, 0}, nil},
	{Key{"local.retention.bytes", Long, "-2", atLeast(-2), 0}, from("log.local.retention.bytes")},
	{Key{"local.retention.ms", Long, "-2", atLeast(-2), 0}, from("log.local.retention.ms")},
	{Key{"max.compaction.lag.ms", Long, maxLong, atLeast(1), 0}, from("log.cleaner.max.compaction.lag.ms")},
	{Key{"max.message.bytes", Int, "1048588", atLeast(0), 0}, from("message.max.bytes")},
	{Key{"message.downconversion.enable", Boolean, "true", nil, 0}, from("log.message.downconversion.enable")},
	{Key{"message.format.version", String, "3.0-IV1", protocolVersion, 0}, from("log.message.format.version")},
	{Key{"message.timestamp.after.max.ms", Long, maxLong, atLeast(0), 0}, from("log.message.timestamp.after.max.ms")},
	{Key{"message.timestamp.before.max.ms", Long, maxLong, atLeast(0), 0}, from("log.message.timestamp.before.max.ms")},
	{Key{"message.timestamp.difference.max.ms", Long, maxLong, atLeast(0), 0},
		from("log.message.timestamp.difference.max.ms")},
	{Key{"message.timestamp.type", String, "CreateTime", oneOf("CreateTime", "LogAppendTime"), 0},
		from("log.message.timestamp.type")},
	{Key{"min.cleanable.dirty.ratio", Double, "0.5", between(0, 1), 0}, from("log.cleaner.min.cleanable.ratio")},
	{Key{"min.compaction.lag.ms", Long, "0", atLeast(0), 0}, from("log.cleaner.min.compaction.lag.ms")},
	{Key{"min.insync.replicas", Int, "1", atLeast(1), 0}, from("min.insync.replicas")},
	{Key{"preallocate", Boolean, "false", nil, 0}, from("log.preallocate")},
	{Key{"remote.log.copy.disable", Boolean, "false", nil, 0}, nil},
	{Key{"remote.log.delete.on.disable", Boolean, "false", nil, 0}, nil},
	{Key{"remote.storage.enable", Boolean, "false", nil, 0}, nil},
	{Key{"retention.bytes", Long, "-1", nil, 0}, from("log.retention.bytes")},
	{Key{"retention.ms", Long, "604800000", atLeast(-1), 0},
		[]Synonym{{"log.retention.ms", 1}, {"log.retention.minutes", msPerMinute}, {"log.retention.hours", msPerHour}}},
	{Key{"segment.bytes", Int, "1073741824", atLeast(14), 0}, from("log.segment.bytes")},
	{Key{"segment.index.bytes", Int, "10485760", atLeast(4), 0}, from("log.index.size.max.bytes")},
	{Key{"segment.jitter.ms", Long, "0", atLeast(0), 0},
		[]Synonym{{"log.roll.jitter.ms", 1}, {"log.roll.jitter.hours", msPerHour}}},
	{Key{"segment.ms", Long, "604800000", atLeast(1), 0},
		[]Synonym{{"log.roll.ms", 1}, {"log.roll.hours", msPerHour}}},
	{Key{"unclean.leader.election.enable", Boolean, "false", nil, 0}, from("unclean.leader.election.enable")},
}

var topicKeysByName = func() map[string]*TopicKey {
	m := make(map[string]*TopicKey, len(topicKeys))
	for i := range topicKeys {
		m[topicKeys[i].Name] = &topicKeys[i]
	}
	return m
}()
