package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zurau/zurau/producer"
)

// kafka-producer-perf-test (Kafka: ProducerPerformance): sends records as fast as asked and prints rates and latencies.

var performanceParser = &argparser{
	program:     "producer-performance",
	description: "Measures how fast records can be produced.",
	arguments: []argument{
		{name: "--topic", required: true, help: "The topic to send to."},
		{name: "--num-records", required: true, number: "Long", help: "How many records to send."},
		{name: "--record-size", number: "Integer", help: "Bytes of each record."},
		{name: "--payload-file", against: "--record-size", help: "File of records to pick from, instead of random ones."},
		{name: "--payload-delimiter", fallback: `\n`, help: "What stands between the records of the file."},
		{name: "--throughput", required: true, number: "Integer", help: "Records a second at most; -1 for no limit."},
		{name: "--producer-props", many: true, help: "Properties of the producer, name=value each; they win over the file."},
		{name: "--producer.config", help: "File of properties for the producer."},
		{name: "--print-metrics", flag: true, help: "Print the producer's own metrics at the end."},
		{name: "--transactional-id", fallback: "performance-producer-default-transactional-id",
			help: "The transactional id, used when --transaction-duration-ms is above 0."},
		{name: "--transaction-duration-ms", number: "Long", fallback: "0",
			help: "How long a transaction lasts, in ms; 0 for none."},
	},
}

// performanceRun is one measurement.
type performanceRun struct {
	topic       string
	records     int64
	throughput  int64 // records a second, -1 for no limit
	size        int   // bytes, when there are no payloads
	payloads    [][]byte
	transaction time.Duration // 0: none
	producer    *producer.Producer
	stats       *performanceStats
}

func runProducerPerformance(ctx context.Context, args []string, io stdio) int {
	if len(args) == 0 || slices.Contains(args, "-h") || slices.Contains(args, "--help") {
		performanceParser.printHelp(io.Out)
		return 0
	}
	given, err := performanceParser.parse(args)
	if err == nil && !given.has("--producer-props") && !given.has("--producer.config") {
		err = argumentError("Either --producer-props or --producer.config must be specified.")
	}
	if err != nil {
		performanceParser.fail(io.Err, err)
		return 1
	}
	collectLess()
	if err := measureProducer(ctx, given, io); err != nil {
		if ctx.Err() != nil {
			return signalStatus(ctx)
		}
		return uncaught(io.Err, err)
	}
	return 0
}

func measureProducer(ctx context.Context, given arguments, io stdio) (err error) {
	r := &performanceRun{
		topic:       given.str("--topic"),
		records:     given.int64("--num-records"),
		throughput:  given.int64("--throughput"),
		size:        int(given.int64("--record-size")),
		transaction: time.Duration(given.int64("--transaction-duration-ms")) * time.Millisecond,
		stats:       newPerformanceStats(io.Out, newProgress(io.Err, "records", given.int64("--num-records"))),
	}
	if r.size < 0 {
		return &javaError{class: "java.lang.NegativeArraySizeException", message: given.str("--record-size")}
	}
	if given.has("--payload-file") {
		if r.payloads, err = readPayloads(given.str("--payload-file"), given.str("--payload-delimiter"), io.Out); err != nil {
			return err
		}
	}
	config, err := performanceConfig(given, r.transaction > 0)
	if err != nil {
		return err
	}
	config.Logger = newToolLogger(io.Err)
	if r.producer, err = producer.New(config); err != nil {
		return err
	}
	sent := r.send(ctx, io.Err)
	if err := errors.Join(sent, closeProducer(ctx, r.producer)); err != nil {
		return err
	}
	r.stats.finish()
	if given.has("--print-metrics") {
		printMetrics(io.Out, r.producer.Metrics())
	}
	return nil
}

// performanceConfig lays the words over the file. The defaults are those of 2.8's producer.
func performanceConfig(given arguments, transactional bool) (*producer.Config, error) {
	props := map[string]string{"acks": "1", "enable.idempotence": "false"}
	loaded, err := loadProperties(given.str("--producer.config"))
	if err != nil {
		return nil, err
	}
	maps.Copy(props, loaded.Map())
	for _, word := range given["--producer-props"] {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, illegalArgument("Invalid property: %s", word)
		}
		props[name] = value
	}
	if transactional {
		props["transactional.id"] = given.str("--transactional-id")
		props["acks"], props["enable.idempotence"] = "all", "true"
	}
	return producer.NewConfig(props)
}

// readPayloads reads the records of a file.
func readPayloads(name, delimiter string, out io.Writer) ([][]byte, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "Reading payloads from: %s\n", path)
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return nil, illegalArgument("File does not exist or empty file provided.")
	}
	if delimiter == `\n` {
		delimiter = "\n"
	}
	var payloads [][]byte
	for text := range strings.SplitSeq(strings.TrimSuffix(string(data), delimiter), delimiter) {
		payloads = append(payloads, []byte(text))
	}
	fmt.Fprintf(out, "Number of messages read: %d\n", len(payloads))
	return payloads, nil
}

// send sends all records, no faster than asked. A record that fails is said on stderr and not counted.
func (r *performanceRun) send(ctx context.Context, stderr io.Writer) error {
	payload := make([]byte, r.size)
	for i := range payload {
		payload[i] = byte('A' + rand.IntN(26))
	}
	start := time.Now()
	var transactionEnds time.Time
	for i := range r.records {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if r.transaction > 0 && transactionEnds.IsZero() {
			if err := r.producer.BeginTransaction(); err != nil {
				return err
			}
			transactionEnds = time.Now().Add(r.transaction)
		}
		value := payload // of this turn: the callback runs later
		if len(r.payloads) > 0 {
			value = r.payloads[rand.IntN(len(r.payloads))]
		}
		began := time.Now()
		r.producer.Send(ctx, producer.NewRecord(r.topic, nil, value), func(_ producer.Position, err error) {
			if err != nil {
				fmt.Fprint(stderr, stackTrace(err))
				return
			}
			r.stats.record(began, time.Now(), len(value))
		})
		if r.transaction > 0 && !time.Now().Before(transactionEnds) {
			if err := r.producer.CommitTransaction(); err != nil {
				return err
			}
			transactionEnds = time.Time{}
		}
		if err := r.throttle(ctx, start, i+1); err != nil {
			return err
		}
	}
	if r.transaction > 0 && !transactionEnds.IsZero() {
		return r.producer.CommitTransaction()
	}
	return nil
}

// throttle waits until n records since start are not too many.
func (r *performanceRun) throttle(ctx context.Context, start time.Time, n int64) error {
	if r.throughput <= 0 {
		return nil
	}
	ahead := time.Duration(float64(n)/float64(r.throughput)*float64(time.Second)) - time.Since(start)
	if ahead < 2*time.Millisecond { // shorter naps cost more than they are worth
		return nil
	}
	return pause(ctx, ahead)
}

// reportEvery is how often a line about the last window is printed.
const reportEvery = 5 * time.Second

// latencySamples bounds the memory of a run; beyond it every second sample goes, and so on.
const latencySamples = 500_000

// performanceStats counts. Its methods may be called from any goroutine.
type performanceStats struct {
	out      io.Writer
	progress progress
	start    time.Time

	mu struct {
		sync.Mutex
		whole, window performanceWindow
		windowStart   time.Time
		samples       []time.Duration
		every         int64 // each every-th latency is a sample
	}
}

// performanceWindow sums up some time.
type performanceWindow struct {
	records, bytes int64
	latency, worst time.Duration
}

func (w *performanceWindow) add(latency time.Duration, size int) {
	w.records++
	w.bytes += int64(size)
	w.latency += latency
	w.worst = max(w.worst, latency)
}

func newPerformanceStats(out io.Writer, p progress) *performanceStats {
	s := &performanceStats{out: out, progress: p, start: time.Now()}
	s.mu.windowStart, s.mu.every = s.start, 1
	return s
}

// record counts a record that was sent at began and acknowledged at now, and prints a line when a window is over.
func (s *performanceStats) record(began, now time.Time, size int) {
	s.progress.add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	latency := now.Sub(began).Truncate(time.Millisecond) // Kafka measures in whole ms
	if s.mu.whole.records%s.mu.every == 0 {
		s.mu.samples = append(s.mu.samples, latency)
		if len(s.mu.samples) > latencySamples {
			for i := range len(s.mu.samples) / 2 {
				s.mu.samples[i] = s.mu.samples[2*i]
			}
			s.mu.samples = s.mu.samples[:len(s.mu.samples)/2]
			s.mu.every *= 2
		}
	}
	s.mu.whole.add(latency, size)
	s.mu.window.add(latency, size)
	if elapsed := now.Sub(s.mu.windowStart); elapsed >= reportEvery {
		w := s.mu.window
		fmt.Fprintf(s.out, "%d records sent, %.1f records/sec (%.2f MB/sec), %.1f ms avg latency, %.1f ms max latency.\n",
			w.records, perSecond(w.records, elapsed), perSecond(w.bytes, elapsed)/(1<<20), millis(w.latency)/float64(w.records),
			millis(w.worst))
		s.mu.window, s.mu.windowStart = performanceWindow{}, now
	}
}

// finish prints the line about the whole run.
func (s *performanceStats) finish() {
	s.progress.done()
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed, w := time.Since(s.start), s.mu.whole
	slices.Sort(s.mu.samples)
	fmt.Fprintf(s.out, "%d records sent, %f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms max latency, "+
		"%d ms 50th, %d ms 95th, %d ms 99th, %d ms 99.9th.\n",
		w.records, perSecond(w.records, elapsed), perSecond(w.bytes, elapsed)/(1<<20),
		millis(w.latency)/float64(max(w.records, 1)), millis(w.worst),
		percentile(s.mu.samples, 0.5), percentile(s.mu.samples, 0.95), percentile(s.mu.samples, 0.99),
		percentile(s.mu.samples, 0.999))
}

func perSecond(n int64, d time.Duration) float64 { return float64(n) / d.Seconds() }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile gives a quantile of sorted samples in ms.
func percentile(sorted []time.Duration, q float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Milliseconds()
}

// printMetrics prints a table of names and values, sorted.
func printMetrics(out io.Writer, values map[string]float64) {
	widest := len("Metric Name")
	for name := range values {
		widest = max(widest, len(name))
	}
	fmt.Fprintf(out, "\n%-*s   %s\n", widest, "Metric Name", "Value")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(out, "%-*s : %.3f\n", widest, name, values[name])
	}
}
