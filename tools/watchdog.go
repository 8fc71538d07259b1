package main

import (
	"fmt"
	"os"
	"strings"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker"
	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/watchdog"
)

// watchdogWord makes this program the watchdog of a broker. It is not among the tools: nobody calls it by hand.
const watchdogWord = "session-watchdog"

// watchdogVariable turns the watchdog off by "off". It is on by default: it is one more process of a few megabytes, it
// acts only when its broker is dead for certain (see package watchdog), and a crash costs the cluster tenths of a second
// in place of zookeeper.session.timeout.ms.
const watchdogVariable = "ZURAU_WATCHDOG"

// startWatchdog starts one for a broker that has not been started yet. end is to be called after its stop. A broker
// without its watchdog runs all the same.
func startWatchdog(cfg *config.Broker, b *broker.Broker, logger *zap.Logger) (end func()) {
	log := logger.Named("zurau.watchdog")
	if strings.EqualFold(os.Getenv(watchdogVariable), "off") {
		return func() {}
	}
	self, err := os.Executable()
	if err != nil {
		log.Warn("No watchdog: after a crash the cluster waits for the session's timeout", zap.Error(err))
		return func() {}
	}
	w, err := watchdog.Start(self, watchdogWord, cfg.ZooKeeperConnect)
	if err != nil {
		log.Warn("No watchdog: after a crash the cluster waits for the session's timeout", zap.Error(err))
		return func() {}
	}
	b.TellSession = w.Tell
	return func() {
		if err := w.Close(); err != nil {
			log.Warn("The watchdog did not end well", zap.Error(err))
		}
	}
}

// watchSession is the watchdog's main.
func watchSession(servers string) (status int) {
	if err := watchdog.Run(os.Stdin, servers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
