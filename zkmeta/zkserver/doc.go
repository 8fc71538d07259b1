// Package zkserver is a ZooKeeper server on one node, for development and tests.
package zkserver
