package main

import (
	"context"
	"fmt"
	"strings"
)

// classes are the Java classes people start by kafka-run-class, and the tools that stand for them here. Names
// that end in a blank class part moved between versions; each old and new home is listed.
var classes = map[string]string{
	"kafka.Kafka": "kafka-server-start",
	"org.apache.zookeeper.server.quorum.QuorumPeerMain": "zookeeper-server-start",

	"kafka.admin.AclCommand":                            "kafka-acls",
	"kafka.admin.BrokerApiVersionsCommand":              "kafka-broker-api-versions",
	"kafka.admin.ConfigCommand":                         "kafka-configs",
	"kafka.admin.ConsumerGroupCommand":                  "kafka-consumer-groups",
	"kafka.admin.DelegationTokenCommand":                "kafka-delegation-tokens",
	"kafka.admin.DeleteRecordsCommand":                  "kafka-delete-records",
	"kafka.admin.FeatureCommand":                        "kafka-features",
	"kafka.admin.LeaderElectionCommand":                 "kafka-leader-election",
	"kafka.admin.LogDirsCommand":                        "kafka-log-dirs",
	"kafka.admin.PreferredReplicaLeaderElectionCommand": "kafka-preferred-replica-election",
	"kafka.admin.ReassignPartitionsCommand":             "kafka-reassign-partitions",
	"kafka.admin.TopicCommand":                          "kafka-topics",
	"kafka.admin.ZkSecurityMigrator":                    "zookeeper-security-migration",

	"kafka.tools.ClusterTool":                                  "kafka-cluster",
	"kafka.tools.ConsoleConsumer":                              "kafka-console-consumer",
	"kafka.tools.ConsoleProducer":                              "kafka-console-producer",
	"kafka.tools.ConsumerPerformance":                          "kafka-consumer-perf-test",
	"kafka.tools.DumpLogSegments":                              "kafka-dump-log",
	"kafka.tools.GetOffsetShell":                               "kafka-get-offsets",
	"kafka.tools.MirrorMaker":                                  "kafka-mirror-maker",
	"kafka.tools.ReplayLogProducer":                            "kafka-replay-log-producer",
	"kafka.tools.ReplicaVerificationTool":                      "kafka-replica-verification",
	"kafka.tools.SimpleConsumerShell":                          "kafka-simple-consumer-shell",
	"kafka.tools.StreamsResetter":                              "kafka-streams-application-reset",
	"kafka.tools.ZooKeeperMainWrapper":                         "zookeeper-shell",
	"org.apache.zookeeper.ZooKeeperMain":                       "zookeeper-shell",
	"org.apache.zookeeper.ZooKeeperMainWithTlsSupportForKafka": "zookeeper-shell",

	"org.apache.kafka.tools.ProducerPerformance":                "kafka-producer-perf-test",
	"org.apache.kafka.tools.VerifiableConsumer":                 "kafka-verifiable-consumer",
	"org.apache.kafka.tools.VerifiableProducer":                 "kafka-verifiable-producer",
	"org.apache.kafka.connect.cli.ConnectStandalone":            "connect-standalone",
	"org.apache.kafka.connect.cli.ConnectDistributed":           "connect-distributed",
	"org.apache.kafka.streams.examples.wordcount.WordCountDemo": "word-count-demo",

	// Where 3.x moved them.
	"org.apache.kafka.tools.ClusterTool":                         "kafka-cluster",
	"org.apache.kafka.tools.ConsumerPerformance":                 "kafka-consumer-perf-test",
	"org.apache.kafka.tools.DeleteRecordsCommand":                "kafka-delete-records",
	"org.apache.kafka.tools.FeatureCommand":                      "kafka-features",
	"org.apache.kafka.tools.GetOffsetShell":                      "kafka-get-offsets",
	"org.apache.kafka.tools.LeaderElectionCommand":               "kafka-leader-election",
	"org.apache.kafka.tools.LogDirsCommand":                      "kafka-log-dirs",
	"org.apache.kafka.tools.ReplicaVerificationTool":             "kafka-replica-verification",
	"org.apache.kafka.tools.StreamsResetter":                     "kafka-streams-application-reset",
	"org.apache.kafka.tools.TopicCommand":                        "kafka-topics",
	"org.apache.kafka.tools.consumer.ConsoleConsumer":            "kafka-console-consumer",
	"org.apache.kafka.tools.consumer.group.ConsumerGroupCommand": "kafka-consumer-groups",
	"org.apache.kafka.tools.reassign.ReassignPartitionsCommand":  "kafka-reassign-partitions",
}

// runClass is kafka-run-class: a tool by the name of its class. -loggc has no meaning without a JVM.
func runClass(ctx context.Context, args []string, io stdio) int {
	daemon, name := false, ""
	for len(args) > 0 {
		switch args[0] {
		case "-daemon":
			daemon = true
		case "-loggc":
		case "-name":
			if len(args) > 1 {
				args = args[1:]
				name = args[0]
			}
		default:
			return runNamedClass(ctx, args, daemon, name, io)
		}
		args = args[1:]
	}
	fmt.Fprintln(io.Out, "USAGE: kafka-run-class.sh [-daemon] [-name servicename] [-loggc] classname [opts]")
	return 1
}

func runNamedClass(ctx context.Context, args []string, daemon bool, name string, io stdio) int {
	class := args[0]
	c, ok := findClass(class)
	if !ok {
		fmt.Fprintf(io.Err, "Error: Could not find or load main class %s\n", class)
		return 1
	}
	if !daemon {
		return c.Run(ctx, args[1:], io)
	}
	if name == "" {
		name = class[strings.LastIndex(class, ".")+1:]
	}
	return startDaemon(c.Name, name, args[1:], io)
}

// findClass takes a tool by the class that stands for it in Kafka.
func findClass(class string) (command, bool) {
	name, ok := classes[class]
	if !ok {
		return command{}, false
	}
	return findCommand(name)
}
