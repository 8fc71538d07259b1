package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// kafka-reassign-partitions (Kafka: ReassignPartitionsCommand): moves replicas to other brokers. reassign_options.go
// reads the command line; reassign_brokers.go asks the brokers (2.8), reassign_zookeeper.go writes the znodes (1.1).

func runReassignPartitions(ctx context.Context, args []string, io stdio) int {
	o, err := parseReassignOptions(args)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	if done, err := o.checkCommon(o.common, args, "Moves the replicas of partitions to other brokers.", io.Out); done {
		return exitStatus(io.Err, err)
	}
	if err := o.check(); err != nil {
		return exitStatus(io.Err, err)
	}
	if o.dialect == dialect11 {
		return o.runOnZooKeeper(ctx, io)
	}
	return o.runOnBrokers(ctx, io)
}

// reassignActions are what the tool does in both dialects.
type reassignActions interface {
	runGenerate(ctx context.Context) error
	runExecute(ctx context.Context) error
	runVerify(ctx context.Context) error
}

// runOnZooKeeper is the tool of 1.1, whose status is 0 whatever becomes of the request.
func (o *reassignOptions) runOnZooKeeper(ctx context.Context, io stdio) int {
	session, closeSession, err := openZooKeeper(ctx, o.str(o.zookeeper), io.Err)
	if err != nil {
		return exitStatus(io.Err, err)
	}
	defer closeSession()
	if err := o.act(ctx, &zookeeperReassign{reassignOptions: o, session: session, io: io}); err != nil {
		fmt.Fprintf(io.Out, "Partitions reassignment failed due to %s\n%s\n", err, stackTrace(err))
	}
	return 0
}

// runOnBrokers is the tool of 2.8.
func (o *reassignOptions) runOnBrokers(ctx context.Context, io stdio) int {
	err := o.askBrokers(ctx, io)
	var said plainError
	switch {
	case errors.As(err, &said):
		fmt.Fprintln(io.Out, said)
		return 1
	case err != nil:
		fmt.Fprintf(io.Out, "Error: %s\n%s\n", err, stackTrace(err))
		return 1
	}
	return 0
}

func (o *reassignOptions) askBrokers(ctx context.Context, io stdio) error {
	if o.err != nil {
		return o.err
	}
	admin, err := newAdminNamed("AdminClient", "reassign-partitions-tool", o.str(o.bootstrap), o.str(o.commandConfig), io.Err)
	if err != nil {
		return err
	}
	defer admin.close()
	service := &reassignService{reassignOptions: o, admin: admin, out: io.Out}
	switch {
	case o.has(o.cancel):
		return service.runCancel(ctx)
	case o.has(o.list):
		return service.runList(ctx)
	}
	return o.act(ctx, service)
}

func (o *reassignOptions) act(ctx context.Context, on reassignActions) error {
	switch {
	case o.has(o.generate):
		return on.runGenerate(ctx)
	case o.has(o.execute):
		return on.runExecute(ctx)
	}
	return on.runVerify(ctx)
}

// rates are the throttles of the command line.
func (o *reassignOptions) rates() (throttleRates, error) {
	r := throttleRates{o.int64(o.throttle), o.int64(o.logDirThrottle)}
	return r, o.err
}

// patience is how long moves between log directories may take to begin.
func (o *reassignOptions) patience() (time.Duration, error) {
	ms := o.int64(o.timeout)
	return time.Duration(ms) * time.Millisecond, o.err
}

// readPlan reads the --reassignment-json-file.
func (o *reassignOptions) readPlan() (*reassignmentPlan, error) {
	data, err := o.readFile(o.planFile)
	if err != nil {
		return nil, err
	}
	plan, err := parsePlan(data)
	var broken *javaError
	if o.dialect == dialect11 && errors.As(err, &broken) && broken.cause != nil { // what is no JSON at all says nothing
		return &reassignmentPlan{}, nil
	}
	return plan, err
}

// readProposal reads what --generate is asked for.
func (o *reassignOptions) readProposal() (*proposal, error) {
	data, err := o.readFile(o.topicsFile)
	if err != nil {
		return nil, err
	}
	return parseProposal(data, o.str(o.brokerList))
}

// readFile reads the file an option names; a missing one is told as the dialect's Kafka tells it.
func (o *reassignOptions) readFile(file *option) ([]byte, error) {
	return readToolFile(o.dialect, o.str(file))
}

func readToolFile(d dialect, name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	switch {
	case err == nil:
		return data, nil
	case d == dialect11:
		return nil, &javaError{class: "java.io.FileNotFoundException", message: name + " (No such file or directory)"}
	}
	return nil, &javaError{
		class: "java.io.IOException", message: "Unable to read file " + name,
		cause: &javaError{class: "java.nio.file.NoSuchFileException", message: name},
	}
}

// printRollback shows what to go back by.
func printRollback(out io.Writer, current assignment) {
	fmt.Fprintf(out, "Current partition replica assignment\n\n%s\n\nSave this to use as the --reassignment-json-file "+
		"option during rollback\n", current)
}
