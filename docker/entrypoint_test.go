// Package docker holds what an image is made of; its tests run the entrypoint under a shell, without an image.
package docker

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zurau/zurau/broker/config"
)

// shells are those of this machine the entrypoint is run by; the image has busybox.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	if path, err := exec.LookPath("sh"); err == nil {
		found["sh"] = []string{path}
	}
	if path, err := exec.LookPath("busybox"); err == nil {
		found["busybox"] = []string{path, "sh"}
	}
	if len(found) == 0 {
		t.Fatal("there is no shell, which make needs as well")
	}
	return found
}

// image is a folder that stands for the image: the shipped configuration, and programs that write down their words.
type image struct {
	dir, properties, called string
}

func newImage(t *testing.T) image {
	t.Helper()
	dir := t.TempDir()
	i := image{dir: dir, properties: filepath.Join(dir, "broker.properties"), called: filepath.Join(dir, "called")}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kafka-server-start.sh", "kafka-topics.sh", "zurau"} {
		script := fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>%s\n", name, i.called)
		if err := os.WriteFile(filepath.Join(dir, "bin", name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

// run runs the entrypoint and waits for it.
func (i image) run(t *testing.T, shell []string, environment []string, words ...string) {
	t.Helper()
	cmd := exec.Command(shell[0], append(append(shell[1:len(shell):len(shell)], "entrypoint.sh"), words...)...)
	cmd.Env = append([]string{"PATH=" + filepath.Join(i.dir, "bin") + ":" + os.Getenv("PATH"), "KAFKA_SERVER_PROPERTIES=" + i.properties,
		"KAFKA_SHIPPED_PROPERTIES=../conf/server.properties"}, environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func (i image) calls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(i.called)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func TestTheEnvironmentOfTheKnownImages(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		environment []string
		want        map[string]string // some of the properties
	}{
		{"wurstmeister, as its compose file has it", []string{"KAFKA_ZOOKEEPER_CONNECT=zookeeper:2181", "KAFKA_ADVERTISED_HOST_NAME=192.168.99.100"},
			map[string]string{"zookeeper.connect": "zookeeper:2181", "advertised.listeners": "PLAINTEXT://192.168.99.100:9092",
				"listeners": "PLAINTEXT://:9092", "broker.id": "-1", "log.dirs": "/var/lib/kafka/data"}},
		{"wurstmeister with commands", []string{"KAFKA_ZOOKEEPER_CONNECT=z:2181", "HOSTNAME_COMMAND=printf %s 'a&b\\c'", "PORT_COMMAND=echo 9777",
			"KAFKA_ADVERTISED_LISTENERS=INSIDE://:9092,OUTSIDE://_{HOSTNAME_COMMAND}:_{PORT_COMMAND}", "BROKER_ID_COMMAND=echo 7",
			"RACK_COMMAND=echo r1", "KAFKA_LISTENERS=INSIDE://:9092,OUTSIDE://:9094"},
			map[string]string{"advertised.listeners": `INSIDE://:9092,OUTSIDE://a&b\c:9777`, "broker.id": "7", "broker.rack": "r1",
				"listeners": "INSIDE://:9092,OUTSIDE://:9094"}},
		{"confluentinc", []string{"KAFKA_ZOOKEEPER_CONNECT=z:2181", "KAFKA_BROKER_ID=1",
			"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://broker:29092,PLAINTEXT_HOST://[::1]:9092",
			"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
			"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1", "KAFKA_SOME___UNDERSCORE__DASH=x", "KAFKA_HEAP_OPTS=-Xmx1G", "KAFKA_LOG4J_ROOT_LOGLEVEL=WARN"},
			map[string]string{"listeners": "PLAINTEXT://:29092,PLAINTEXT_HOST://:9092", "broker.id": "1", "some_underscore-dash": "x",
				"heap.opts": "", "log4j.root.loglevel": "", "offsets.topic.replication.factor": "1"}},
		{"bitnami", []string{"KAFKA_CFG_ZOOKEEPER_CONNECT=z:2181/kafka", "KAFKA_CFG_LISTENERS=PLAINTEXT://:9092",
			"KAFKA_CFG_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:9092", "ALLOW_PLAINTEXT_LISTENER=yes", "KAFKA_CFG_BROKER_ID=3",
			"KAFKA_CFG_AUTO_CREATE_TOPICS_ENABLE=false", "KAFKA_AUTO_CREATE_TOPICS_ENABLE=true", "KAFKA_ENABLE_KRAFT=no"},
			map[string]string{"zookeeper.connect": "z:2181/kafka", "listeners": "PLAINTEXT://:9092", "advertised.listeners": "PLAINTEXT://127.0.0.1:9092",
				"broker.id": "3", "auto.create.topics.enable": "false", "enable.kraft": ""}},
		{"values that would break lines and escapes", []string{"KAFKA_ZOOKEEPER_CONNECT=z:2181", "KAFKA_A_B= two\nlines \\ = # ! ${X} $(Y) `Z` '\"%s"},
			map[string]string{"a.b": " two\nlines \\ = # ! ${X} $(Y) `Z` '\"%s"}},
		{"only a port", []string{"KAFKA_ZOOKEEPER_CONNECT=z:2181", "KAFKA_ADVERTISED_PORT=9999", "KAFKA_PORT=9093"},
			map[string]string{"advertised.listeners": "PLAINTEXT://" + host + ":9999", "listeners": "PLAINTEXT://:9093"}},
	} {
		for name, shell := range shells(t) {
			t.Run(c.name+", "+name, func(t *testing.T) {
				i := newImage(t)
				i.run(t, shell, c.environment)
				values, err := config.ReadFile(i.properties)
				if err != nil {
					t.Fatal(err)
				}
				got := map[string]string{}
				for key := range c.want {
					got[key] = values[key]
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("properties (-want +got):\n%s", diff)
				}
				if calls := i.calls(t); calls[0] != "kafka-server-start.sh "+i.properties {
					t.Errorf("called %q", calls)
				}
			})
		}
	}
}

func TestTopicsAreCreatedOnceTheBrokersAreThere(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			i := newImage(t)
			i.run(t, shell, []string{"KAFKA_ZOOKEEPER_CONNECT=z:2181", "KAFKA_CREATE_TOPICS=a:3:2, b:1:1:compact ,c"})
			topic := "kafka-topics.sh --zookeeper z:2181 --create --if-not-exists --topic "
			want := []string{
				"kafka-server-start.sh " + i.properties,
				topic + "a --partitions 3 --replication-factor 2",
				topic + "b --partitions 1 --replication-factor 1 --config cleanup.policy=compact",
				topic + "c --partitions 1 --replication-factor 1",
			}
			var got []string
			for deadline := time.Now().Add(20 * time.Second); len(got) < len(want) && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				got = i.calls(t)
			}
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("called (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOtherWordsAreACommand(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				name  string
				words []string
				want  string
			}{
				{"a tool", []string{"kafka-topics.sh", "--list"}, "kafka-topics.sh --list"},
				{"nothing", nil, "zurau run /opt/kafka/conf --override advertised.listeners=PLAINTEXT://localhost:9092"},
				{"another image's start command", []string{"start-kafka.sh"}, "zurau run /opt/kafka/conf --override advertised.listeners=PLAINTEXT://localhost:9092"},
			} {
				t.Run(c.name, func(t *testing.T) {
					i := newImage(t)
					i.run(t, shell, nil, c.words...)
					if got := strings.Join(i.calls(t), "\n"); got != c.want {
						t.Errorf("called %q, want %q", got, c.want)
					}
				})
			}
		})
	}
}
