package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/zurau/zurau/broker/kerr"
)

// javaNames are the exceptions by which the recording names the codes.
var javaNames = map[int16]string{
	kerr.InvalidConfig.Code: "InvalidConfigurationException", kerr.InvalidRequest.Code: "InvalidRequestException",
}

func TestAlterationsAreAnsweredAsKafkaAnswersThem(t *testing.T) {
	d := newDynamic(t, map[string]string{"zookeeper.connect": "localhost:2181", "broker.id": "0"})
	stored := map[string]map[string]string{} // what ZooKeeper would hold, by resource
	datadriven.RunTest(t, "testdata/alter.txt", func(t *testing.T, step *datadriven.TestData) string {
		resource := step.CmdArgs[0].Key + " " + step.CmdArgs[1].Key
		current := stored[resource]
		if step.Cmd == "alter" {
			current = nil
		}
		changes := alterations(t, step)
		var next map[string]string
		var err error
		switch resource {
		case "topic t":
			next, err = d.AlterTopic("t", current, changes)
		default:
			next, err = d.AlterBroker(resource == "broker 0", current, changes)
		}
		if err != nil {
			return fmt.Sprintf("%s: %s\n", javaNames[kerr.CodeOf(err)], kerr.MessageOf(err))
		}
		if !step.HasArg("validate") {
			stored[resource] = next
		}
		var entries []Entry
		switch resource {
		case "topic t":
			_, err = d.SetTopic("t", stored[resource])
			entries = d.DescribeTopic("t")
		case "broker 0":
			err = d.SetBroker(stored[resource])
			entries = d.DescribeBroker()
		default:
			err = d.SetBrokerDefault(stored[resource])
			entries = d.DescribeBrokerDefault()
		}
		if err != nil {
			t.Fatalf("what was accepted cannot be applied: %v", err)
		}
		var out strings.Builder
		out.WriteString("ok\n")
		for _, e := range entries {
			value := "null"
			if e.Value != nil {
				value = *e.Value
			}
			if e.Source <= ClusterDefaultSource {
				fmt.Fprintf(&out, "  %s=%s (%s)\n", e.Name, value, e.Source)
			}
		}
		return out.String()
	})
}

// alterations reads lines of "SET key=value", or "key=value" for AlterConfigs.
func alterations(t *testing.T, step *datadriven.TestData) []Alteration {
	ops := map[string]Op{"SET": Set, "DELETE": Delete, "APPEND": Append, "SUBTRACT": Subtract}
	var changes []Alteration
	for line := range strings.Lines(step.Input) {
		word, pair, incremental := strings.Cut(strings.TrimSpace(line), " ")
		if !incremental {
			word, pair = "SET", word
		}
		op, known := ops[word]
		if !known {
			t.Fatalf("no operation %s", word)
		}
		c := Alteration{Op: op}
		name, value, set := strings.Cut(pair, "=")
		if c.Name = name; set {
			c.Value = &value
		}
		changes = append(changes, c)
	}
	return changes
}

func TestAnUnknownOperationIsRefused(t *testing.T) {
	d := newDynamic(t, map[string]string{"zookeeper.connect": "localhost:2181"})
	value := "1"
	_, err := d.AlterTopic("t", nil, []Alteration{{Op: 7, Name: "retention.ms", Value: &value}})
	if !errors.Is(err, kerr.InvalidRequest) {
		t.Errorf("got %v, want INVALID_REQUEST", err)
	}
}

func TestAlteringLeavesTheCurrentValuesAlone(t *testing.T) {
	d := newDynamic(t, map[string]string{"zookeeper.connect": "localhost:2181"})
	current := map[string]string{"retention.ms": "5"}
	if _, err := d.AlterTopic("t", current, []Alteration{{Op: Delete, Name: "retention.ms"}}); err != nil {
		t.Fatal(err)
	}
	if current["retention.ms"] != "5" {
		t.Error("the caller's map was changed")
	}
}
