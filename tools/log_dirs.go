package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/topic"
)

// kafka-log-dirs (Kafka: LogDirsCommand): what the brokers keep in which directory, as a line of JSON.

// logDirsReport is printed in the key order of 2.8.
type logDirsReport struct {
	Version int            `json:"version"`
	Brokers []brokerReport `json:"brokers"`
}

type brokerReport struct {
	Broker  int32          `json:"broker"`
	LogDirs []logDirReport `json:"logDirs"`
}

type logDirReport struct {
	LogDir     string            `json:"logDir"`
	Error      *string           `json:"error"`
	Partitions []partitionReport `json:"partitions"`
}

type partitionReport struct {
	Partition string `json:"partition"`
	Size      int64  `json:"size"` // bytes
	OffsetLag int64  `json:"offsetLag"`
	IsFuture  bool   `json:"isFuture"`
}

func runLogDirs(ctx context.Context, args []string, io stdio) int {
	p := &optionParser{}
	common := p.acceptCommon()
	bootstrap := p.accepts("bootstrap-server", "Brokers to start from, host:port list.").takes("servers")
	config := p.accepts("command-config", "File of client properties.").takes("file")
	describe := p.accepts("describe", "Print the log directories; always needed.")
	topics := p.accepts("topic-list", "Comma list of topics; all when empty.").takes("topics").or("")
	brokers := p.accepts("broker-list", "Comma list of broker ids; all when absent.").takes("ids")
	set, err := p.parse(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := set.checkCommon(common, args, "Prints what the brokers keep in their log directories.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	if err := set.require(bootstrap, describe); err != nil {
		return exitStatus(io.Err, err)
	}
	admin, err := newAdmin(set.str(bootstrap), set.str(config), io.Err)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	defer admin.close()
	ids, err := admin.chooseBrokers(ctx, set.str(brokers))
	if err != nil {
		if said, ok := err.(plainError); ok {
			fmt.Fprintln(io.Err, said)
			return 1
		}
		return exitStatus(io.Err, err)
	}
	fmt.Fprintln(io.Out, "Querying brokers for log directories information")
	report := logDirsReport{Version: 1, Brokers: []brokerReport{}}
	wanted := strings.FieldsFunc(set.str(topics), func(r rune) bool { return r == ',' })
	for _, id := range ids {
		resp, err := askBroker[*kmsg.DescribeLogDirsResponse](ctx, admin, id, kmsg.NewPtrDescribeLogDirsRequest())
		if err != nil {
			return exitStatus(io.Err, err)
		}
		report.Brokers = append(report.Brokers, reportBroker(id, resp, wanted))
	}
	line, err := json.Marshal(report)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	fmt.Fprintf(io.Out, "Received log directory information from brokers %s\n%s\n", joinIDs(ids), line)
	return 0
}

// chooseBrokers lists the brokers asked for, all for an empty list. One that is not there is an error, as since 3.0: the
// tool of 2.8 waits a minute for it.
func (a *adminClient) chooseBrokers(ctx context.Context, list string) ([]int32, error) {
	resp, err := ask[*kmsg.MetadataResponse](ctx, a, kmsg.NewPtrMetadataRequest())
	if err != nil {
		return nil, err
	}
	var live []int32
	for _, b := range resp.Brokers {
		live = append(live, b.NodeID)
	}
	slices.Sort(live)
	if list == "" {
		return live, nil
	}
	var chosen, missing []int32
	for word := range strings.SplitSeq(list, ",") {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, &javaError{class: "java.lang.NumberFormatException", message: `For input string: "` + word + `"`}
		}
		chosen = append(chosen, int32(id))
		if !slices.Contains(live, int32(id)) {
			missing = append(missing, int32(id))
		}
	}
	if len(missing) > 0 {
		return nil, plainError(fmt.Sprintf("ERROR: The given brokers do not exist from --broker-list: %s. "+
			"Current existent brokers: %s", joinIDs(missing), joinIDs(live)))
	}
	return chosen, nil
}

// reportBroker keeps the wanted topics of an answer, all when none is named.
func reportBroker(id int32, resp *kmsg.DescribeLogDirsResponse, wanted []string) brokerReport {
	report := brokerReport{Broker: id, LogDirs: []logDirReport{}}
	for _, d := range resp.Dirs {
		dir := logDirReport{LogDir: d.Dir, Partitions: []partitionReport{}}
		if e := kerr.ForCode(d.ErrorCode); e != nil {
			class := errorClass(e)
			dir.Error = &class
		}
		for _, t := range d.Topics {
			if len(wanted) > 0 && !slices.Contains(wanted, t.Topic) {
				continue
			}
			for _, p := range t.Partitions {
				tp := topic.Partition{Topic: t.Topic, ID: p.Partition}
				dir.Partitions = append(dir.Partitions, partitionReport{tp.String(), p.Size, p.OffsetLag, p.IsFuture})
			}
		}
		slices.SortFunc(dir.Partitions, func(a, b partitionReport) int { return strings.Compare(a.Partition, b.Partition) })
		report.LogDirs = append(report.LogDirs, dir)
	}
	return report
}
