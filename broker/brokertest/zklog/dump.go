package zklog

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/zurau/zurau/zkmeta"
)

// Znode is all that a client can see of one, without its times.
type Znode struct {
	Path      string
	Ephemeral bool
	Version   int32  // of the data
	Children  int32  // the version of the list of children
	ACL       string // "world:anyone:cdrwa"
	Data      any    // as in Write
}

// ReadDump reads a file of golden/znodes: a line each, with the columns path, ephemeral=, dataVersion=, cversion=, acl=
// and data.
func ReadDump(file string, ids Identities) ([]Znode, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []Znode
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		f := strings.SplitN(line, "\t", 6)
		if len(f) != 6 {
			return nil, fmt.Errorf("%s: %q", file, line)
		}
		value := func(i int) string { _, v, _ := strings.Cut(f[i], "="); return v }
		version, err := strconv.Atoi(value(2))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		children, err := strconv.Atoi(value(3))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		z := Znode{Path: f[0], Ephemeral: value(1) == "yes", Version: int32(version), Children: int32(children), ACL: value(4)}
		if data, ok := strings.CutPrefix(f[5], "text "); ok {
			z.Data = ids.decode(z.Path, data)
		}
		all = append(all, z)
	}
	slices.SortFunc(all, func(a, b Znode) int { return cmp.Compare(a.Path, b.Path) })
	return maskTokens(all), nil
}

// Dump reads all znodes below the session's chroot, sorted by path. One that goes meanwhile may be missing.
func Dump(ctx context.Context, s *zkmeta.Session, ids Identities) ([]Znode, error) {
	if err := s.Sync(ctx, "/"); err != nil {
		return nil, err
	}
	var all []Znode
	data := make(map[string]string)
	var walk func(at string)
	walk = func(at string) {
		text, stat, err := s.Get(ctx, at)
		if err != nil {
			return
		}
		acl, _, err := s.GetACL(ctx, at)
		if err != nil {
			return
		}
		who := make([]string, len(acl))
		for i, a := range acl {
			who[i] = a.Scheme + ":" + a.ID + ":" + permissions(a.Perms)
		}
		if text != nil {
			data[at] = string(text)
		}
		all = append(all, Znode{Path: at, Ephemeral: stat.EphemeralOwner != 0, Version: stat.Version, Children: stat.Cversion,
			ACL: strings.Join(who, ",")})
		children, _, err := s.Children(ctx, at)
		if err != nil {
			return
		}
		for _, child := range children {
			walk(path.Join(at, child))
		}
	}
	walk("/")
	slices.SortFunc(all, func(a, b Znode) int { return cmp.Compare(a.Path, b.Path) })
	for i, z := range all { // in order, so that ids get the same numbers as those of a file
		if text, ok := data[z.Path]; ok {
			all[i].Data = ids.decode(z.Path, text)
		}
	}
	return maskTokens(all), ctx.Err()
}

func permissions[N int32 | uint32 | int](bits N) string {
	out := ""
	for _, p := range []struct {
		letter string
		bit    N
	}{{"c", 4}, {"d", 8}, {"r", 1}, {"w", 2}, {"a", 16}} {
		if bits&p.bit != 0 {
			out += p.letter
		}
	}
	return out
}

// maskTokens gives tokens one name, wherever it stands; a test makes no more than one.
func maskTokens(all []Znode) []Znode {
	for i, z := range all {
		switch {
		case strings.HasPrefix(z.Path, tokenParent):
			all[i].Path = tokenParent + "TOKEN"
		case strings.HasPrefix(z.Path, "/delegation_token/token_changes/"):
			if text, ok := z.Data.(string); ok && len(text) == 22 {
				all[i].Data = "TOKEN"
			}
		}
	}
	return all
}
