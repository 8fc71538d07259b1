package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// command is one tool. Its name is that of Kafka's script without .sh; args are the words behind the name,
// and the result is the exit status. ctx ends at the first ^C or SIGTERM; a second one kills the process.
type command struct {
	Name    string
	Summary string
	Run     func(ctx context.Context, args []string, io stdio) int
}

// stdio is where a tool reads and writes, so that tests can stand in for a terminal.
type stdio struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// commands are all tools of the binary, in the order help lists them. Filled by init because run-class and
// help read the table they stand in.
var commands []command

func init() {
	commands = []command{
		{"run", "start a ZooKeeper and a broker in this one process, for development", run},
		{"cluster", "start a ZooKeeper and three brokers, for development", cluster},
		{"kafka-server-start", "start a broker", serverStart},
		{"kafka-server-stop", "stop the brokers of this machine", serverStop},
		{"zookeeper-server-start", "start a one-node ZooKeeper for development", zookeeperServerStart},
		{"zookeeper-server-stop", "stop the ZooKeepers of this machine that this program started", zookeeperServerStop},
		{"kafka-console-producer", "send the lines of the input to a topic", runConsoleProducer},
		{"kafka-console-consumer", "print the records of topics", runConsoleConsumer},
		{"kafka-get-offsets", "print the offsets of topics", interruptible(runGetOffsets)},
		{"kafka-delete-records", "delete the records before given offsets", interruptible(runDeleteRecords)},
		{"kafka-log-dirs", "print what the brokers keep in their log directories", interruptible(runLogDirs)},
		{"kafka-dump-log", "print log segments and the files beside them", runDumpLog},
		{"kafka-broker-api-versions", "print which requests the brokers take", interruptible(runBrokerAPIVersions)},
		{"kafka-configs", "print and change the configuration of topics, brokers, users, clients and addresses", interruptible(runConfigs)},
		{"zookeeper-shell", "look at and change znodes", interruptible(runZooKeeperShell)},
		{"kafka-producer-perf-test", "measure how fast records can be produced", runProducerPerformance},
		{"kafka-topics", "list, describe, make, change and delete topics", interruptible(runTopics)},
		{"kafka-reassign-partitions", "move the replicas of partitions to other brokers", interruptible(runReassignPartitions)},
		{"kafka-leader-election", "elect the leaders of partitions anew", interruptible(runLeaderElection)},
		{"kafka-preferred-replica-election", "give partitions back to their first replicas", interruptible(runPreferredElection)},
		{"kafka-replica-verification", "verify that the replicas of topics hold the same", runReplicaVerification},
		{"kafka-verifiable-producer", "send numbers and print what happens to each as JSON", runVerifiableProducer},
		{"kafka-run-class", "run a tool by the name of its Java class", runClass},
		{"link", "link the tools into a folder by the names of Kafka's scripts", link},
	}
}

// isScript reports whether the tool stands for a script of Kafka and is not one of our own.
func (c command) isScript() bool { return strings.Contains(c.Name, "-") }

// findCommand takes a tool by its name, with or without .sh and the leading kafka-.
func findCommand(name string) (command, bool) {
	name = strings.TrimSuffix(name, ".sh")
	for _, c := range commands {
		if c.Name == name || c.Name == "kafka-"+name {
			return c, true
		}
	}
	return command{}, false
}

// collectLess lets a tool that passes many records through hold five times what it needs before its garbage is
// collected, in place of twice: a fifth of such a tool's time. It is for tools whose memory has a bound of its own,
// buffer.memory for one; GOGC in the environment wins.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
