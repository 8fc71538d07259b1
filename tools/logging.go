package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker/loglevel"
)

// brokerLogFiles routes by the beginning of the logger's name, as the log4j.properties shipped with Kafka
// does. A line that matches goes to that file alone, every other line to stdout and server.log.
var brokerLogFiles = []struct{ logger, file string }{
	{"kafka.controller", "controller.log"},
	{"state.change.logger", "state-change.log"},
	{"kafka.request.logger", "kafka-request.log"},
	{"kafka.log.LogCleaner", "log-cleaner.log"},
	{"kafka.authorizer.logger", "kafka-authorizer.log"},
}

// newToolLogger logs what a person should see, WARN and above, on stderr.
func newToolLogger(stderr io.Writer) *zap.Logger {
	sink := &logSink{console: stderr, consoleLevel: zapcore.WarnLevel}
	return zap.New(&log4jCore{levels: loglevel.New(zapcore.WarnLevel), sink: sink})
}

// newServerLogger logs what levels let pass in the files of dir, and what reaches consoleLevel too on stdout. A dir
// that cannot be written is said once on stdout and then done without. The caller keeps levels, to let clients change
// them.
func newServerLogger(stdout io.Writer, consoleLevel zapcore.Level, dir string, levels *loglevel.Table) (logger *zap.Logger, closeFiles func()) {
	sink := &logSink{console: stdout, consoleLevel: consoleLevel, dir: dir}
	err := os.MkdirAll(dir, 0o755)
	if err != nil {
		sink.dir = ""
	}
	logger = zap.New(&log4jCore{levels: levels, sink: sink})
	if err != nil {
		logger.Named("kafka.utils.Logging").Warn("no log files", zap.Error(err))
	}
	return logger, sink.close
}

// logDir is LOG_DIR, else the folder logs beside the bin that holds this program.
func logDir() string {
	if dir := os.Getenv("LOG_DIR"); dir != "" {
		return dir
	}
	self, err := os.Executable()
	if err != nil {
		return "logs"
	}
	return filepath.Join(filepath.Dir(filepath.Dir(self)), "logs")
}

// log4jCore writes entries in the shape of Kafka's pattern [%d] %p %m (%c), with the fields as [k=v] behind
// the message.
type log4jCore struct {
	levels *loglevel.Table
	sink   *logSink
	fields []zapcore.Field // of loggers made by With
}

// With implements zapcore.Core.
func (c *log4jCore) With(fields []zapcore.Field) zapcore.Core {
	clone := *c
	clone.fields = append(c.fields[:len(c.fields):len(c.fields)], fields...)
	return &clone
}

// Enabled implements zapcore.Core: whether some logger speaks at the level. Check knows which one is speaking.
func (c *log4jCore) Enabled(level zapcore.Level) bool { return c.levels.Any(level) }

// Check implements zapcore.Core.
func (c *log4jCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && c.levels.Enabled(lastClass(e.LoggerName), e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write implements zapcore.Core.
func (c *log4jCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.LoggerName = lastClass(e.LoggerName)
	return c.sink.write(e, log4jLine(e, c.fields, fields))
}

// Sync implements zapcore.Core; every line is written when it is logged.
func (c *log4jCore) Sync() error { return nil }

// throwableField is a string field that stands below its line, where log4j puts an exception.
const throwableField = "throwable"

// lastClass is what counts of a logger's name. Rooms name their loggers by the log4j classes people know; zap
// strings the names of nested loggers together, and the last class, which begins behind a capitalized word,
// is the one that speaks.
func lastClass(name string) string {
	words := strings.Split(name, ".")
	for i := len(words) - 1; i > 0; i-- {
		if startsUpper(words[i-1]) && !startsUpper(words[i]) {
			return strings.Join(words[i:], ".")
		}
	}
	return name
}

func startsUpper(word string) bool { return word != "" && unicode.IsUpper(rune(word[0])) }

// log4jLine renders one entry, ending with a newline; what log4j puts below it follows on lines of its own.
func log4jLine(e zapcore.Entry, fieldSets ...[]zapcore.Field) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %s %s", log4jTime(e.Time), loglevel.Name(e.Level), e.Message)
	below := e.Stack
	for _, fields := range fieldSets {
		for _, f := range fields {
			if f.Key == throwableField {
				below = f.String
				continue
			}
			values := zapcore.NewMapObjectEncoder()
			f.AddTo(values)
			if v, ok := values.Fields[f.Key]; ok {
				fmt.Fprintf(&b, " [%s=%s]", f.Key, fieldText(v))
			}
		}
	}
	if e.LoggerName != "" {
		fmt.Fprintf(&b, " (%s)", e.LoggerName)
	}
	b.WriteByte('\n')
	if below != "" {
		b.WriteString(below)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// fieldText keeps a value on its line: what a client sent must not forge log lines.
func fieldText(v any) string {
	s := fmt.Sprint(v)
	if strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return strconv.Quote(s)
	}
	return s
}

func log4jTime(t time.Time) string {
	return strings.Replace(t.Format("2006-01-02 15:04:05.000"), ".", ",", 1)
}

// logSink is where lines go: a console and, for servers, the files of a folder. Each file is moved aside once
// an hour, named by the hour it holds, as Kafka's appenders do.
type logSink struct {
	console      io.Writer
	consoleLevel zapcore.Level
	dir          string // "" for a tool: console only
	mu           struct {
		sync.Mutex
		files map[string]*hourlyFile
	}
}

func (s *logSink) write(e zapcore.Entry, line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	file := "server.log"
	for _, route := range brokerLogFiles {
		if strings.HasPrefix(e.LoggerName, route.logger) {
			file = route.file
		}
	}
	var err error
	if e.Level >= s.consoleLevel && (file == "server.log" || s.dir == "") {
		_, err = s.console.Write(line)
	}
	if s.dir == "" {
		return err
	}
	f := s.mu.files[file]
	if f == nil {
		if s.mu.files == nil {
			s.mu.files = map[string]*hourlyFile{}
		}
		f = &hourlyFile{path: filepath.Join(s.dir, file)}
		s.mu.files[file] = f
	}
	return f.write(e.Time, line)
}

func (s *logSink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.mu.files {
		f.close()
	}
	s.mu.files = nil
}

// hourlyFile is a log file that starts anew each hour.
type hourlyFile struct {
	path string
	hour time.Time
	file *os.File
}

func (f *hourlyFile) write(at time.Time, line []byte) error {
	if hour := at.Truncate(time.Hour); f.file == nil || hour.After(f.hour) {
		if f.file != nil {
			f.close()
			_ = os.Rename(f.path, f.path+f.hour.Format(".2006-01-02-15")) // kept in one file if it cannot be moved
		}
		file, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		f.file, f.hour = file, hour
	}
	_, err := f.file.Write(line)
	return err
}

func (f *hourlyFile) close() {
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}
}
