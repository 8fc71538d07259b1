package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// kafka-preferred-replica-election (Kafka: PreferredReplicaLeaderElectionCommand), which kafka-leader-election replaced
// in 2.4 and which is gone since 3.0. With --zookeeper it is the tool of 1.1 and writes /admin/preferred_replica_election,
// which the controller works off and deletes; else it is that of 2.8 and asks the brokers.

type preferredElectionOptions struct {
	*optionSet
	dialect dialect

	common                                            commonOptions
	zookeeper, bootstrap, adminConfig, partitionsFile *option
}

func parsePreferredElectionOptions(args []string) (*preferredElectionOptions, error) {
	p := &optionParser{}
	o := &preferredElectionOptions{dialect: dialectOf(args)}
	o.partitionsFile = p.accepts("path-to-json-file", "The partitions: {\"partitions\":[{\"topic\":\"t\",\"partition\":0}]}; "+
		"all when absent.").takes("file")
	o.zookeeper = p.accepts("zookeeper", "ZooKeeper servers to work on, with chroot, in the way of Kafka 1.1.").
		takes("hosts")
	none := &option{} // never given
	o.bootstrap, o.adminConfig, o.common = none, none, commonOptions{none, none}
	if o.dialect == dialect28 {
		o.common = p.acceptCommon()
		o.bootstrap = p.accepts("bootstrap-server", "Brokers to ask, host:port list.").takes("servers")
		o.adminConfig = p.accepts("admin.config", "File of client properties.").takes("file")
	}
	set, err := p.parse(args)
	o.optionSet = set
	return o, err
}

func runPreferredElection(ctx context.Context, args []string, io stdio) int {
	o, err := parsePreferredElectionOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if o.dialect == dialect11 {
		if err := o.runOnZooKeeper(ctx, io); err != nil {
			fmt.Fprintf(io.Out, "Failed to start preferred replica election\n%s\n", stackTrace(err))
		}
		return 0 // whatever became of it
	}
	fmt.Fprintln(io.Out, "This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405")
	if done, err := o.checkCommon(o.common, args, "Gives the leadership of partitions back to their preferred replicas.",
		io.Out); done {
		return exitStatus(io.Err, err)
	}
	return exitStatus(io.Err, o.runOnBrokers(ctx, io))
}

// runOnBrokers is the tool of 2.8.
func (o *preferredElectionOptions) runOnBrokers(ctx context.Context, io stdio) error {
	if !o.has(o.bootstrap) {
		return &usageError{o.parser, "Exactly one of '[bootstrap-server]' or '[zookeeper]' must be provided"}
	}
	e := leaderElection{name: "preferred leader election", failed: "preferred replica(s)", kind: electPreferred}
	if o.has(o.partitionsFile) {
		var err error
		if e.partitions, err = o.readPartitions(); err != nil {
			return err
		}
	}
	admin, err := newAdmin(o.str(o.bootstrap), o.str(o.adminConfig), io.Err)
	if err != nil {
		return err
	}
	defer admin.close()
	return e.hold(ctx, admin, io.Out)
}

// readPartitions reads the --path-to-json-file.
func (o *preferredElectionOptions) readPartitions() ([]topic.Partition, error) {
	data, err := readToolFile(o.dialect, o.str(o.partitionsFile))
	if err != nil {
		return nil, err
	}
	return parseElectionFile(data, "Preferred replica election data", " is empty")
}

// runOnZooKeeper is the tool of 1.1.
func (o *preferredElectionOptions) runOnZooKeeper(ctx context.Context, io stdio) error {
	session, closeSession, err := openZooKeeper(ctx, o.str(o.zookeeper), io.Err)
	if err != nil {
		return err
	}
	defer closeSession()
	var wanted []topic.Partition
	named := o.has(o.partitionsFile)
	if named {
		if wanted, err = o.readPartitions(); err != nil {
			return err
		}
	}
	existing, err := partitionsIn(ctx, session)
	if err != nil {
		return err
	}
	if !named { // those that have had a leader
		states, err := session.ReadStates(ctx, existing)
		if err != nil {
			return err
		}
		wanted = slices.DeleteFunc(slices.Clone(existing), func(p topic.Partition) bool { _, ok := states[p]; return !ok })
	}
	absent := func(p topic.Partition) bool { return !slices.Contains(existing, p) }
	valid := slices.DeleteFunc(slices.Clone(wanted), absent)
	if err := requestPreferredElection(ctx, session, valid); err != nil {
		return &javaError{class: commandFailedException, message: "Admin command failed", cause: err}
	}
	fmt.Fprintf(io.Out, "Created preferred replica election path with %s\n", joinAny(valid))
	fmt.Fprintf(io.Out, "Successfully started preferred replica election for partitions %s\n", scalaList("Set", valid))
	for _, p := range wanted {
		if absent(p) {
			fmt.Fprintf(io.Out, "Skipping preferred replica leader election for partition %s since it doesn't exist.\n", p)
		}
	}
	return nil
}

func requestPreferredElection(ctx context.Context, session *zkmeta.Session, partitions []topic.Partition) error {
	err := session.RequestPreferredElection(ctx, partitions)
	if !errors.Is(err, zkmeta.ErrNodeExists) {
		return err
	}
	running, err := session.ReadPreferredElection(ctx)
	if err != nil {
		return err
	}
	return adminOperation("Preferred replica leader election currently in progress for " + joinAny(running) +
		". Aborting operation")
}

// partitionsIn lists the partitions of all topics, sorted.
func partitionsIn(ctx context.Context, session *zkmeta.Session) ([]topic.Partition, error) {
	names, err := session.Topics(ctx)
	if err != nil {
		return nil, err
	}
	topics, err := session.ReadTopics(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make(assignment)
	for name, a := range topics {
		for id, replicas := range a.Partitions {
			all[topic.Partition{Topic: name, ID: id}] = replicas
		}
	}
	return all.partitions(), nil
}
