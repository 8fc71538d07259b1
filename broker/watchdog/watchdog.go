// Package watchdog shortens a crash. A broker that dies leaves its ZooKeeper session behind, and its leaders are missed
// until that runs out. A small process beside the broker knows the session and closes it as soon as the broker has
// died; the cluster elects new leaders at once, as Kafka's does only after zookeeper.session.timeout.ms.
//
//	broker --- pipe ---> watchdog        "0123456789abcdef <password in hex>\n" for each new session, "-\n" for none
//	  X        end  ---> closes the last session it was told, and ends
//
// It is safe because of what the end of the pipe means: the kernel closes a process's files when its last thread is
// gone, so nothing of the broker can write any more, to disk or network. A broker that hangs or is stopped keeps the
// pipe open, and its session. Only that one session is named, never whatever a file says now: a broker that was started
// again meanwhile has another. A watchdog that fails or is killed as well leaves things as they are without it.
package watchdog

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zurau/zurau/zkmeta"
)

// Watchdog is the broker's side: the process that watches. A nil one does nothing.
type Watchdog struct {
	cmd *exec.Cmd
	mu  struct {
		sync.Mutex
		pipe *os.File // written to by Tell, which never waits long: a line is smaller than the pipe's buffer
	}
}

// Start runs a command that is to call Run with its standard input. Its standard error is the broker's.
func Start(command string, args ...string) (*Watchdog, error) {
	read, write, err := os.Pipe() // both ends are closed in whatever else this process starts
	if err != nil {
		return nil, fmt.Errorf("watchdog: %w", err)
	}
	defer read.Close()
	w := &Watchdog{cmd: exec.Command(command, args...)}
	w.cmd.Stdin, w.cmd.Stderr = read, os.Stderr
	w.cmd.SysProcAttr = apart()
	if err := w.cmd.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("watchdog: %w", err)
	}
	w.mu.pipe = write
	return w, nil
}

// tellTimeout bounds how long a watchdog that does not read can hold its broker up.
const tellTimeout = time.Second

// Tell names the session that is to be closed when this process dies; id 0 is for none.
func (w *Watchdog) Tell(id int64, password []byte) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.mu.pipe.SetWriteDeadline(time.Now().Add(tellTimeout)); err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	if _, err := io.WriteString(w.mu.pipe, line(id, password)); err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	return nil
}

// Close ends the watchdog, which closes the session it was told last unless that is none, and waits until it is gone.
func (w *Watchdog) Close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	w.mu.pipe.Close()
	w.mu.Unlock()
	return w.cmd.Wait()
}

const noSession = "-\n"

func line(id int64, password []byte) string {
	if id == 0 {
		return noSession
	}
	return fmt.Sprintf("%016x %x\n", uint64(id), password)
}

func parse(text string) (id int64, password []byte, err error) {
	if text == noSession {
		return 0, nil, nil
	}
	name, secret, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
	bits, err := strconv.ParseUint(name, 16, 64)
	if err != nil {
		return 0, nil, fmt.Errorf("watchdog: no session: %w", err)
	}
	password, err = hex.DecodeString(secret)
	return int64(bits), password, err
}

// closeTimeout bounds the attempts to close the session; it would have run out by then in most clusters.
const closeTimeout = 20 * time.Second

// Run is the watchdog's side. It reads until the end of the pipe and then closes the last session, at one of the
// servers of a zookeeper.connect.
func Run(pipe io.Reader, servers string) error {
	var id int64
	var password []byte
	for lines := bufio.NewReader(pipe); ; {
		text, err := lines.ReadString('\n')
		if err != nil {
			break // a line without its end was never told
		}
		if id, password, err = parse(text); err != nil {
			return err
		}
	}
	if id == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return zkmeta.CloseSession(ctx, servers, id, password)
}
