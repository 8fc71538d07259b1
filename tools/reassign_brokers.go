package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/zurau/zurau/broker/topic"
)

// kafka-reassign-partitions --bootstrap-server, as Kafka 2.8: the controller is asked (KIP-455), not ZooKeeper.

type reassignService struct {
	*reassignOptions
	admin *adminClient
	out   io.Writer
}

func (s *reassignService) runGenerate(ctx context.Context) error {
	p, err := s.readProposal()
	if err != nil {
		return err
	}
	current, err := s.admin.assignmentOf(ctx, p.topics, true)
	if err != nil {
		return err
	}
	live, err := s.admin.liveBrokers(ctx)
	if err != nil {
		return err
	}
	if s.has(s.disableRackAware) {
		for i := range live {
			live[i].Rack = ""
		}
	}
	return p.print(s.out, current, live)
}

const busyMessage = "Cannot execute because there is an existing partition assignment.  Use --additional to override " +
	"this and create a new partition assignment in addition to the existing one. The --additional flag can also be " +
	"used to change the throttle by resubmitting the current reassignment."

func (s *reassignService) runExecute(ctx context.Context) error {
	plan, err := s.readPlan()
	if err == nil {
		err = plan.check("Partition reassignment list cannot be empty")
	}
	if err != nil {
		return err
	}
	running, err := s.admin.reassignments(ctx, nil)
	if err != nil {
		return err
	}
	if len(running) > 0 && !s.has(s.additional) {
		return plainError(busyMessage)
	}
	wanted := plan.assignment()
	now, err := s.now(ctx, wanted)
	if err != nil {
		return err
	}
	printRollback(s.out, now)
	if err := s.throttleMoves(ctx, running, plan, now); err != nil {
		return err
	}
	refused, err := s.admin.reassign(ctx, wanted)
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		return plainError("Error reassigning partition(s):" + refusals(refused))
	}
	fmt.Fprintf(s.out, "Successfully started partition reassignment%s for %s\n", plural(len(wanted)),
		joinAny(wanted.partitions()))
	if len(plan.logDirs) == 0 {
		return nil
	}
	return s.startMoves(ctx, plan.logDirs)
}

// now reads the replicas that the wanted partitions have, as far as they exist. The wanted brokers must live.
func (s *reassignService) now(ctx context.Context, wanted assignment) (assignment, error) {
	live, err := s.admin.liveBrokers(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range wanted.brokers() {
		if !slices.ContainsFunc(live, func(b topic.BrokerRack) bool { return b.ID == id }) {
			return nil, commandFailed("Unknown broker id %d", id)
		}
	}
	now, err := s.admin.assignmentOf(ctx, wanted.topics(), true)
	return now.only(wanted), err
}

// throttleMoves limits what the moves may copy, when it was asked for.
func (s *reassignService) throttleMoves(
	ctx context.Context, running map[topic.Partition]reassigning, plan *reassignmentPlan, now assignment,
) error {
	rates, err := s.rates()
	if err != nil || !rates.any() {
		return err
	}
	fmt.Fprintln(s.out, "Warning: You must run --verify periodically, until the reassignment completes, to ensure the "+
		"throttle is removed.")
	if rates.interBroker >= 0 {
		moves, err := movements(running, plan.assignment(), now)
		if err != nil {
			return err
		}
		if err := s.limitMoves(ctx, moves, rates.interBroker); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "The inter-broker throttle limit was set to %d B/s\n", rates.interBroker)
	}
	if rates.logDirs >= 0 {
		rate := strconv.FormatInt(rates.logDirs, 10)
		err := s.changeBrokers(ctx, brokersOf(plan.logDirs), configChange{logDirThrottledRate: &rate})
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "The replica-alter-dir throttle limit was set to %d B/s\n", rates.logDirs)
	}
	return nil
}

// limitMoves writes the replicas of moves to their topics and the rate, in bytes a second, to their brokers.
func (s *reassignService) limitMoves(ctx context.Context, moves map[topic.Partition]movement, perSecond int64) error {
	leaders, followers := throttledReplicas(moves)
	changes := make(map[string]configChange)
	for name, list := range leaders {
		copying := followers[name]
		changes[name] = configChange{leaderThrottledReplicas: &list, followerThrottledReplicas: &copying}
	}
	if err := s.admin.alterConfigs(ctx, kmsg.ConfigResourceTypeTopic, changes); err != nil {
		return err
	}
	rate := strconv.FormatInt(perSecond, 10)
	return s.changeBrokers(ctx, movingBrokers(moves), configChange{leaderThrottledRate: &rate, followerThrottledRate: &rate})
}

func (s *reassignService) changeBrokers(ctx context.Context, ids []int32, change configChange) error {
	changes := make(map[string]configChange, len(ids))
	for _, id := range ids {
		changes[strconv.Itoa(int(id))] = change
	}
	return s.admin.alterConfigs(ctx, kmsg.ConfigResourceTypeBroker, changes)
}

// startMoves begins moves between log directories.
func (s *reassignService) startMoves(ctx context.Context, to map[partitionReplica]string) error {
	timeout, err := s.patience()
	if err != nil {
		return err
	}
	late, err := s.admin.startMoves(ctx, to, timeout, func(begun []partitionReplica) {
		fmt.Fprintf(s.out, "Successfully started log directory move%s for: %s\n", plural(len(begun)), joinAny(begun))
	})
	if errors.Is(err, errMovesLate) {
		return plainError(fmt.Sprintf("Timed out before log directory move%s could be started for: %s",
			plural(len(late)), joinAny(late)))
	}
	return err
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// refusals is a line for each partition that was refused.
func refusals(refused map[topic.Partition]error) string {
	var text strings.Builder
	for _, p := range slices.SortedFunc(maps.Keys(refused), topic.Partition.Compare) {
		fmt.Fprintf(&text, "\n%s: %s", p, refused[p])
	}
	return text.String()
}

func (s *reassignService) runVerify(ctx context.Context) error {
	plan, err := s.readPlan()
	if err != nil {
		return err
	}
	running, err := s.admin.reassignments(ctx, nil)
	if err != nil {
		return err
	}
	wanted := plan.assignment()
	now, err := s.admin.assignmentOf(ctx, wanted.topics(), false)
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, "Status of partition reassignment:")
	for _, p := range wanted.partitions() {
		_, moving := running[p]
		fmt.Fprintln(s.out, reassignmentState(p, wanted[p], now[p], moving))
	}
	done, err := s.printMoves(ctx, plan.logDirs)
	if err != nil {
		return err
	}
	if len(running) > 0 || !done || s.has(s.keepThrottles) {
		return nil
	}
	return s.clearThrottles(ctx, wanted)
}

// reassignmentState is a line about one partition.
func reassignmentState(p topic.Partition, wanted, now []int32, moving bool) string {
	switch {
	case moving:
		return fmt.Sprintf("Reassignment of partition %s is still in progress.", p)
	case slices.Equal(wanted, now):
		return fmt.Sprintf("Reassignment of partition %s is complete.", p)
	}
	return fmt.Sprintf("There is no active reassignment of partition %s, but replica set is %s rather than %s.",
		p, joinIDs(now), joinIDs(wanted))
}

// printMoves prints how far moves between log directories are, or an empty line, and reports whether all are over.
func (s *reassignService) printMoves(ctx context.Context, to map[partitionReplica]string) (done bool, err error) {
	places, err := s.admin.replicaPlaces(ctx, to)
	if err != nil {
		return false, err
	}
	done = true
	var lines []string
	for _, r := range slices.SortedFunc(maps.Keys(to), compareReplicas) {
		line, over := moveState(r, places[r], to[r])
		lines = append(lines, line)
		done = done && over
	}
	fmt.Fprintln(s.out, strings.Join(lines, "\n"))
	return done, nil
}

// clearThrottles takes the throttles away from the topics and from all brokers: nobody knows any more which of them were
// copied from.
func (s *reassignService) clearThrottles(ctx context.Context, of assignment) error {
	live, err := s.admin.liveBrokers(ctx)
	if err != nil {
		return err
	}
	ids := of.brokers()
	for _, b := range live {
		ids = append(ids, b.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	fmt.Fprintf(s.out, "Clearing broker-level throttles on broker%s %s\n", plural(len(ids)), joinIDs(ids))
	err = s.changeBrokers(ctx, ids,
		configChange{leaderThrottledRate: nil, followerThrottledRate: nil, logDirThrottledRate: nil})
	if err != nil {
		return err
	}
	names := of.topics()
	fmt.Fprintf(s.out, "Clearing topic-level throttles on topic%s %s\n", plural(len(names)), strings.Join(names, ","))
	changes := make(map[string]configChange)
	for _, name := range names {
		changes[name] = configChange{leaderThrottledReplicas: nil, followerThrottledReplicas: nil}
	}
	return s.admin.alterConfigs(ctx, kmsg.ConfigResourceTypeTopic, changes)
}

func (s *reassignService) runCancel(ctx context.Context) error {
	plan, err := s.readPlan()
	if err != nil {
		return err
	}
	wanted := plan.assignment()
	running, err := s.admin.reassignments(ctx, wanted.partitions())
	if err != nil {
		return err
	}
	if err := s.cancelReassignments(ctx, running); err != nil {
		return err
	}
	places, err := s.admin.replicaPlaces(ctx, plan.logDirs)
	if err != nil {
		return err
	}
	back := make(map[partitionReplica]string)
	for r := range plan.logDirs {
		if at := places[r]; at.current != "" && at.future != "" {
			back[r] = at.current
		}
	}
	if len(back) == 0 {
		fmt.Fprintln(s.out, "None of the specified partition moves are active.")
	} else if err := s.startMoves(ctx, back); err != nil {
		return err
	}
	if s.has(s.keepThrottles) {
		return nil
	}
	return s.clearThrottles(ctx, wanted)
}

func (s *reassignService) cancelReassignments(ctx context.Context, running map[topic.Partition]reassigning) error {
	if len(running) == 0 {
		fmt.Fprintln(s.out, "None of the specified partition reassignments are active.")
		return nil
	}
	ended := make(assignment)
	for p := range running {
		ended[p] = nil
	}
	refused, err := s.admin.reassign(ctx, ended)
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		return plainError(fmt.Sprintf("Error cancelling partition reassignment%s for:%s", plural(len(refused)), refusals(refused)))
	}
	fmt.Fprintf(s.out, "Successfully cancelled partition reassignment%s for: %s\n", plural(len(ended)),
		joinAny(ended.partitions()))
	return nil
}

func (s *reassignService) runList(ctx context.Context) error {
	running, err := s.admin.reassignments(ctx, nil)
	if err != nil {
		return err
	}
	if len(running) == 0 {
		fmt.Fprintln(s.out, "No partition reassignments found.")
		return nil
	}
	fmt.Fprintln(s.out, "Current partition reassignments:")
	for _, p := range slices.SortedFunc(maps.Keys(running), topic.Partition.Compare) {
		fmt.Fprintf(s.out, "%s: %s\n", p, running[p])
	}
	return nil
}

// String is what --list says of a partition.
func (r reassigning) String() string {
	text := "replicas: " + joinIDs(r.replicas) + "."
	if len(r.adding) > 0 {
		text += " adding: " + joinIDs(r.adding) + "."
	}
	if len(r.removing) > 0 {
		text += " removing: " + joinIDs(r.removing) + "."
	}
	return text
}
