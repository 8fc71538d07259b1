package zkserver

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// version is what the server says of itself; clients take their cue from the number.
const version = "3.8.4-zurau, built on 2026-11-21 00:00 UTC"

// words are the four letter words: typed into a bare connection in place of a connect request, they are answered in
// text, and the connection ends. An answer is made on the loop's goroutine, so one at all means the loop lives.
var words = map[string]func(*loop, *strings.Builder){
	"ruok": func(_ *loop, out *strings.Builder) { out.WriteString("imok") },
	"isro": func(_ *loop, out *strings.Builder) { out.WriteString("rw") },
	"srvr": func(l *loop, out *strings.Builder) { l.wordServer(out, false) },
	"stat": func(l *loop, out *strings.Builder) { l.wordServer(out, true) },
	"mntr": (*loop).wordMonitor,
	"conf": (*loop).wordConfig,
	"cons": (*loop).wordConnections,
	"dump": (*loop).wordDump,
	"envi": wordEnvironment,
	"dirs": (*loop).wordDirs,
	"wchs": (*loop).wordWatches,
	"wchc": (*loop).wordWatchesByConn,
	"wchp": (*loop).wordWatchesByPath,
}

// defaultWords leaves out the two whose answers grow with every watch.
var defaultWords = []string{
	"ruok", "isro", "srvr", "stat", "mntr", "conf", "cons", "dump", "envi", "dirs", "wchs",
}

func isWord(w string) bool { return words[w] != nil }

// answer is the text for a word.
func (l *loop) answer(word string) string {
	var out strings.Builder
	if slices.Contains(l.opts.Words, word) || slices.Contains(l.opts.Words, "*") {
		words[word](l, &out)
	} else {
		fmt.Fprintf(&out, "%s is not executed because it is not in the whitelist.\n", word)
	}
	return out.String()
}

func (l *loop) wordServer(out *strings.Builder, clients bool) {
	fmt.Fprintf(out, "Zookeeper version: %s\n", version)
	if clients {
		out.WriteString("Clients:\n")
		for _, c := range l.connections() {
			fmt.Fprintf(out, " /%s[%d](queued=0,recved=%d,sent=%d)\n",
				c.nc.RemoteAddr(), interest(c), c.received.Load(), c.sent.Load())
		}
		out.WriteByte('\n')
	}
	received, sent := l.packets()
	low, mean, high := l.stats.latencyMS()
	fmt.Fprintf(out, "Latency min/avg/max: %d/%.1f/%d\n", low, mean, high)
	fmt.Fprintf(out, "Received: %d\nSent: %d\nConnections: %d\nOutstanding: %d\nZxid: %s\nMode: standalone\n"+
		"Node count: %d\n", received, sent, len(l.connections()), len(l.inbox), hex(l.tree.zxid), l.nodeCount())
}

// nodeCount is what ZooKeeper says: it has the root under two names.
func (l *loop) nodeCount() int { return len(l.tree.nodes) + 1 }

// packets counts frames and words from and to all clients there ever were.
func (l *loop) packets() (received, sent int64) {
	received, sent = l.stats.received.Load(), l.stats.sent.Load()
	for _, c := range l.connections() {
		received += c.received.Load()
		sent += c.sent.Load()
	}
	return received, sent
}

// interest is Java's set of socket events: reading, once there is a session.
func interest(c *conn) int {
	if c.session != nil {
		return 1
	}
	return 0
}

func (l *loop) wordMonitor(out *strings.Builder) {
	received, sent := l.packets()
	low, mean, high := l.stats.latencyMS()
	ephemerals, size := 0, 0
	for _, paths := range l.tree.ephemerals {
		ephemerals += len(paths)
	}
	for path, n := range l.tree.nodes {
		size += len(path) + len(n.data)
	}
	open, most := fileDescriptors()
	for _, v := range []struct {
		name  string
		value any
	}{
		{"version", version},
		{"server_state", "standalone"},
		{"ephemerals_count", ephemerals},
		{"num_alive_connections", len(l.connections())},
		{"avg_latency", fmt.Sprintf("%.1f", mean)},
		{"outstanding_requests", len(l.inbox)},
		{"znode_count", l.nodeCount()},
		{"global_sessions", len(l.sessions.byID)},
		{"packets_sent", sent},
		{"packets_received", received},
		{"watch_count", l.watches.count()},
		{"min_latency", low},
		{"max_file_descriptor_count", most},
		{"approximate_data_size", size},
		{"open_file_descriptor_count", open},
		{"local_sessions", 0},
		{"uptime", l.stats.uptime().Milliseconds()},
		{"max_latency", high},
	} {
		fmt.Fprintf(out, "zk_%s\t%v\n", v.name, v.value)
	}
}

func (l *loop) wordConfig(out *strings.Builder) {
	o := l.opts
	dir, logDir := filepath.Join(o.Dir, versionDir), filepath.Join(o.LogDir, versionDir)
	if o.Dir == "" {
		dir, logDir = "", ""
	}
	fmt.Fprintf(out, "clientPort=%d\nsecureClientPort=-1\ndataDir=%s\ndataDirSize=%d\ndataLogDir=%s\ndataLogSize=%d\n"+
		"tickTime=%d\nmaxClientCnxns=%d\nminSessionTimeout=%d\nmaxSessionTimeout=%d\nclientPortListenBacklog=-1\n"+
		"serverId=0\n", l.port, dir, dirSize(dir), logDir, dirSize(logDir), o.TickTime.Milliseconds(), o.MaxClientCnxns,
		o.MinSessionTimeout.Milliseconds(), o.MaxSessionTimeout.Milliseconds())
}

func (l *loop) wordDirs(out *strings.Builder) {
	fmt.Fprintf(out, "datadir_size: %d\nlogdir_size: %d\n",
		dirSize(filepath.Join(l.opts.Dir, versionDir)), dirSize(filepath.Join(l.opts.LogDir, versionDir)))
}

func dirSize(dir string) (size int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

func (l *loop) wordConnections(out *strings.Builder) {
	for _, c := range l.connections() {
		fmt.Fprintf(out, " /%s[%d](queued=0,recved=%d,sent=%d", c.nc.RemoteAddr(), interest(c), c.received.Load(),
			c.sent.Load())
		if c.session != nil {
			low, mean, high := c.stats.latencyMS()
			fmt.Fprintf(out, ",sid=%s,lop=%s,est=%d,to=%d,lcxid=0x%x,lzxid=%s,lresp=%d,llat=%d,minlat=%d,avglat=%.0f,maxlat=%d",
				hex(c.session.id), cmp.Or(opNames[c.last.op], "NA"), c.since.UnixMilli(),
				c.session.timeout.Milliseconds(), uint32(c.last.xid), hex(c.last.zxid), c.last.at.UnixMilli(),
				c.stats.last.Load()/1000, low, mean, high)
		}
		out.WriteString(")\n")
	}
	out.WriteByte('\n')
}

func (l *loop) wordDump(out *strings.Builder) {
	fmt.Fprintf(out, "SessionTracker dump:\nSession Sets (%d)/(%d):\n", len(l.sessions.buckets), len(l.sessions.byID))
	for _, bucket := range slices.Sorted(maps.Keys(l.sessions.buckets)) {
		fmt.Fprintf(out, "%d expire in %v:\n", len(l.sessions.buckets[bucket]),
			l.sessions.tick*time.Duration(bucket-l.sessions.now))
		for x := range l.sessions.buckets[bucket] {
			fmt.Fprintf(out, "\t%s\t%dms\n", hex(x.id), x.timeout.Milliseconds())
		}
	}
	fmt.Fprintf(out, "ephemeral nodes dump:\nSessions with Ephemerals (%d):\n", len(l.tree.ephemerals))
	for _, id := range slices.Sorted(maps.Keys(l.tree.ephemerals)) {
		fmt.Fprintf(out, "%s:\n", hex(id))
		for _, path := range l.tree.ephemeralsOf(id) {
			fmt.Fprintf(out, "\t%s\n", path)
		}
	}
}

func (l *loop) wordWatches(out *strings.Builder) {
	paths := map[string]bool{}
	conns := map[*conn]bool{}
	for _, table := range []*watchTable{l.watches.data, l.watches.child} {
		for path := range table.byPath {
			paths[path] = true
		}
		for c := range table.byConn {
			conns[c] = true
		}
	}
	fmt.Fprintf(out, "%d connections watching %d paths\nTotal watches:%d\n", len(conns), len(paths), l.watches.count())
}

func (l *loop) wordWatchesByConn(out *strings.Builder) {
	for _, table := range []*watchTable{l.watches.data, l.watches.child} {
		for c, paths := range table.byConn {
			fmt.Fprintf(out, "%s\n", hex(c.session.id))
			for path := range paths {
				fmt.Fprintf(out, "\t%s\n", path)
			}
		}
	}
}

func (l *loop) wordWatchesByPath(out *strings.Builder) {
	for _, table := range []*watchTable{l.watches.data, l.watches.child} {
		for path, conns := range table.byPath {
			fmt.Fprintf(out, "%s\n", path)
			for c := range conns {
				fmt.Fprintf(out, "\t%s\n", hex(c.session.id))
			}
		}
	}
}

func wordEnvironment(_ *loop, out *strings.Builder) {
	host, _ := os.Hostname()
	home, _ := os.UserHomeDir()
	dir, _ := os.Getwd()
	name := "<NA>"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	out.WriteString("Environment:\n")
	for _, v := range [][2]string{
		{"zookeeper.version", version}, {"host.name", host}, {"go.version", runtime.Version()},
		{"os.name", runtime.GOOS}, {"os.arch", runtime.GOARCH}, {"user.name", name}, {"user.home", home},
		{"user.dir", dir}, {"os.memory.total", fmt.Sprintf("%dMB", memory.Sys>>20)},
	} {
		fmt.Fprintf(out, "%s=%s\n", v[0], v[1])
	}
}
