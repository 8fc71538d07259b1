package main

import (
	"context"
	"fmt"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker/loglevel"
	"github.com/zurau/zurau/zkmeta/zkserver"
)

// zookeeperServerStart is zookeeper-server-start: the one-node ZooKeeper of zkmeta/zkserver with a
// zookeeper.properties.
func zookeeperServerStart(ctx context.Context, args []string, io stdio) int {
	if len(args) > 0 && args[0] == "-daemon" {
		return startDaemon("zookeeper-server-start", "zookeeper", args[1:], io)
	}
	if len(args) != 1 {
		fmt.Fprintln(io.Out, "USAGE: zookeeper-server-start.sh [-daemon] zookeeper.properties")
		return 1
	}
	logger, closeLogs := newServerLogger(io.Out, loglevel.Trace, logDir(), loglevel.New(zapcore.InfoLevel))
	defer closeLogs()
	logger = logger.Named(zookeeperLogger)
	s, err := startZooKeeper(args[0], logger)
	if err != nil {
		logger.Error("Invalid config, exiting abnormally", zap.Error(err))
		fmt.Fprintln(io.Err, "Invalid config, exiting abnormally")
		return 2
	}
	<-ctx.Done()
	if err := s.Close(); err != nil {
		logger.Error("not closed cleanly", zap.Error(err))
		return 1
	}
	return 0
}

const zookeeperLogger = "org.apache.zookeeper.server.ZooKeeperServer"

// startZooKeeper serves the given zookeeper.properties; the caller closes the server.
func startZooKeeper(path string, logger *zap.Logger) (*zkserver.Server, error) {
	options, warnings, err := zkserver.LoadProperties(path)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		logger.Warn(w)
	}
	if options.Dir != "" {
		if err := os.MkdirAll(options.Dir, 0o755); err != nil {
			return nil, err
		}
	}
	options.Logger = logger
	s, err := zkserver.NewServer(options)
	if err != nil {
		return nil, err
	}
	if err := s.Start(); err != nil {
		return nil, err
	}
	return s, nil
}
