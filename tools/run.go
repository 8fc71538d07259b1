package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/zurau/zurau/broker"
	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/loglevel"
)

// run is the whole of a development setup in one process: the ZooKeeper and the broker of a conf folder. The
// console shows where to connect and what goes wrong; the rest is in LOG_DIR.
func run(ctx context.Context, args []string, io stdio) int {
	conf := confDir()
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		conf, args = args[0], args[1:]
	}
	levels := loglevel.New(zapcore.InfoLevel)
	logger, closeLogs := newServerLogger(io.Out, zapcore.WarnLevel, logDir(), levels)
	defer closeLogs()
	cfg, status, err := serverConfig(append([]string{filepath.Join(conf, "server.properties")}, args...), io, logger)
	if err != nil {
		fmt.Fprintln(io.Err, "zurau run:", startError(err))
		return 1
	}
	if cfg == nil {
		return status
	}
	zk, err := startZooKeeper(filepath.Join(conf, "zookeeper.properties"), logger.Named(zookeeperLogger))
	if err != nil {
		fmt.Fprintln(io.Err, "zurau run:", err)
		return 1
	}
	defer func() {
		if err := zk.Close(); err != nil {
			logger.Named(zookeeperLogger).Error("not closed cleanly", zap.Error(err))
		}
	}()
	logVersion(logger)
	b := broker.New(cfg, logger)
	b.LogLevels = levels
	return serveUntilDone(ctx, logger, b, func() {
		fmt.Fprint(io.Out, banner(cfg, b))
	})
}

// banner says what runs where, and what to type next.
func banner(cfg *config.Broker, b *broker.Broker) string {
	var lines []string
	bootstrap := ""
	for i, l := range cfg.AdvertisedListeners {
		if tcp, ok := b.Addr(l.Name).(*net.TCPAddr); ok && l.Port == 0 {
			l.Port = int32(tcp.Port)
		}
		l.Host = orDefault(l.Host, "localhost")
		if i == 0 {
			bootstrap = l.Address()
		}
		lines = append(lines, l.String())
	}
	return fmt.Sprintf(`
   zurau %s, speaks as Apache Kafka %s

   clients -----> broker %-3d %s
                    |        logs in %s
                    v
                 zookeeper  %s

   bin/kafka-topics.sh --bootstrap-server %[7]s --create --topic first
   bin/kafka-console-producer.sh --bootstrap-server %[7]s --topic first
   ^C stops both.

`, version, kafkaVersion, b.ID(), strings.Join(lines, " "), strings.Join(cfg.LogDirs, ","), cfg.ZooKeeperConnect,
		bootstrap)
}

// confDir is the folder conf or config of the working directory, else beside the bin that holds this program.
func confDir() string {
	candidates := []string{"conf", "config"}
	if self, err := os.Executable(); err == nil {
		base := filepath.Dir(filepath.Dir(self))
		candidates = append(candidates, filepath.Join(base, "conf"), filepath.Join(base, "config"))
	}
	for _, dir := range candidates {
		if _, err := os.Stat(filepath.Join(dir, "server.properties")); err == nil {
			return dir
		}
	}
	return "conf"
}
