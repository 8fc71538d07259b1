// Package security knows who somebody is. So far that is the SCRAM credential as Kafka keeps it in ZooKeeper, below
// the key "SCRAM-SHA-256" or "SCRAM-SHA-512" of the znode /config/users/<user>:
//
//	salt=<base64>,stored_key=<base64>,server_key=<base64>,iterations=<decimal>
//
// The broker writes and lists credentials (AlterUserScramCredentials, KIP-554) and so do the tools (kafka-configs
// --zookeeper). Both go through this package; ZooKeeper itself is reached through zkmeta alone.
package security
