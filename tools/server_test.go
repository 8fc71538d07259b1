package main

import (
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestServers runs testdata/server: the server tools as processes of their own, called by the names of
// Kafka's scripts. $ZK and $BROKER are free ports, conf/ holds the shipped files adapted to them. "await file
// pattern" waits until a file has a line that matches; "stop tool" ends by TERM those processes that run the
// tool with a path of this script among their words.
func TestServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts brokers")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/server",
		Setup: func(env *testscript.Env) error {
			bin := filepath.Join(env.WorkDir, "bin")
			if err := os.Mkdir(bin, 0o755); err != nil {
				return err
			}
			for _, c := range append(commands, command{Name: "zurau"}) {
				for _, name := range []string{c.Name, c.Name + ".sh"} {
					if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
						return err
					}
				}
			}
			env.Setenv("PATH", bin)
			env.Setenv("ZURAU_RUN_MAIN", "1")
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("LOG_DIR", filepath.Join(env.WorkDir, "logs"))
			return writeConf(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "stop": stop},
	})
}

// freePorts finds n ports in a row that nobody listens on, and returns the first: zurau cluster counts upwards. They lie
// below those which the kernel gives to connections.
func freePorts(n int) int {
	for {
		first := 10000 + rand.IntN(20000)
		free := 0
		for free < n {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+free)))
			if err != nil {
				break
			}
			defer l.Close()
			free++
		}
		if free == n {
			return first
		}
	}
}

// writeConf makes conf/ from the shipped files with free ports and the folders of the script.
func writeConf(env *testscript.Env) error {
	ports := map[string]string{"ZK": strconv.Itoa(freePorts(1)), "BROKER": strconv.Itoa(freePorts(3))}
	for name, port := range ports {
		env.Setenv(name, port)
	}
	for file, more := range map[string]string{
		"server.properties": "listeners=PLAINTEXT://127.0.0.1:" + ports["BROKER"] + "\nzookeeper.connect=127.0.0.1:" + ports["ZK"] +
			"\nlog.dirs=" + filepath.Join(env.WorkDir, "data"),
		"zookeeper.properties": "clientPort=" + ports["ZK"] + "\ndataDir=" + filepath.Join(env.WorkDir, "zookeeper"),
	} {
		shipped, err := os.ReadFile(filepath.Join("../conf", file))
		if err != nil {
			return err
		}
		path := filepath.Join(env.WorkDir, "conf", file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(string(shipped)+"\n"+more+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// await waits up to half a minute for a line.
func await(ts *testscript.TestScript, _ bool, args []string) {
	path, pattern := ts.MkAbs(args[0]), regexp.MustCompile("(?m)"+strings.Join(args[1:], " "))
	deadline := time.Now().Add(30 * time.Second)
	for {
		data, _ := os.ReadFile(path)
		if pattern.Match(data) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no line of %s matches %s:\n%s", args[0], pattern, data)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop finds processes as kafka-server-stop does, but takes only those that name the script's own folder.
func stop(ts *testscript.TestScript, _ bool, args []string) {
	mine := func() (pids []int) {
		all, err := processes()
		ts.Check(err)
		for _, p := range all {
			if p.tool() == args[0] && strings.Contains(strings.Join(p.args, " "), ts.Getenv("WORK")) {
				pids = append(pids, p.pid)
			}
		}
		return pids
	}
	pids := mine()
	if len(pids) == 0 {
		ts.Fatalf("no %s of this script is running", args[0])
	}
	for _, pid := range pids {
		ts.Check(unix.Kill(pid, unix.SIGTERM))
	}
	for deadline := time.Now().Add(30 * time.Second); len(mine()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not end", args[0])
		}
	}
}
