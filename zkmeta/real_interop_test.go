//go:build interop

package zkmeta

import (
	"fmt"
	"os"
)

// The interop build runs every test of this package against the real ZooKeeper at ZURAU_ZK=host:port,..., each test below a
// chroot of its own. Sessions must be allowed to be as short as a second, by minSessionTimeout.
func init() {
	if realZooKeeper = os.Getenv("ZURAU_ZK"); realZooKeeper == "" {
		fmt.Println("ZURAU_ZK=host:port,... of a real ZooKeeper is not set: the tests run against zkserver")
	}
}
