package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/zurau/zurau/zkmeta"
)

// zookeeper-shell, in the manner of ZooKeeper 3.8's ZooKeeperMain: one command given as arguments, or commands from the
// input, a line each.

// shell is one run of it. Paths are the user's; the chroot is put in front of them.
type shell struct {
	stdio
	server  string // as the user wrote it
	chroot  string
	session *zkmeta.Session
	history []string
}

// shellError ends a command with a line on stderr and, in a one-shot run, a status.
type shellError struct {
	text   string
	status int
}

func (e *shellError) Error() string { return e.text }

func runZooKeeperShell(ctx context.Context, args []string, io stdio) int {
	if len(args) > 2 && args[1] == "-zk-tls-config-file" {
		fmt.Fprintln(io.Err, "zookeeper-shell: -zk-tls-config-file is not supported yet")
		return 1
	}
	if len(args) == 0 {
		fmt.Fprintln(io.Err, "USAGE: zookeeper-shell zookeeper_host:port[/path] [-zk-tls-config-file file] [args...]")
		return 1
	}
	servers, chroot, _ := strings.Cut(args[0], "/")
	s := &shell{stdio: io, server: args[0]}
	if chroot != "" {
		s.chroot = "/" + strings.TrimSuffix(chroot, "/")
	}
	fmt.Fprintf(io.Out, "Connecting to %s\n", args[0])
	words := args[1:]
	if len(words) > 0 {
		if _, ok := shellCommands[words[0]]; !ok && !isShellWord(words[0]) {
			return s.fail(s.notFound(words[0]))
		}
	} else {
		fmt.Fprint(io.Out, "Welcome to ZooKeeper!\nJLine support is disabled\n")
	}
	session, closeSession, err := openZooKeeper(ctx, servers, io.Err)
	if err != nil {
		fmt.Fprintf(io.Err, "KeeperErrorCode = ConnectionLoss for /: %s\n", err)
		return 1
	}
	defer closeSession()
	s.session = session
	s.printEvent("SyncConnected")
	if len(words) > 0 {
		return s.fail(s.execute(ctx, words))
	}
	return s.interact(ctx)
}

// isShellWord reports whether the shell itself, not ZooKeeper, answers a command.
func isShellWord(word string) bool {
	return slices.Contains([]string{"quit", "close", "history", "help", "version"}, word)
}

func (s *shell) printEvent(state string) {
	fmt.Fprintf(s.Out, "\nWATCHER::\n\nWatchedEvent state:%s type:None path:null\n", state)
}

// notFound shows usage and the complaint; the status is that of a command a Unix shell does not find.
func (s *shell) notFound(name string) error {
	s.printUsage()
	return &shellError{"Command not found: Command not found " + name, 127}
}

func (s *shell) printUsage() {
	fmt.Fprintln(s.Err, "ZooKeeper -server host:port cmd args")
	for _, name := range slices.Sorted(maps.Keys(shellCommands)) {
		fmt.Fprintf(s.Err, "\t%s %s\n", name, shellCommands[name].usage)
	}
	fmt.Fprint(s.Err, "\thistory\n\tquit\n\tversion\n")
}

// fail prints an error and gives the exit status of a one-shot run.
func (s *shell) fail(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(s.Err, err)
	var e *shellError
	if errors.As(err, &e) && e.status != 0 {
		return e.status
	}
	return 1
}

// interact runs the commands of the input until quit or its end.
func (s *shell) interact(ctx context.Context) int {
	prompt := onTerminal(s.In)
	lines := newInputLines(s.In)
	defer lines.close()
	for {
		if prompt {
			fmt.Fprintf(s.Out, "[zk: %s(CONNECTED) %d] ", s.server, len(s.history))
		}
		line, ok, err := lines.next(ctx)
		switch {
		case ctx.Err() != nil:
			return signalStatus(ctx)
		case !ok:
			return s.fail(err)
		}
		words := splitShellLine(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "quit" {
			s.printEvent("Closed")
			return 0
		}
		s.history = append(s.history, line)
		if _, known := shellCommands[words[0]]; !known && !isShellWord(words[0]) {
			s.fail(s.notFound(words[0]))
			continue
		}
		s.fail(s.execute(ctx, words))
	}
}

var shellWord = regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`)

// splitShellLine splits at blanks outside of quotes.
func splitShellLine(line string) []string {
	var words []string
	for _, m := range shellWord.FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2]+m[3])
	}
	return words
}

// execute runs one command of known name.
func (s *shell) execute(ctx context.Context, words []string) error {
	switch words[0] {
	case "close", "quit":
		return nil
	case "help":
		s.printUsage()
		return nil
	case "version":
		fmt.Fprintf(s.Out, "ZooKeeper CLI version: 3.8.4 (zurau %s)\n", version)
		return nil
	case "history":
		for i, line := range s.history {
			fmt.Fprintf(s.Out, "%d - %s\n", i, line)
		}
		return nil
	}
	c := shellCommands[words[0]]
	flags, rest, err := c.parse(words[1:])
	if err != nil || len(rest) < c.least {
		return &shellError{text: words[0] + " " + c.usage}
	}
	if !strings.HasPrefix(rest[0], "/") {
		return &shellError{text: "Path must start with / character"}
	}
	return s.reword(c.run(s, ctx, flags, rest))
}
