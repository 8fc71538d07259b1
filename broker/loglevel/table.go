// Package loglevel says which loggers of a process speak, and lets that change while they do (KIP-412): to a client of
// the broker the loggers are a configuration resource of their own, BROKER_LOGGER.
//
// A process has one Table at most. Its owner is the program: tools makes it, the zap core of tools/logging.go asks it
// for every line, and broker/api changes it. A broker that is given none has one of its own, which no core asks; so
// brokers that share a test's process share no levels.
package loglevel

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// Root is the logger above all others. What has no level of its own, nor a parent with one, has the root's.
const Root = "root"

// Trace is log4j's level below DEBUG, which zap has no name for.
const Trace = zapcore.DebugLevel - 1

// Fatal is log4j's level above ERROR: whatever zap has there.
const Fatal = zapcore.DPanicLevel

// names are log4j's, which are what clients send, the quietest first.
var names = []struct {
	name  string
	level zapcore.Level
}{
	{"FATAL", Fatal},
	{"ERROR", zapcore.ErrorLevel},
	{"WARN", zapcore.WarnLevel},
	{"INFO", zapcore.InfoLevel},
	{"DEBUG", zapcore.DebugLevel},
	{"TRACE", Trace},
}

// Valid are the names of the levels in the order Kafka's messages list them.
const Valid = "DEBUG, ERROR, FATAL, INFO, TRACE, WARN"

// Parse finds a level by its name, which is in capitals.
func Parse(name string) (zapcore.Level, bool) {
	for _, n := range names {
		if n.name == name {
			return n.level, true
		}
	}
	return 0, false
}

// Name is the name of a level.
func Name(level zapcore.Level) string {
	for _, n := range names {
		if level >= n.level {
			return n.name
		}
	}
	return "TRACE"
}

// usual are the loggers that exist from the start: those zurau's brokers log by, and those that the log4j.properties
// shipped with Kafka names. log4j makes a logger with its class; here one that is not listed exists once it has spoken.
var usual = []string{
	"kafka",
	"kafka.authorizer.logger",
	"kafka.controller",
	"kafka.controller.KafkaController",
	"kafka.coordinator.transaction.ProducerIdManager",
	"kafka.log.LogCleaner",
	"kafka.log.LogManager",
	"kafka.network.RequestChannel$",
	"kafka.network.SocketServer",
	"kafka.request.logger",
	"kafka.server.KafkaApis",
	"kafka.server.KafkaConfig",
	"kafka.server.KafkaServer",
	"kafka.server.ReplicaManager",
	"kafka.server.ZkConfigManager",
	"kafka.zookeeper.ZooKeeperClient",
	"org.apache.kafka",
	"org.apache.zookeeper",
	"state.change.logger",
}

// Table holds the levels. Loggers are asked for many times a second and changed by hand, so readers share an immutable
// map, swapped under mu.
type Table struct {
	levels atomic.Pointer[levels]
	spoken sync.Map // names of loggers that had a line, string -> struct{}; a program has a few dozen
	mu     sync.Mutex
}

type levels struct {
	own    map[string]zapcore.Level // Root is always there
	lowest zapcore.Level            // of own
}

// New is a Table in which the root, and so every logger, has a level.
func New(root zapcore.Level) *Table {
	t := &Table{}
	t.levels.Store(&levels{map[string]zapcore.Level{Root: root}, root})
	return t
}

// Any tells whether any logger at all may speak at a level; it costs one load.
func (t *Table) Any(level zapcore.Level) bool { return level >= t.levels.Load().lowest }

// Enabled tells whether a logger speaks at a level.
func (t *Table) Enabled(logger string, level zapcore.Level) bool {
	l := t.levels.Load()
	if level < l.lowest {
		return false
	}
	if _, known := t.spoken.Load(logger); !known && logger != "" {
		t.spoken.Store(logger, struct{}{})
	}
	return level >= l.of(logger)
}

// of is the level of a logger: its own, or that of the closest parent, where a.b is the parent of a.b.C.
func (l *levels) of(logger string) zapcore.Level {
	for name := logger; name != ""; {
		if level, ok := l.own[name]; ok {
			return level
		}
		name = name[:max(0, strings.LastIndexByte(name, '.'))]
	}
	return l.own[Root]
}

// Exists tells whether there is a logger of that name. Only such a one has a level to set: a name mistyped must not
// look like a success.
func (t *Table) Exists(logger string) bool {
	_, ok := t.All()[logger]
	return ok
}

// All is the level in force of every logger.
func (t *Table) All() map[string]zapcore.Level {
	l := t.levels.Load()
	all := maps.Clone(l.own)
	for _, logger := range usual {
		all[logger] = l.of(logger)
	}
	t.spoken.Range(func(name, _ any) bool {
		all[name.(string)] = l.of(name.(string))
		return true
	})
	return all
}

// Set gives a logger a level of its own, which its children share that have none.
func (t *Table) Set(logger string, level zapcore.Level) {
	t.change(func(own map[string]zapcore.Level) { own[logger] = level })
}

// Unset takes a logger's own level away. The root keeps its level.
func (t *Table) Unset(logger string) {
	if logger != Root {
		t.change(func(own map[string]zapcore.Level) { delete(own, logger) })
	}
}

func (t *Table) change(edit func(own map[string]zapcore.Level)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := &levels{own: maps.Clone(t.levels.Load().own)}
	edit(next.own)
	next.lowest = next.own[Root]
	for _, level := range next.own {
		next.lowest = min(next.lowest, level)
	}
	t.levels.Store(next)
}
