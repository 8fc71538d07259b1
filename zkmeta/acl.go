package zkmeta

import (
	"strings"

	"github.com/go-zookeeper/zk"
)

// SecuredRoots are the znodes whose trees zookeeper.set.acl protects (Kafka: ZkData.SecureRootPaths).
var SecuredRoots = []string{"/admin", "/brokers", "/cluster", "/config", ControllerPath, ControllerEpochPath, IsrChangePath,
	ProducerIDBlockPath, LogDirEventPath, "/delegation_token", "/kafka-acl", "/kafka-acl-changes", "/kafka-acl-extended",
	"/kafka-acl-extended-changes", FeaturePath, MigrationPath}

// secretRoots hold what not even readers of the world may see.
var secretRoots = []string{"/config/users", "/config/brokers", "/delegation_token/tokens"}

func (s *Session) aclFor(path string) []ACL { return NodeACL(s.client.opt.SecureACLs, path) }

// NodeACL is the access list of a znode (Kafka: ZkData.defaultAcls). Secured, it gives everything to whom the session
// has authenticated as, and reading to the world except for secrets; /consumers itself stays open to old consumers.
func NodeACL(secure bool, path string) []ACL {
	if !secure || path == ConsumersPath {
		return zk.WorldACL(zk.PermAll)
	}
	acl := zk.AuthACL(zk.PermAll)
	for _, root := range secretRoots {
		if strings.HasPrefix(path, root) {
			return acl
		}
	}
	return append(acl, zk.WorldACL(zk.PermRead)...)
}
