package zkserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

func load(t *testing.T, text string) (Options, []string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zookeeper.properties")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return LoadProperties(path)
}

func TestPropertiesBecomeOptions(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       Options
		warnings   []string
	}{
		{
			"Kafka's own file",
			"# comment\ndataDir=/tmp/zookeeper\nclientPort=2181\nmaxClientCnxns=0\nadmin.enableServer=false\n",
			Options{Dir: "/tmp/zookeeper", Addr: ":2181"}, nil,
		},
		{
			"every key",
			"dataDir = /d ${x}\ndataLogDir=/l\nclientPort=1\nclientPortAddress=127.0.0.1\ntickTime=500\nminSessionTimeout=1000\n" +
				"maxSessionTimeout=60000\nmaxClientCnxns=7\nsnapCount=1000\nautopurge.snapRetainCount=5\n" +
				"autopurge.purgeInterval=1\njute.maxbuffer=0x400000\n4lw.commands.whitelist=stat, ruok\n" +
				"znode.container.checkIntervalMs=100\n",
			Options{
				Dir: "/d ${x}", LogDir: "/l", Addr: "127.0.0.1:1", TickTime: 500 * time.Millisecond, MinSessionTimeout: time.Second,
				MaxSessionTimeout: time.Minute, MaxClientCnxns: 7, SnapCount: 1000, SnapRetainCount: 5, JuteMaxBuffer: 4 << 20,
				Words: []string{"srvr", "stat", "ruok"}, ContainerCheckInterval: 100 * time.Millisecond,
			}, nil,
		},
		{
			"keys of other servers",
			"dataDir=/d\nclientPort=1\ninitLimit=5\nserver.1=h:1:2\nclient.port=3\nautopurge.snapRetainCount=1\n" +
				"minSessionTimeout=-1\n",
			Options{Dir: "/d", Addr: ":1", MaxClientCnxns: 60, SnapRetainCount: 3},
			[]string{"property client.port is not known and ignored", "autopurge.snapRetainCount is raised to 3"},
		},
		{
			"purging switched off",
			"dataDir=/d\nclientPort=1\nautopurge.purgeInterval=0\n",
			Options{Dir: "/d", Addr: ":1", MaxClientCnxns: 60, SnapRetainCount: -1}, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, warnings, err := load(t, tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := gocmp.Diff(tc.warnings, warnings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadPropertiesAreNamed(t *testing.T) {
	const good = "dataDir=/d\nclientPort=2181\n"
	for name, tc := range map[string]struct{ text, want string }{
		"no dataDir":            {"clientPort=2181\n", "dataDir is not set"},
		"an empty dataDir":      {"dataDir=\nclientPort=2181\n", "dataDir=: must not be empty"},
		"no clientPort":         {"dataDir=/d\n", "clientPort is not set"},
		"a port that is none":   {"dataDir=/d\nclientPort=x\n", "clientPort=x: not a whole number"},
		"a port out of range":   {"dataDir=/d\nclientPort=65536\n", "clientPort=65536: must lie between 0 and 65535"},
		"a negative tick":       {good + "tickTime=-5\n", "tickTime=-5: must lie between 1 and"},
		"timeouts upside down":  {good + "minSessionTimeout=9\nmaxSessionTimeout=8\n", "minSessionTimeout must not be larger"},
		"an ensemble":           {good + "server.1=a:1:2\nserver.2=b:1:2\n", "this server is one node"},
		"a TLS port":            {good + "secureClientPort=2182\n", "does not speak TLS"},
		"a limit that is none":  {good + "maxClientCnxns=many\n", "maxClientCnxns=many: not a whole number"},
		"two faults, both told": {"clientPort=x\ntickTime=0\n", "tickTime=0: must lie"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "zookeeper.properties") {
				t.Errorf("%v", err)
			}
		})
	}
	if _, _, err := LoadProperties("/no/such/file"); err == nil {
		t.Error("no file, and no error")
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"a tick too short":           {TickTime: time.Microsecond},
		"timeouts upside down":       {MinSessionTimeout: time.Minute, MaxSessionTimeout: time.Second},
		"less than no connections":   {MaxClientCnxns: -1},
		"snapshots all the time":     {SnapCount: 1},
		"a buffer of negative bytes": {JuteMaxBuffer: -1},
	} {
		if _, err := NewServer(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
