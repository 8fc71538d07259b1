package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zurau/zurau/zkmeta"
)

// The commands of zookeeper-shell.

// shellCommand is a command of the shell. Its flags stand before the first path; those with a value are listed.
type shellCommand struct {
	usage  string
	flags  string // letters
	valued string // the letters among them that take a value
	least  int    // words needed
	run    func(s *shell, ctx context.Context, flags map[byte]string, words []string) error
}

// shellCommands by name.
var shellCommands = map[string]shellCommand{
	"ls":        {"[-s] [-R] path", "sR", "", 1, (*shell).ls},
	"get":       {"[-s] path", "s", "", 1, (*shell).get},
	"stat":      {"path", "", "", 1, (*shell).stat},
	"create":    {"[-s] [-e] path [data] [acl]", "se", "", 1, (*shell).create},
	"set":       {"[-s] [-v version] path data", "sv", "v", 2, (*shell).set},
	"delete":    {"[-v version] path", "v", "v", 1, (*shell).delete},
	"deleteall": {"path", "", "", 1, (*shell).deleteAll},
	"rmr":       {"path", "", "", 1, (*shell).deleteAll},
	"getAcl":    {"[-s] path", "s", "", 1, (*shell).getACL},
	"setAcl":    {"[-s] [-v version] path acl", "sv", "v", 2, (*shell).setACL},
	"sync":      {"path", "", "", 1, (*shell).sync},

	"getAllChildrenNumber": {"path", "", "", 1, (*shell).countAll},
}

// parse takes the flags off words. One that the command does not know is an error.
func (c shellCommand) parse(words []string) (map[byte]string, []string, error) {
	flags := make(map[byte]string)
	var rest []string
	for i := 0; i < len(words); i++ {
		w := words[i]
		if len(w) < 2 || w[0] != '-' {
			rest = append(rest, w)
			continue
		}
		for j := 1; j < len(w); j++ {
			switch {
			case strings.IndexByte(c.flags, w[j]) < 0:
				return nil, nil, fmt.Errorf("unknown flag %s", w)
			case strings.IndexByte(c.valued, w[j]) < 0:
				flags[w[j]] = ""
			case i+1 < len(words):
				i++
				flags[w[j]] = words[i]
			default:
				return nil, nil, fmt.Errorf("flag %s needs a value", w)
			}
		}
	}
	return flags, rest, nil
}

// reword says what was refused as the shell does (ZooKeeper: CliWrapperException).
func (s *shell) reword(err error) error {
	var call *zkmeta.CallError
	if !errors.As(err, &call) {
		return err
	}
	path := strings.TrimPrefix(call.Path, s.chroot)
	if path == "" {
		path = "/"
	}
	for _, e := range []struct {
		err  error
		text string
	}{
		{zkmeta.ErrNoNode, "Node does not exist: "},
		{zkmeta.ErrNodeExists, "Node already exists: "},
		{zkmeta.ErrNotEmpty, "Node not empty: "},
		{zkmeta.ErrNoAuth, "Insufficient permission : "},
		{zkmeta.ErrBadVersion, "version No is not valid : "},
		{zkmeta.ErrBadRequest, "Arguments are not valid : "},
	} {
		if errors.Is(err, e.err) {
			return &shellError{text: e.text + path}
		}
	}
	return err
}

func (s *shell) full(path string) string {
	if s.chroot != "" && path == "/" {
		return s.chroot
	}
	return s.chroot + path
}

func (s *shell) ls(ctx context.Context, flags map[byte]string, words []string) error {
	if _, recursive := flags['R']; recursive {
		return s.walk(ctx, words[0], func(path string) error {
			_, err := fmt.Fprintln(s.Out, path)
			return err
		})
	}
	names, stat, err := s.session.Children(ctx, s.full(words[0]))
	if err != nil {
		return err
	}
	slices.Sort(names)
	fmt.Fprintf(s.Out, "[%s]\n", strings.Join(names, ", "))
	return s.printStatIf(flags, stat)
}

// walk visits a znode and all below it, parents first, in order of name.
func (s *shell) walk(ctx context.Context, path string, visit func(path string) error) error {
	names, _, err := s.session.Children(ctx, s.full(path))
	if err != nil {
		return err
	}
	if err := visit(path); err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		err := s.walk(ctx, strings.TrimSuffix(path, "/")+"/"+name, visit)
		if err != nil && !errors.Is(err, zkmeta.ErrNoNode) { // gone since
			return err
		}
	}
	return nil
}

func (s *shell) get(ctx context.Context, flags map[byte]string, words []string) error {
	data, stat, err := s.session.Get(ctx, s.full(words[0]))
	if errors.Is(err, zkmeta.ErrNoNode) { // get alone shows the bare exception
		return &shellError{text: "org.apache.zookeeper.KeeperException$NoNodeException: KeeperErrorCode = NoNode for " + words[0]}
	}
	if err != nil {
		return err
	}
	text := string(data)
	if data == nil {
		text = "null"
	}
	fmt.Fprintln(s.Out, text)
	return s.printStatIf(flags, stat)
}

func (s *shell) stat(ctx context.Context, _ map[byte]string, words []string) error {
	stat, err := s.session.Exists(ctx, s.full(words[0]))
	if err != nil {
		return err
	}
	s.printStat(stat)
	return nil
}

func (s *shell) create(ctx context.Context, flags map[byte]string, words []string) error {
	_, sequential := flags['s']
	_, ephemeral := flags['e']
	mode := zkmeta.Persistent
	switch {
	case sequential && ephemeral:
		mode = zkmeta.EphemeralSequential
	case sequential:
		mode = zkmeta.PersistentSequential
	case ephemeral:
		mode = zkmeta.Ephemeral
	}
	var data []byte
	if len(words) > 1 {
		data = []byte(words[1])
	}
	var created string
	var err error
	if len(words) > 2 {
		var acl []zkmeta.ACL
		if acl, err = parseACL(words[2]); err != nil {
			return err
		}
		created, err = s.session.CreateACL(ctx, s.full(words[0]), data, mode, acl)
	} else {
		created, err = s.session.Create(ctx, s.full(words[0]), data, mode)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "Created %s\n", strings.TrimPrefix(created, s.chroot))
	return nil
}

func (s *shell) set(ctx context.Context, flags map[byte]string, words []string) error {
	version, err := flagVersion(flags)
	if err != nil {
		return err
	}
	stat, err := s.session.Set(ctx, s.full(words[0]), []byte(words[1]), version)
	if err != nil {
		return err
	}
	return s.printStatIf(flags, stat)
}

func (s *shell) delete(ctx context.Context, flags map[byte]string, words []string) error {
	version, err := flagVersion(flags)
	if err != nil {
		return err
	}
	return s.session.Delete(ctx, s.full(words[0]), version)
}

func (s *shell) deleteAll(ctx context.Context, _ map[byte]string, words []string) error {
	var paths []string
	if err := s.walk(ctx, words[0], func(path string) error { paths = append(paths, path); return nil }); err != nil {
		return err
	}
	for _, path := range slices.Backward(paths) {
		err := s.session.Delete(ctx, s.full(path), zkmeta.AnyVersion)
		if err != nil && !errors.Is(err, zkmeta.ErrNoNode) {
			return err
		}
	}
	return nil
}

func (s *shell) sync(ctx context.Context, _ map[byte]string, words []string) error {
	if err := s.session.Sync(ctx, s.full(words[0])); err != nil {
		return err
	}
	fmt.Fprintln(s.Out, "Sync is OK")
	return nil
}

func (s *shell) countAll(ctx context.Context, _ map[byte]string, words []string) error {
	n := -1
	if err := s.walk(ctx, words[0], func(string) error { n++; return nil }); err != nil {
		return err
	}
	fmt.Fprintln(s.Out, n)
	return nil
}

func flagVersion(flags map[byte]string) (int32, error) {
	text, given := flags['v']
	if !given {
		return zkmeta.AnyVersion, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, &shellError{text: `For input string: "` + text + `"`}
	}
	return int32(n), nil
}

// permissions are the letters of an access list, from the lowest bit up.
const permissions = "rwcda"

func (s *shell) getACL(ctx context.Context, flags map[byte]string, words []string) error {
	acl, stat, err := s.session.GetACL(ctx, s.full(words[0]))
	if err != nil {
		return err
	}
	for _, entry := range acl {
		letters := ""
		for _, letter := range "cdrwa" { // the order in which the shell writes them
			if entry.Perms&(1<<strings.IndexRune(permissions, letter)) != 0 {
				letters += string(letter)
			}
		}
		fmt.Fprintf(s.Out, "'%s,'%s\n: %s\n", entry.Scheme, entry.ID, letters)
	}
	return s.printStatIf(flags, stat)
}

func (s *shell) setACL(ctx context.Context, flags map[byte]string, words []string) error {
	version, err := flagVersion(flags)
	if err != nil {
		return err
	}
	acl, err := parseACL(words[1])
	if err != nil {
		return err
	}
	stat, err := s.session.SetACL(ctx, s.full(words[0]), acl, version)
	if err != nil {
		return err
	}
	return s.printStatIf(flags, stat)
}

// parseACL reads "scheme:id:perms,...".
func parseACL(text string) ([]zkmeta.ACL, error) {
	var acl []zkmeta.ACL
	for entry := range strings.SplitSeq(text, ",") {
		scheme, rest, ok := strings.Cut(entry, ":")
		id, letters, more := cutLast(rest, ":")
		if !ok || !more {
			return nil, &shellError{text: entry + " does not have the form scheme:id:perm"}
		}
		perms := int32(0)
		for _, letter := range letters {
			bit := strings.IndexRune(permissions, letter)
			if bit < 0 {
				return nil, &shellError{text: "Unknown perm type: " + string(letter)}
			}
			perms |= 1 << bit
		}
		acl = append(acl, zkmeta.ACL{Perms: perms, Scheme: scheme, ID: id})
	}
	return acl, nil
}

func (s *shell) printStatIf(flags map[byte]string, stat *zkmeta.Stat) error {
	if _, asked := flags['s']; asked {
		s.printStat(stat)
	}
	return nil
}

func (s *shell) printStat(stat *zkmeta.Stat) {
	date := func(ms int64) string { return time.UnixMilli(ms).Format("Mon Jan 02 15:04:05 MST 2006") }
	fmt.Fprintf(s.Out, "cZxid = 0x%x\nctime = %s\nmZxid = 0x%x\nmtime = %s\npZxid = 0x%x\ncversion = %d\ndataVersion = %d\n"+
		"aclVersion = %d\nephemeralOwner = 0x%x\ndataLength = %d\nnumChildren = %d\n",
		stat.Czxid, date(stat.Ctime), stat.Mzxid, date(stat.Mtime), stat.Pzxid, stat.Cversion, stat.Version,
		stat.Aversion, stat.EphemeralOwner, stat.DataLength, stat.NumChildren)
}
