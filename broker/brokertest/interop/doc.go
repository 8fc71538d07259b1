//go:build interop

// Package interop runs real peers against zurau: Apache Kafka's brokers and tools, real ZooKeeper, and clients of
// other families. Everything is installed by name from the package registries into a cache (peers.go); with CI=true
// a component that cannot be had is a failure, otherwise the test is skipped and names it.
//
//	ZURAU_INTEROP_CACHE      where peers are installed (default: the user's cache directory)
//	ZURAU_INTEROP_BOOTSTRAP  a broker to test in place of ours, to see that a test agrees with Apache Kafka itself
//	ZURAU_INTEROP_ZOOKEEPER  the same for tests of our ZooKeeper server that need nothing else
//	ZURAU_INTEROP_LOGS       where the brokers of mixed clusters keep their logs and data after the test
//	ZURAU_TORTURE            not empty: the mixed clusters' full lengths
package interop
