package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zurau/zurau/producer"
)

// kafka-verifiable-producer (Kafka: VerifiableProducer): sends numbers and prints a line of JSON for each thing that
// happens, for the programs that drive system tests.

var verifiableParser = &argparser{
	program:     "verifiable-producer",
	description: "Sends ascending numbers to a topic and prints what happens to each as a line of JSON.",
	arguments: []argument{
		{name: "--topic", required: true, help: "The topic to send to."},
		{name: "--bootstrap-server", help: "Brokers to start from, host:port list."},
		{name: "--broker-list", against: "--bootstrap-server", help: "The old name of --bootstrap-server."},
		{name: "--max-messages", number: "Integer", fallback: "-1", help: "How many records to send; -1 for no end."},
		{name: "--throughput", number: "Integer", fallback: "-1", help: "Records a second at most; -1 for no limit."},
		{name: "--acks", number: "Integer", fallback: "-1", help: "Who must have a record before it counts as sent: 0, 1 or -1 " +
			"for all."},
		{name: "--producer.config", help: "File of properties for the producer."},
		{name: "--message-create-time", number: "Long", fallback: "-1", help: "The time of the first record, in ms since 1970; " +
			"those behind it are as much later as they are sent later. -1 for the time of sending."},
		{name: "--value-prefix", number: "Integer", help: "A number that stands before each value, with a point between."},
		{name: "--repeating-keys", number: "Integer", help: "How many keys to go around; no keys when absent."},
	},
}

// verifiableProducer is one run of the tool.
type verifiableProducer struct {
	topic      string
	records    int64 // -1: no end
	throughput int64 // records a second, at most; -1 for no limit
	prefix     string
	keys       int64 // 0: none
	firstTime  int64 // of the first record, in ms; -1 for the clock
	start      time.Time
	producer   *producer.Producer
	events     eventLines
	sent       atomic.Int64
	acked      atomic.Int64
}

func runVerifiableProducer(ctx context.Context, args []string, io stdio) int {
	if len(args) == 0 || slices.Contains(args, "-h") || slices.Contains(args, "--help") {
		verifiableParser.printHelp(io.Out)
		return 0
	}
	given, err := verifiableParser.parse(args)
	if err != nil {
		verifiableParser.fail(io.Err, err)
		return 1
	}
	if err := produceVerifiably(ctx, given, io); err != nil {
		return uncaught(io.Err, err)
	}
	if ctx.Err() != nil {
		return signalStatus(ctx)
	}
	return 0
}

func produceVerifiably(ctx context.Context, given arguments, io stdio) error {
	v := &verifiableProducer{
		topic:      given.str("--topic"),
		records:    given.int64("--max-messages"),
		throughput: given.int64("--throughput"),
		keys:       given.int64("--repeating-keys"),
		firstTime:  given.int64("--message-create-time"),
		start:      time.Now(),
	}
	v.events.out = io.Out
	if given.has("--value-prefix") {
		v.prefix = given.str("--value-prefix") + "."
	}
	config, err := verifiableConfig(given)
	if err != nil {
		return err
	}
	config.Logger = newToolLogger(io.Err)
	if v.producer, err = producer.New(config); err != nil {
		return err
	}
	v.events.print("startup_complete", nil)
	v.send(ctx)
	err = closeProducer(ctx, v.producer)
	v.events.print("shutdown_complete", nil)
	v.events.print("tool_data", v.summary(time.Now()))
	if ctx.Err() != nil {
		return nil // the signal is what is told
	}
	return err
}

// verifiableConfig lays the file over the defaults: a record that is refused is not sent again.
func verifiableConfig(given arguments) (*producer.Config, error) {
	servers := given.str("--bootstrap-server") + given.str("--broker-list") // one of the two
	props := map[string]string{
		"bootstrap.servers": servers, "acks": given.str("--acks"), "retries": "0", "enable.idempotence": "false",
	}
	loaded, err := loadProperties(given.str("--producer.config"))
	if err != nil {
		return nil, err
	}
	maps.Copy(props, loaded.Map())
	return producer.NewConfig(props)
}

// send sends the records, no faster than asked, until ctx ends.
func (v *verifiableProducer) send(ctx context.Context) {
	limit := performanceRun{throughput: v.throughput}
	for i := int64(0); v.records < 0 || i < v.records; i++ {
		if ctx.Err() != nil {
			return
		}
		r := v.record(i, time.Now())
		v.sent.Add(1)
		v.producer.Send(ctx, r, func(at producer.Position, err error) {
			if err == nil {
				v.acked.Add(1)
			}
			v.events.print(v.outcome(r, at, err))
		})
		if limit.throttle(ctx, v.start, i+1) != nil {
			return
		}
	}
}

// record makes the i-th record.
func (v *verifiableProducer) record(i int64, now time.Time) producer.Record {
	var key []byte
	if v.keys > 0 {
		key = strconv.AppendInt(nil, i%v.keys, 10)
	}
	r := producer.NewRecord(v.topic, key, []byte(v.prefix+strconv.FormatInt(i, 10)))
	if v.firstTime >= 0 {
		r.Timestamp = time.UnixMilli(v.firstTime).Add(now.Sub(v.start))
	}
	return r
}

// summary is the last line.
func (v *verifiableProducer) summary(end time.Time) toolData {
	sent, acked := v.sent.Load(), v.acked.Load()
	perSecond := float64(acked) / end.Sub(v.start).Seconds()
	return toolData{sent, acked, v.throughput, perSecond}
}

// The members of the lines, in Kafka's order.

type sendSuccess struct {
	Key       *string `json:"key"`
	Value     string  `json:"value"`
	Offset    int64   `json:"offset"`
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
}

type sendError struct {
	Key       *string `json:"key"`
	Value     string  `json:"value"`
	Topic     string  `json:"topic"`
	Exception string  `json:"exception"`
	Message   string  `json:"message"`
}

type toolData struct {
	Sent             int64   `json:"sent"`
	Acked            int64   `json:"acked"`
	TargetThroughput int64   `json:"target_throughput"`
	AvgThroughput    float64 `json:"avg_throughput"` // acknowledged records a second
}

// outcome tells what became of a record.
func (v *verifiableProducer) outcome(r producer.Record, at producer.Position, err error) (name string, details any) {
	var key *string
	if r.Key != nil {
		text := string(r.Key)
		key = &text
	}
	if err == nil {
		return "producer_send_success", sendSuccess{key, string(r.Value), at.Offset, r.Topic, at.Partition}
	}
	j := asJava(err)
	return "producer_send_error", sendError{key, string(r.Value), r.Topic, "class " + j.class, j.message}
}

// eventLines prints what happens, a line of JSON each; safe for use by many goroutines.
type eventLines struct {
	mu  sync.Mutex // over out
	out io.Writer
}

// print writes the time in ms since 1970, the name, and the members of details, nil for none.
func (l *eventLines) print(name string, details any) {
	line := fmt.Appendf(nil, `{"timestamp":%d,"name":%q`, time.Now().UnixMilli(), name)
	if members, err := json.Marshal(details); err == nil && details != nil {
		line = append(append(line, ','), members[1:len(members)-1]...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.Write(append(line, "}\n"...))
}
