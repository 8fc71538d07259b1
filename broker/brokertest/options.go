// Options of a cluster: how many brokers, what is in their server.properties, and what shall be done to them later.

package brokertest

import (
	"maps"

	"go.uber.org/zap"
)

type options struct {
	brokers    int
	properties map[string]string
	own        map[int]map[string]string // by broker id, over properties
	ensemble   string
	logger     *zap.Logger
	processes  bool
	links      bool
	watchdogs  bool
}

// Option changes what Start builds.
type Option func(*options)

// Brokers sets how many brokers there are; the default is 1.
func Brokers(n int) Option { return func(o *options) { o.brokers = n } }

// Property sets a key of server.properties on every broker.
func Property(key, value string) Option { return func(o *options) { o.properties[key] = value } }

// NodeProperty sets a key of server.properties on one broker, over what Property says: a rack, for one.
func NodeProperty(id int, key, value string) Option {
	return func(o *options) {
		if o.own[id] == nil {
			o.own[id] = map[string]string{}
		}
		o.own[id][key] = value
	}
}

// ZooKeeper uses a running ensemble, "host:port,.../chroot", in place of an embedded server. Without it the
// variable ZURAU_TEST_ZOOKEEPER names one, and each cluster gets a chroot of its own below it.
func ZooKeeper(connect string) Option { return func(o *options) { o.ensemble = connect } }

// Logger sends the brokers' logs somewhere; the default is nowhere. Brokers in processes of their own log into a file
// in any case (Node.Log), whose end is shown when the test fails.
func Logger(l *zap.Logger) Option { return func(o *options) { o.logger = l } }

// Processes gives each broker a process of its own, which can be killed and paused as no part of a process can. The
// process is the test binary itself, so its TestMain must be
//
//	func TestMain(m *testing.M) { brokertest.Main(m) }
func Processes() Option { return func(o *options) { o.processes = true } }

// Watchdogs gives each broker that has a process of its own a watchdog, as kafka-server-start does: ZooKeeper learns of
// a kill at once, and not after the session's timeout.
func Watchdogs() Option { return func(o *options) { o.watchdogs = true } }

// Links lets everything that goes to a broker pass a proxy, so that Node.Cut can part it from its peers and its
// clients. ZooKeeper can be cut off without it.
func Links() Option { return func(o *options) { o.links = true } }

// of are the properties of one broker that the options ask for.
func (o *options) of(id int) map[string]string {
	all := maps.Clone(o.properties)
	maps.Copy(all, o.own[id])
	return all
}
