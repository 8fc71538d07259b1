package zkserver

import (
	"crypto/sha1"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
)

// Permission bits of an ACL entry (ZooDefs.Perms).
const (
	permRead   int32 = 1
	permWrite  int32 = 2
	permCreate int32 = 4
	permDelete int32 = 8
	permAdmin  int32 = 16
	permAll    int32 = 31
)

// aclEntry gives perms to everybody who is id in scheme: world:anyone, ip:10.0.0.0/8, digest:user:hash. The scheme
// auth exists only in requests; prepare replaces it by the asker's own identities.
type aclEntry struct {
	perms int32
	identity
}

// identity is who somebody is in one scheme: what a connection has proved, or what an ACL entry asks for.
type identity struct{ scheme, id string }

// openACL is what nearly every znode has; those that have it share this one slice.
var openACL = []aclEntry{{permAll, identity{"world", "anyone"}}}

// readOnlyACL guards /zookeeper/config.
var readOnlyACL = []aclEntry{{permRead, identity{"world", "anyone"}}}

func decodeACL(d *decoder) []aclEntry {
	n := d.count(12)
	if n == 0 {
		return nil
	}
	acl := make([]aclEntry, n)
	for i := range acl {
		acl[i] = aclEntry{d.int32(), identity{d.string(), d.string()}}
	}
	if slices.Equal(acl, openACL) {
		return openACL
	}
	return acl
}

func (e *encoder) acl(acl []aclEntry) {
	e.int32(int32(len(acl)))
	for _, a := range acl {
		e.int32(a.perms)
		e.string(a.scheme)
		e.string(a.id)
	}
}

// allowed tells whether one of ids may do perm by acl.
func allowed(acl []aclEntry, perm int32, ids []identity) bool {
	for _, a := range acl {
		if a.perms&perm == 0 {
			continue
		}
		if a.identity == openACL[0].identity {
			return true
		}
		if slices.ContainsFunc(ids, a.identity.matches) {
			return true
		}
	}
	return false
}

// matches tells whether who, an identity of a connection, is one that want asks for.
func (want identity) matches(who identity) bool {
	if want.scheme != who.scheme {
		return false
	}
	if want.scheme != "ip" {
		return want.id == who.id
	}
	network, ok := parseIPPattern(want.id)
	addr, err := netip.ParseAddr(who.id)
	return ok && err == nil && network.Contains(addr)
}

// parseIPPattern reads "10.1.2.3" or "10.0.0.0/8", of either family.
func parseIPPattern(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

// fixACL checks an ACL a client wants to set: duplicates go, auth becomes the digest identities of the client, and
// an entry of unknown scheme or malformed id refuses the whole (PrepRequestProcessor.fixupACL).
func fixACL(acl []aclEntry, ids []identity) ([]aclEntry, code) {
	if len(acl) == 0 {
		return nil, codeInvalidACL
	}
	if slices.Equal(acl, openACL) {
		return openACL, ok
	}
	var fixed []aclEntry
	for i, a := range acl {
		switch {
		case slices.Contains(acl[:i], a):
		case a.scheme == "auth":
			before := len(fixed)
			for _, id := range ids {
				if id.scheme == "digest" {
					fixed = append(fixed, aclEntry{a.perms, id})
				}
			}
			if len(fixed) == before {
				return nil, codeInvalidACL
			}
		case a.valid():
			fixed = append(fixed, a)
		default:
			return nil, codeInvalidACL
		}
	}
	return fixed, ok
}

// valid tells whether an ACL may name id.
func (id identity) valid() bool {
	switch id.scheme {
	case "world":
		return id.id == "anyone"
	case "digest":
		user, hash, found := strings.Cut(id.id, ":")
		return found && user+hash != "" && hash != "" && !strings.Contains(hash, ":")
	case "ip":
		_, ok := parseIPPattern(id.id)
		return ok
	}
	return false
}

// authenticate turns the credential of an auth request into an identity; a client that names a scheme nobody here
// knows is refused.
func authenticate(scheme string, credential []byte, remoteIP string) (identity, bool) {
	switch scheme {
	case "digest":
		user, _, _ := strings.Cut(string(credential), ":")
		sum := sha1.Sum(credential)
		return identity{"digest", user + ":" + base64.StdEncoding.EncodeToString(sum[:])}, true
	case "ip":
		return identity{"ip", remoteIP}, true
	}
	return identity{}, false
}

// user is the part of an identity that whoAmI shows.
func (id identity) user() string {
	if id.scheme == "digest" {
		user, _, _ := strings.Cut(id.id, ":")
		return user
	}
	return id.id
}

// maskACL hides the password hashes from those who may read a znode but not administer it.
func maskACL(acl []aclEntry) []aclEntry {
	masked := slices.Clone(acl)
	for i, a := range masked {
		if a.scheme == "digest" {
			masked[i].id = a.user() + ":x"
		}
	}
	return masked
}
