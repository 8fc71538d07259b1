package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/zurau/zurau/broker/topic"
	"github.com/zurau/zurau/zkmeta"
)

// kafka-reassign-partitions --zookeeper, as Kafka 1.1: writes /admin/reassign_partitions, which the controller works off
// and deletes, and the throttles below /config. Brokers are asked only about log directories.

type zookeeperReassign struct {
	*reassignOptions
	session *zkmeta.Session
	io      stdio
}

func (z *zookeeperReassign) runGenerate(ctx context.Context) error {
	p, err := z.readProposal()
	if err != nil {
		return err
	}
	current, err := z.assignmentOf(ctx, p.topics)
	if err != nil {
		return err
	}
	registered, err := z.brokers(ctx)
	if err != nil {
		return err
	}
	var live []topic.BrokerRack
	for id, b := range registered {
		if z.has(z.disableRackAware) {
			b.Rack = ""
		}
		live = append(live, topic.BrokerRack{ID: id, Rack: b.Rack})
	}
	return p.print(z.io.Out, current, live)
}

func (z *zookeeperReassign) brokers(ctx context.Context) (map[int32]zkmeta.BrokerInfo, error) {
	registered, err := z.session.Brokers(ctx)
	if errors.Is(err, zkmeta.ErrNoNode) {
		err = nil
	}
	return registered, err
}

// assignmentOf reads the replicas of topics; those that do not exist are left out.
func (z *zookeeperReassign) assignmentOf(ctx context.Context, names []string) (assignment, error) {
	topics, err := z.session.ReadTopics(ctx, names)
	if err != nil {
		return nil, err
	}
	current := make(assignment)
	for name, a := range topics {
		for id, replicas := range a.Partitions {
			current[topic.Partition{Topic: name, ID: id}] = replicas
		}
	}
	return current, nil
}

func (z *zookeeperReassign) runExecute(ctx context.Context) error {
	rates, err := z.rates()
	if err != nil {
		return err
	}
	plan, err := z.readPlan()
	if err == nil {
		err = plan.check("Partition reassignment data file is empty")
	}
	if err != nil {
		return err
	}
	now, err := z.assignmentOf(ctx, plan.assignment().topics())
	if err == nil {
		err = z.checkExists(ctx, plan, now)
	}
	if err != nil {
		return err
	}
	switch _, err := z.session.Exists(ctx, zkmeta.ReassignPath); {
	case err == nil:
		fmt.Fprintln(z.io.Out, "There is an existing assignment running.")
		return z.limit(ctx, rates, plan, now)
	case !errors.Is(err, zkmeta.ErrNoNode):
		return err
	}
	printRollback(z.io.Out, now)
	if err := z.throttleMoves(ctx, rates, plan, now); err != nil {
		return err
	}
	started, err := z.start(ctx, plan)
	if err != nil {
		return err
	}
	if !started {
		fmt.Fprintf(z.io.Out, "Failed to reassign partitions %s\n", scalaList("ListBuffer", plan.partitions))
		return nil
	}
	fmt.Fprintln(z.io.Out, "Successfully started reassignment of partitions.")
	return nil
}

// String is the entry as Scala prints a pair.
func (p plannedPartition) String() string {
	return fmt.Sprintf("(%s,%s)", p.Partition, scalaList("List", p.replicas))
}

// checkExists wants every partition and every broker of the plan to be there.
func (z *zookeeperReassign) checkExists(ctx context.Context, plan *reassignmentPlan, now assignment) error {
	var missing []topic.Partition
	for _, p := range plan.partitions {
		if _, ok := now[p.Partition]; !ok {
			missing = append(missing, p.Partition)
		}
	}
	if len(missing) > 0 {
		return commandFailed("The proposed assignment contains non-existent partitions: %s", scalaList("ListBuffer", missing))
	}
	registered, err := z.brokers(ctx)
	if err != nil {
		return err
	}
	dead := slices.DeleteFunc(plan.assignment().brokers(), func(id int32) bool { _, ok := registered[id]; return ok })
	if len(dead) > 0 {
		return commandFailed("The proposed assignment contains non-existent brokerIDs: %s", joinIDs(dead))
	}
	return nil
}

// throttleMoves limits what the moves may copy, when it was asked for.
func (z *zookeeperReassign) throttleMoves(
	ctx context.Context, rates throttleRates, plan *reassignmentPlan, now assignment,
) error {
	if !rates.any() {
		return nil
	}
	fmt.Fprintln(z.io.Out, "Warning: You must run Verify periodically, until the reassignment completes, to ensure the "+
		"throttle is removed. You can also alter the throttle by rerunning the Execute command passing a new value.")
	if rates.interBroker >= 0 {
		moves, err := movements(nil, plan.assignment(), now)
		if err != nil {
			return err
		}
		leaders, followers := throttledReplicas(movingOnly(moves))
		for _, name := range plan.assignment().topics() {
			err := z.change(ctx, zkmeta.TopicEntity(name), map[string]string{
				leaderThrottledReplicas: leaders[name], followerThrottledReplicas: followers[name]})
			if err != nil {
				return err
			}
		}
	}
	if err := z.limit(ctx, rates, plan, now); err != nil {
		return err
	}
	if rates.interBroker >= 0 {
		fmt.Fprintf(z.io.Out, "The inter-broker throttle limit was set to %d B/s\n", rates.interBroker)
	}
	if rates.logDirs >= 0 {
		fmt.Fprintf(z.io.Out, "The replica-alter-dir throttle limit was set to %d B/s\n", rates.logDirs)
	}
	return nil
}

// limit writes the rates to every broker that holds a replica of the plan's topics now or shall hold one.
func (z *zookeeperReassign) limit(ctx context.Context, rates throttleRates, plan *reassignmentPlan, now assignment) error {
	changes := make(map[string]string)
	if rates.interBroker >= 0 {
		rate := strconv.FormatInt(rates.interBroker, 10)
		changes[leaderThrottledRate], changes[followerThrottledRate] = rate, rate
	}
	if rates.logDirs >= 0 {
		changes[logDirThrottledRate] = strconv.FormatInt(rates.logDirs, 10)
	}
	if len(changes) == 0 {
		return nil
	}
	ids := slices.Concat(now.brokers(), plan.assignment().brokers())
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if err := z.change(ctx, zkmeta.BrokerEntity(id), changes); err != nil {
			return err
		}
	}
	return nil
}

// change sets keys of an entity's configuration.
func (z *zookeeperReassign) change(ctx context.Context, e zkmeta.Entity, values map[string]string) error {
	configs, err := z.session.ReadConfig(ctx, e)
	if err != nil {
		return err
	}
	maps.Copy(configs, values)
	return z.session.WriteConfig(ctx, e, configs)
}

// start writes the request, and tells the brokers the log directories: those that will get a replica before, those
// that have it behind. It reports whether all moves have begun.
func (z *zookeeperReassign) start(ctx context.Context, plan *reassignmentPlan) (bool, error) {
	var admin *adminClient
	timeout, err := z.patience()
	if len(plan.logDirs) > 0 && err == nil {
		admin, err = z.admin()
	}
	if err != nil {
		return false, err
	}
	begin := time.Now()
	if admin != nil {
		defer admin.close()
		if _, err := admin.moveReplicas(ctx, plan.logDirs); err != nil {
			return false, err
		}
	}
	var list []zkmeta.Reassignment
	for _, p := range plan.partitions {
		list = append(list, zkmeta.Reassignment{Partition: p.Partition, Replicas: p.replicas})
	}
	err = z.session.RequestReassignments(ctx, list)
	if errors.Is(err, zkmeta.ErrNodeExists) {
		return false, z.inProgress(ctx)
	}
	if err != nil || admin == nil {
		return err == nil, err
	}
	_, err = admin.startMoves(ctx, plan.logDirs, timeout-time.Since(begin), func([]partitionReplica) {})
	if errors.Is(err, errMovesLate) {
		return false, nil
	}
	return err == nil, err
}

// inProgress names what somebody else asked for first.
func (z *zookeeperReassign) inProgress(ctx context.Context) error {
	running, err := z.session.ReadReassignments(ctx)
	if err != nil {
		return err
	}
	var words []string
	for _, r := range running {
		words = append(words, fmt.Sprintf("%s -> %s", r.Partition, scalaList("List", r.Replicas)))
	}
	return commandFailed("Partition reassignment currently in progress for %s. Aborting operation", scalaList("Map", words))
}

// admin connects to the brokers, which only a plan with log directories needs.
func (z *zookeeperReassign) admin() (*adminClient, error) {
	if !z.has(z.bootstrap) {
		return nil, commandFailed("bootstrap-server needs to be provided in order to reassign replica to the specified " +
			"log directory")
	}
	return newAdminNamed("AdminClient", "reassign-partitions-tool", z.str(z.bootstrap), "", z.io.Err)
}

func (z *zookeeperReassign) runVerify(ctx context.Context) error {
	plan, err := z.readPlan()
	if err != nil {
		return err
	}
	fmt.Fprintln(z.io.Out, "Status of partition reassignment: ")
	wanted := plan.assignment()
	asked, err := z.session.ReadReassignments(ctx)
	if err != nil {
		return err
	}
	now, err := z.assignmentOf(ctx, wanted.topics())
	if err != nil {
		return err
	}
	allDone := true
	var lines []string
	for _, p := range wanted.partitions() {
		moving := slices.ContainsFunc(asked, func(r zkmeta.Reassignment) bool { return r.Partition == p })
		line, done := z.reassignmentState(p, wanted[p], now[p], moving)
		lines, allDone = append(lines, line), allDone && done
	}
	moved, allMoved, err := z.moveStates(ctx, plan.logDirs)
	if err != nil {
		return err
	}
	for _, line := range append(lines, moved...) {
		fmt.Fprintln(z.io.Out, line)
	}
	if !allDone || !allMoved {
		return nil
	}
	return z.removeThrottles(ctx, wanted.topics())
}

// reassignmentState is a line about one partition; a mismatch is printed at once.
func (z *zookeeperReassign) reassignmentState(p topic.Partition, wanted, now []int32, moving bool) (line string, done bool) {
	switch {
	case moving:
		return fmt.Sprintf("Reassignment of partition %s is still in progress", p), false
	case slices.Equal(wanted, now):
		return fmt.Sprintf("Reassignment of partition %s completed successfully", p), true
	}
	fmt.Fprintf(z.io.Out, "ERROR: Assigned replicas (%s) don't match the list of replicas for reassignment (%s) for "+
		"partition %s\n", joinIDs(now), joinIDs(wanted), p)
	return fmt.Sprintf("Reassignment of partition %s failed", p), false
}

// moveStates is a line for each move between log directories; what went wrong is printed at once.
func (z *zookeeperReassign) moveStates(
	ctx context.Context, to map[partitionReplica]string,
) (lines []string, allDone bool, err error) {
	if len(to) == 0 {
		return nil, true, nil
	}
	admin, err := z.admin()
	if err != nil {
		return nil, false, err
	}
	defer admin.close()
	places, err := admin.replicaPlaces(ctx, to)
	if err != nil {
		return nil, false, err
	}
	allDone = true
	for _, r := range slices.SortedFunc(maps.Keys(to), compareReplicas) {
		at := places[r]
		allDone = allDone && at.future == "" && at.current == to[r]
		switch {
		case at.current != "" && at.future == to[r]:
			lines = append(lines, fmt.Sprintf("Reassignment of replica %s is still in progress", r))
		case at.future == "" && at.current == to[r]:
			lines = append(lines, fmt.Sprintf("Reassignment of replica %s completed successfully", r))
		default:
			why, _ := moveState(r, at, to[r])
			fmt.Fprintln(z.io.Out, why)
			lines = append(lines, fmt.Sprintf("Reassignment of replica %s failed", r))
		}
	}
	return lines, allDone, nil
}

// removeThrottles takes the throttles away from the topics and from all live brokers.
func (z *zookeeperReassign) removeThrottles(ctx context.Context, topics []string) error {
	registered, err := z.brokers(ctx)
	if err != nil {
		return err
	}
	changed := false
	for _, id := range slices.Sorted(maps.Keys(registered)) {
		had, err := z.remove(ctx, zkmeta.BrokerEntity(id), throttles)
		if err != nil {
			return err
		}
		changed = changed || had
	}
	for _, name := range topics {
		had, err := z.remove(ctx, zkmeta.TopicEntity(name), []string{leaderThrottledReplicas, followerThrottledReplicas})
		if err != nil {
			return err
		}
		changed = changed || had
	}
	if changed {
		fmt.Fprintln(z.io.Out, "Throttle was removed.")
	}
	return nil
}

// remove takes keys away from an entity's configuration and reports whether it had any of them.
func (z *zookeeperReassign) remove(ctx context.Context, e zkmeta.Entity, keys []string) (had bool, err error) {
	configs, err := z.session.ReadConfig(ctx, e)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		_, set := configs[key]
		had = had || set
		delete(configs, key)
	}
	if !had {
		return false, nil
	}
	return true, z.session.WriteConfig(ctx, e, configs)
}
