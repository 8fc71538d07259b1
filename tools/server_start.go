package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker"
	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/loglevel"
	"github.com/zurau/zurau/zkmeta"
)

// serverStart is kafka-server-start: the broker of one server.properties, until TERM or INT stops it cleanly.
func serverStart(ctx context.Context, args []string, io stdio) int {
	if len(args) == 0 {
		fmt.Fprintln(io.Out, "USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*")
		return 1
	}
	if args[0] == "-daemon" {
		return startDaemon("kafka-server-start", "kafkaServer", args[1:], io)
	}
	levels := loglevel.New(zapcore.InfoLevel)
	logger, closeLogs := newServerLogger(io.Out, loglevel.Trace, logDir(), levels)
	defer closeLogs()
	cfg, status, err := serverConfig(args, io, logger)
	if err != nil {
		fatal(logger, "Exiting Kafka due to fatal exception", err)
		return 1
	}
	if cfg == nil {
		return status
	}
	logVersion(logger)
	b := broker.New(cfg, logger)
	b.LogLevels = levels
	defer startWatchdog(cfg, b, logger)()
	return serveUntilDone(ctx, logger, b, func() {})
}

// failedStopTimeout bounds the stop of a broker that has lost its disks: they may hold it up for ever.
const failedStopTimeout = 10 * time.Second

// serveUntilDone runs b until ctx ends, or b fails, and gives the exit status. up is called when b has started.
func serveUntilDone(ctx context.Context, logger *zap.Logger, b *broker.Broker, up func()) int {
	if err := b.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return 0 // stopped while it was starting
		}
		fatal(logger, "Exiting Kafka due to fatal exception during startup.", err)
		return 1
	}
	up()
	select {
	case <-ctx.Done():
	case err := <-b.Failed():
		// Kafka halts here. Who leaves the cluster in order is replaced at once, and not after a session timeout.
		fatal(logger, "Exiting Kafka due to fatal exception", err)
		left := make(chan struct{})
		go func() {
			defer close(left)
			b.Stop(ctx)
		}()
		select {
		case <-left:
		case <-time.After(failedStopTimeout):
		}
		return 1
	}
	logger.Named("org.apache.kafka.common.utils.LoggingSignalHandler").Info(
		fmt.Sprintf("Terminating process due to signal (%v)", context.Cause(ctx)))
	b.Stop(context.WithoutCancel(ctx))
	return 0
}

// fatal logs why the process ends.
func fatal(logger *zap.Logger, text string, err error) {
	logger.Named("kafka.Kafka$").Error(text, zap.String(throwableField, startError(err)))
}

// startError shows an error as log4j shows an exception: class and text on a line of their own.
func startError(err error) string {
	var refused *config.Error
	var late *zkmeta.ConnectTimeoutError
	switch {
	case errors.As(err, &late):
		return zookeeperTimeoutClass + ": " + late.Error()
	case errors.As(err, &refused):
		return refused.Class + ": " + refused.Text
	case errors.Is(err, os.ErrNotExist):
		var path *os.PathError
		if errors.As(err, &path) {
			return "java.nio.file.NoSuchFileException: " + path.Path
		}
	}
	return throwable(err)
}

// serverConfig reads the command line of kafka.Kafka. A nil configuration without an error is a finished run:
// usage or version was shown, and status says how to exit.
func serverConfig(args []string, io stdio, logger *zap.Logger) (cfg *config.Broker, status int, err error) {
	p := &optionParser{}
	override := p.accepts("override",
		"Optional property that should override values set in server.properties file").takes("")
	p.accepts("version", "Print version information and exit.")
	usage := func(message string) (*config.Broker, int, error) {
		fmt.Fprintln(io.Err, message)
		p.printUsage(io.Err)
		return nil, 1, nil
	}
	for _, word := range args {
		if word == "--help" || word == "-h" {
			args = nil
		}
	}
	if len(args) == 0 {
		return usage("USAGE: java [options] kafka.Kafka server.properties [--override property=value]*")
	}
	for _, word := range args {
		if word == "--version" {
			fmt.Fprintln(io.Out, kafkaVersion)
			return nil, 0, nil
		}
	}
	values, err := config.ReadFile(args[0])
	if err != nil {
		return nil, 1, err
	}
	given, err := p.parse(args[1:])
	if err != nil {
		return nil, 1, err
	}
	if len(given.words) > 0 {
		return usage("Found non argument parameters: " + strings.Join(given.words, ","))
	}
	config.Override(values, given.all(override))
	cfg, warnings, err := config.New(values)
	if err != nil {
		return nil, 1, err
	}
	log := logger.Named("kafka.server.KafkaConfig")
	for _, w := range warnings {
		log.Warn(w)
	}
	log.Info("KafkaConfig values: \n" + cfg.String())
	return cfg, 0, nil
}

func logVersion(logger *zap.Logger) {
	info := logger.Named("org.apache.kafka.common.utils.AppInfoParser")
	info.Info("Kafka version: " + kafkaVersion)
	info.Info("zurau version: " + version)
	info.Info(fmt.Sprintf("Kafka startTimeMs: %d", time.Now().UnixMilli()))
}
