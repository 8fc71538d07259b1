package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker/loglevel"
)

func TestALineHasTheShapeOfLog4j(t *testing.T) {
	at := time.Date(2026, 1, 1, 10, 0, 0, 123_400_000, time.Local)
	for name, c := range map[string]struct {
		entry  zapcore.Entry
		fields []zapcore.Field
		want   string
	}{
		"a message": {zapcore.Entry{Message: "started", LoggerName: "kafka.server.KafkaServer"}, nil,
			"[2026-01-01 10:00:00,123] INFO started (kafka.server.KafkaServer)\n"},
		"fields stand behind the message in their order": {
			zapcore.Entry{Message: "elected", LoggerName: "x.Y", Level: zapcore.WarnLevel},
			[]zapcore.Field{zap.String("partition", "t-0"), zap.Int32("leader", 1), zap.Int32s("isr", []int32{1, 2}),
				zap.Duration("after", time.Second), zap.Error(errors.New("bad")), zap.Bool("clean", true)},
			"[2026-01-01 10:00:00,123] WARN elected [partition=t-0] [leader=1] [isr=[1 2]] [after=1s] [error=bad] [clean=true] (x.Y)\n"},
		"a value cannot forge a line": {
			zapcore.Entry{Message: "m", LoggerName: "x.Y"}, []zapcore.Field{zap.String("client", "a\n[2026] ERROR b")},
			"[2026-01-01 10:00:00,123] INFO m [client=\"a\\n[2026] ERROR b\"] (x.Y)\n"},
		"an exception stands below its line": {
			zapcore.Entry{Message: "Exiting", LoggerName: "x.Y", Level: zapcore.ErrorLevel},
			[]zapcore.Field{zap.String(throwableField, "java.lang.X: y")},
			"[2026-01-01 10:00:00,123] ERROR Exiting (x.Y)\njava.lang.X: y\n"},
		"a logger without a name": {zapcore.Entry{Message: "m"}, nil, "[2026-01-01 10:00:00,123] INFO m\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c.entry.Time = at
			if got := string(log4jLine(c.entry, nil, c.fields)); got != c.want {
				t.Errorf("got  %swant %s", got, c.want)
			}
		})
	}
}

func TestTheLastClassNamesTheLogger(t *testing.T) {
	for name, want := range map[string]string{
		"kafka.server.KafkaServer": "kafka.server.KafkaServer",
		"kafka.controller.KafkaController.kafka.controller.KafkaController": "kafka.controller.KafkaController",
		"kafka.server.ReplicaManager.state.change.logger":                   "state.change.logger",
		"org.apache.kafka.common.utils.AppInfoParser":                       "org.apache.kafka.common.utils.AppInfoParser",
		"kafka.Kafka$": "kafka.Kafka$",
		"":             "",
	} {
		if got := lastClass(name); got != want {
			t.Errorf("%s logs as %s, want %s", name, got, want)
		}
	}
}

// logFiles reads all files of a folder without the times in front of the lines.
func logFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = withoutTimes(string(data))
	}
	return files
}

func withoutTimes(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(line, "] ")
		b.WriteString(rest)
	}
	return b.String()
}

func TestLinesGoWhereKafkaPutsThem(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	var console strings.Builder
	logger, closeFiles := newServerLogger(&console, zapcore.InfoLevel, dir, loglevel.New(zapcore.InfoLevel))
	logger.Named("kafka.server.KafkaServer").Info("started")
	logger.Named("kafka.controller.KafkaController").With(zap.Int("controller", 1)).Info("elected", zap.Int("epoch", 2))
	logger.Named("state.change.logger").Info("leader moved")
	logger.Named("kafka.server.KafkaServer").Debug("not said")
	closeFiles()
	want := map[string]string{
		"server.log":       "INFO started (kafka.server.KafkaServer)\n",
		"controller.log":   "INFO elected [controller=1] [epoch=2] (kafka.controller.KafkaController)\n",
		"state-change.log": "INFO leader moved (state.change.logger)\n",
	}
	if diff := cmp.Diff(want, logFiles(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := withoutTimes(console.String()); got != want["server.log"] {
		t.Errorf("console has %q, want what server.log has", got)
	}
}

func TestALoggersLevelChangesWhileItSpeaks(t *testing.T) {
	dir := t.TempDir()
	levels := loglevel.New(zapcore.InfoLevel)
	logger, closeFiles := newServerLogger(io.Discard, loglevel.Trace, dir, levels)
	state := logger.Named("kafka.server.ReplicaManager").Named("state.change.logger").With(zap.Int("broker", 1))
	apis := logger.Named("kafka.server.KafkaApis")
	speak := func(when string) { apis.Debug(when); apis.Info(when); state.Debug(when) }
	speak("at first")
	levels.Set("kafka.server.KafkaApis", zapcore.DebugLevel)
	speak("with DEBUG for one")
	levels.Set("state.change.logger", loglevel.Trace)
	levels.Set("kafka.server.KafkaApis", loglevel.Fatal)
	speak("with TRACE for the other")
	levels.Unset("kafka.server.KafkaApis")
	levels.Unset("state.change.logger")
	speak("at last")
	closeFiles()
	want := map[string]string{
		"server.log": "INFO at first (kafka.server.KafkaApis)\n" +
			"DEBUG with DEBUG for one (kafka.server.KafkaApis)\nINFO with DEBUG for one (kafka.server.KafkaApis)\n" +
			"INFO at last (kafka.server.KafkaApis)\n",
		"state-change.log": "DEBUG with TRACE for the other [broker=1] (state.change.logger)\n",
	}
	if diff := cmp.Diff(want, logFiles(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestTheConsoleMayBeQuieterThanTheFiles(t *testing.T) {
	dir := t.TempDir()
	var console strings.Builder
	logger, closeFiles := newServerLogger(&console, zapcore.WarnLevel, dir, loglevel.New(zapcore.InfoLevel))
	logger.Named("a.B").Info("all is well")
	logger.Named("a.B").Warn("look here")
	closeFiles()
	if got, want := withoutTimes(console.String()), "WARN look here (a.B)\n"; got != want {
		t.Errorf("console has %q, want %q", got, want)
	}
	if got := logFiles(t, dir)["server.log"]; !strings.Contains(got, "all is well") {
		t.Errorf("server.log has %q", got)
	}
}

func TestAFolderThatCannotBeMadeLeavesTheConsole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var console strings.Builder
	logger, closeFiles := newServerLogger(&console, zapcore.InfoLevel, filepath.Join(file, "logs"), loglevel.New(zapcore.InfoLevel))
	defer closeFiles()
	logger.Named("kafka.controller.KafkaController").Info("elected")
	if got := console.String(); !strings.Contains(got, "no log files") || !strings.Contains(got, "elected") {
		t.Errorf("console has %q, want the reason and every line", got)
	}
}

func TestALogFileStartsAnewEachHour(t *testing.T) {
	dir := t.TempDir()
	f := &hourlyFile{path: filepath.Join(dir, "server.log")}
	first := time.Date(2026, 1, 1, 10, 59, 0, 0, time.Local)
	for i, at := range []time.Time{first, first.Add(30 * time.Second), first.Add(2 * time.Minute), first} {
		if err := f.write(at, []byte{'a' + byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	f.close()
	for name, want := range map[string]string{"server.log.2026-01-01-10": "ab", "server.log": "cd"} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != want {
			t.Errorf("%s holds %q (%v), want %q", name, data, err, want)
		}
	}
}
