package config

import (
	"errors"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// verdict prints an error as the golden files have it: the class only where it is not the usual one.
func verdict(t *testing.T, err error) string {
	var e *Error
	switch {
	case err == nil:
		return "ok\n"
	case !errors.As(err, &e):
		t.Fatalf("%v is no *Error", err)
	case e.Class != configException:
		return e.Class + ": " + e.Text + "\n"
	}
	return e.Text + "\n"
}

func parsed(t *testing.T, text string) map[string]string {
	t.Helper()
	values, err := ParseProperties([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func TestABrokerStopsWithTheWordsOfKafka(t *testing.T) {
	datadriven.RunTest(t, "testdata/start.txt", func(t *testing.T, d *datadriven.TestData) string {
		values := parsed(t, d.Input)
		if !d.HasArg("bare") {
			values["zookeeper.connect"] = "localhost:2181"
		}
		_, _, err := New(values)
		return verdict(t, err)
	})
}

func TestATopicIsRefusedWithTheWordsOfKafka(t *testing.T) {
	broker, _, err := New(map[string]string{"zookeeper.connect": "localhost:2181"})
	if err != nil {
		t.Fatal(err)
	}
	datadriven.RunTest(t, "testdata/topic.txt", func(t *testing.T, d *datadriven.TestData) string {
		_, err := broker.Topic(parsed(t, d.Input))
		return verdict(t, err)
	})
}
