package loglevel

import (
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

func TestALevelHoldsForALoggerAndItsChildren(t *testing.T) {
	levels := New(zapcore.InfoLevel)
	levels.Set("kafka.server", zapcore.DebugLevel)
	levels.Set("kafka.server.KafkaApis", zapcore.WarnLevel)
	for name, c := range map[string]struct {
		logger string
		level  zapcore.Level
		want   bool
	}{
		"its own level":                            {"kafka.server.KafkaApis", zapcore.WarnLevel, true},
		"below its own level":                      {"kafka.server.KafkaApis", zapcore.InfoLevel, false},
		"a child of a parent with a level":         {"kafka.server.ReplicaManager", zapcore.DebugLevel, true},
		"a child of a child":                       {"kafka.server.KafkaApis.x.Y", zapcore.InfoLevel, false},
		"a name that only begins like a parent":    {"kafka.serverless.X", zapcore.DebugLevel, false},
		"a stranger has the root's level":          {"state.change.logger", zapcore.InfoLevel, true},
		"a stranger below the root's level":        {"state.change.logger", zapcore.DebugLevel, false},
		"a logger without a name is the root":      {"", zapcore.InfoLevel, true},
		"nobody speaks below the lowest of all":    {"kafka.server.ReplicaManager", Trace, false},
		"what is worse than an error is heeded":    {"kafka.server.KafkaApis", zapcore.FatalLevel, true},
		"a dot alone has no parent to look for":    {".", zapcore.InfoLevel, true},
		"a dot at the beginning is part of a name": {".kafka", zapcore.DebugLevel, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := levels.Enabled(c.logger, c.level); got != c.want {
				t.Errorf("%s of %q: %v", Name(c.level), c.logger, got)
			}
		})
	}
}

func TestALevelTakenAwayIsTheParentsAgain(t *testing.T) {
	levels := New(zapcore.InfoLevel)
	levels.Set("kafka.server.KafkaApis", Trace)
	if !levels.Any(Trace) || levels.All()["kafka.server.KafkaApis"] != Trace {
		t.Error("the level was not set")
	}
	levels.Unset("kafka.server.KafkaApis")
	levels.Unset("kafka.server.KafkaApis")
	levels.Unset(Root)
	if levels.Any(zapcore.DebugLevel) || !levels.Any(zapcore.InfoLevel) {
		t.Error("the level was not taken away, or the root's was")
	}
	levels.Set(Root, zapcore.ErrorLevel)
	if levels.Enabled("kafka.server.KafkaApis", zapcore.WarnLevel) {
		t.Error("the root's new level does not hold for its children")
	}
}

func TestALoggerExistsOnceItHasSpoken(t *testing.T) {
	levels := New(zapcore.InfoLevel)
	if levels.Exists("a.New") || !levels.Exists(Root) || !levels.Exists("kafka.server.KafkaApis") {
		t.Error("before anybody spoke")
	}
	levels.Enabled("a.New", zapcore.InfoLevel)
	if !levels.Exists("a.New") || levels.All()["a.New"] != zapcore.InfoLevel {
		t.Error("after it spoke")
	}
}

func TestLevelsHaveTheNamesOfLog4j(t *testing.T) {
	for _, name := range strings.Split(Valid, ", ") {
		level, ok := Parse(name)
		if !ok || Name(level) != name {
			t.Errorf("%s is %d and that is %s", name, level, Name(level))
		}
	}
	for _, name := range []string{"", "debug", "OFF", "ALL", " INFO"} {
		if _, ok := Parse(name); ok {
			t.Errorf("%q is no level", name)
		}
	}
	if Name(zapcore.FatalLevel) != "FATAL" || Name(Trace-1) != "TRACE" {
		t.Error("a level beyond the ends has no name")
	}
	if !slices.IsSorted(usual) {
		t.Error("the loggers are not in order")
	}
}
