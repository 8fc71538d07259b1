package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/zurau/zurau/broker/ibp"
)

// check holds what several keys must agree on (configuration.md 3.3; KafkaConfig.validateValues).
func (b *Broker) check() error {
	for _, rules := range []func() error{b.checkMode, b.checkIdentity, b.checkListeners, b.checkLog, b.checkLimits,
		b.checkListenerLimits, b.checkSelector} {
		if err := rules(); err != nil {
			return err
		}
	}
	return nil
}

// first is the first of several verdicts that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkMode refuses what needs KRaft, and peers that speak a protocol older than ours.
func (b *Broker) checkMode() error {
	if roles := b.parsed["process.roles"].([]string); len(roles) > 0 {
		return refuse("process.roles is set to %s, which asks for KRaft: this broker runs in ZooKeeper mode only. "+
			"Remove process.roles and set zookeeper.connect.", strings.Join(roles, ","))
	}
	if _, set := b.parsed["zookeeper.connect"].(string); !set {
		return refuse("Missing required configuration `zookeeper.connect` which has no default value.")
	}
	var err error
	if b.InterBrokerProtocol, err = ibp.Parse(b.stringOf("inter.broker.protocol.version", "")); err != nil {
		return refuse("%s", err)
	}
	protocols := b.parsed["group.coordinator.rebalance.protocols"].([]string)
	switch {
	case !slices.Contains(protocols, "classic"):
		return refuse("Disabling the 'classic' protocol is not supported.")
	case len(protocols) > 1:
		return refuse("The new 'consumer' rebalance protocol is only supported in KRaft cluster.")
	}
	if b.parsed["zookeeper.metadata.migration.enable"].(bool) {
		return refuse("zookeeper.metadata.migration.enable is set: this broker cannot migrate to KRaft.")
	}
	names := csv(b.stringOf("controller.listener.names", ""))
	return require(len(names) == 0, "controller.listener.names must be empty when not running in KRaft mode: [%s]",
		strings.Join(names, ", "))
}

func (b *Broker) checkIdentity() error {
	if b.BrokerIDGenerationEnable {
		return require(b.BrokerID >= -1 && b.BrokerID <= b.ReservedBrokerMaxID,
			"broker.id must be greater than or equal to -1 and not greater than reserved.broker.max.id")
	}
	return require(b.BrokerID >= 0, "broker.id must be greater than or equal to 0")
}

func (b *Broker) checkListeners() error {
	bound, advertised := namesOf(b.Listeners), namesOf(b.AdvertisedListeners)
	unbound := func(name string) bool { return !slices.Contains(bound, name) }
	nowhere := func(l Listener) bool { return l.Host == "0.0.0.0" }
	options := strings.Join(advertised, ",")
	return first(
		require(len(advertised) > 0, "There must be at least one broker advertised listener."),
		require(!slices.ContainsFunc(advertised, unbound),
			"advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. "+
				"Found %s. The valid options based on the current configuration are %s", options, strings.Join(bound, ",")),
		require(!slices.ContainsFunc(b.AdvertisedListeners, nowhere),
			"advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."),
		require(slices.Contains(advertised, b.InterBrokerListener),
			"inter.broker.listener.name must be a listener name defined in advertised.listeners. "+
				"The valid options based on currently configured listeners are %s", options),
		b.checkControlPlane(advertised),
		b.checkInterBrokerSASL(),
	)
}

func namesOf(listeners []Listener) []string {
	var names []string
	for _, l := range listeners {
		names = append(names, l.Name)
	}
	return names
}

func (b *Broker) checkControlPlane(advertised []string) error {
	if b.ControlPlaneListener == "" {
		return nil
	}
	return first(
		require(slices.Contains(advertised, b.ControlPlaneListener),
			"control.plane.listener.name must be a listener name defined in advertised.listeners. "+
				"The valid options based on currently configured listeners are %s", strings.Join(advertised, ",")),
		require(b.ControlPlaneListener != b.InterBrokerListener,
			"control.plane.listener.name, when defined, should have a different value from the inter broker listener name. "+
				"Currently they both have the value ListenerName(%s)", b.ControlPlaneListener),
	)
}

func (b *Broker) checkInterBrokerSASL() error {
	if !strings.HasPrefix(b.ListenerSecurityProtocols[b.InterBrokerListener], "SASL_") {
		return nil
	}
	mechanisms := b.parsed["sasl.enabled.mechanisms"].([]string)
	return require(slices.Contains(mechanisms, b.stringOf("sasl.mechanism.inter.broker.protocol", "")),
		"sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms "+
			"when SASL is used for inter-broker communication")
}

func (b *Broker) checkLog() error {
	atLeast := func(name string, least int64) bool {
		ms, set := b.parsed[name].(int64)
		return !set || ms >= least
	}
	retention := b.topicDefault(topicKeysByName["retention.ms"]).(int64)
	const mib = 1 << 20
	return first(
		require(atLeast("log.roll.ms", 1), "log.roll.ms must be greater than or equal to 1"),
		require(atLeast("log.roll.jitter.ms", 0), "log.roll.jitter.ms must be greater than or equal to 0"),
		require(retention != 0, "log.retention.ms must be unlimited (-1) or, greater than or equal to 1"),
		require(len(b.LogDirs) > 0, "At least one log directory must be defined via log.dirs or log.dir."),
		require(b.LogCleanerThreads > 0 && b.LogCleanerDedupeBufferSize/int64(b.LogCleanerThreads) > mib,
			"log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread."),
	)
}

// checkListenerLimits parses what a listener has for itself and the broker reads by ListenerValue.
func (b *Broker) checkListenerLimits() error {
	for _, name := range slices.Sorted(maps.Keys(b.values)) {
		k := findBrokerKey(name)
		if k == nil || !perListener(name) || !slices.Contains(clusterWideListenerKeys, k.Name) {
			continue
		}
		if _, err := k.parse(b.values[name]); err != nil {
			return err
		}
	}
	return nil
}

func (b *Broker) checkLimits() error {
	acks := int32(b.OffsetsCommitRequiredAcks)
	if acks < -1 || acks > int32(b.OffsetsTopicReplicationFactor) {
		return illegal("offsets.commit.required.acks must be greater or equal to -1 and less or equal to " +
			"offsets.topic.replication.factor")
	}
	if id := b.OffsetsTopicCompressionCodec; id < 0 || id > 4 {
		return illegal("Unknown compression type id: %d", id)
	}
	delay, idle := b.FailedAuthenticationDelay.Milliseconds(), b.ConnectionsMaxIdle.Milliseconds()
	return first(
		require(b.ReplicaFetchWaitMax <= b.ReplicaSocketTimeout,
			"replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms "+
				"to prevent unnecessary socket timeouts"),
		require(b.ReplicaFetchWaitMax <= b.ReplicaLagTimeMax,
			"replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms "+
				"to prevent frequent changes in ISR"),
		require(b.QueuedMaxRequestBytes <= 0 || b.QueuedMaxRequestBytes >= int64(b.SocketRequestMaxBytes),
			"queued.max.request.bytes must be larger or equal to socket.request.max.bytes"),
		require(b.MaxConnectionsPerIP != 0 || len(b.MaxConnectionsPerIPOverrides) > 0,
			"max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."),
		require(idle < 0 || delay < idle,
			"connection.failed.authentication.delay.ms=%d should always be less than connections.max.idle.ms=%d "+
				"to prevent failed authentication responses from timing out", delay, idle),
	)
}

// checkSelector takes the two classes by which Kafka chooses whom consumers read from (KIP-392). Others would have to be
// loaded.
func (b *Broker) checkSelector() error {
	const leader, rack = "org.apache.kafka.common.replica.LeaderSelector", "org.apache.kafka.common.replica.RackAwareReplicaSelector"
	b.ReadFromFollowers = b.ReplicaSelectorClass == rack
	return require(b.ReadFromFollowers || b.ReplicaSelectorClass == "" || b.ReplicaSelectorClass == leader,
		"replica.selector.class is %s: this broker has %s and %s.", b.ReplicaSelectorClass, leader, rack)
}
