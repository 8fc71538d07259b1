//go:build interop

package interop

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every command and program of the README runs as it is printed, in the order it is printed, against `make run`.
func TestTheREADMEIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"localhost:9092", "localhost:2181"} {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			t.Fatalf("something listens on %s already; the README's commands need that port", addr)
		}
	}
	if err := os.RemoveAll("/tmp/kafka-logs"); err != nil { // where conf/server.properties keeps its logs
		t.Fatal(err)
	}
	if err := os.RemoveAll("/tmp/zookeeper"); err != nil {
		t.Fatal(err)
	}
	runMakeRun(t)
	ran := 0
	for _, line := range regexp.MustCompile("(?m)^    (.+)$|`(bin/kafka-[a-z].+)`").FindAllStringSubmatch(string(text), -1) {
		command := line[1] + line[2]
		switch {
		case command == "make run", command == "make test", strings.Contains(command, "zk1:2181"), strings.Contains(command, "──"),
			!strings.HasPrefix(command, "bin/") && !strings.HasPrefix(command, "echo "):
			continue // runs already; runs in CI as it is; a name for the reader's own hosts; a drawing
		}
		if out, err := shell(t, command); err != nil {
			t.Errorf("%s\n%v\n%s", command, err, out)
		} else if strings.Contains(command, "console-consumer") && !strings.Contains(out, "hello zürau") {
			t.Errorf("%s\nprinted %q", command, out)
		}
		ran++
	}
	if ran < 4 {
		t.Errorf("only %d commands found in the README", ran)
	}
	for name, program := range readmePrograms(string(text)) {
		t.Run(name, func(t *testing.T) { runReadmeProgram(t, name, program) })
	}
}

// runMakeRun starts `make run` and stops it with the test.
func runMakeRun(t *testing.T) {
	cmd := exec.Command("make", "run")
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "LOG_DIR="+t.TempDir())
	dieWithUs(cmd)
	cmd.SysProcAttr.Setpgid = true // make does not pass signals on: the group gets them
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		if t.Failed() {
			t.Logf("make run said last:\n%s", out.Bytes()[max(0, out.Len()-3000):])
		}
	})
	await(t, javaStart, "make run to answer", func() bool {
		select {
		case <-ended:
			t.Fatal("make run has ended")
		default:
		}
		return introduced(t, "localhost:9092")
	})
}

func shell(t *testing.T, command string) (string, error) {
	cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
	cmd.Dir = "../../.."
	dieWithUs(cmd)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// readmePrograms are the fenced programs by language; Go's is shown in the package documentation of brokertest and
// compiled there.
func readmePrograms(text string) map[string]string {
	programs := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(text, -1) {
		if m[1] != "go" {
			programs[m[1]] = m[2]
		}
	}
	return programs
}

func runReadmeProgram(t *testing.T, language, program string) {
	dir := t.TempDir()
	var out string
	var err error
	switch language {
	case "python":
		file := filepath.Join(dir, "readme.py")
		writeFile(t, file, program)
		out, err = execute(t, "", python(t), file)
	case "java":
		file := filepath.Join(dir, "Readme.java")
		writeFile(t, file, "import java.util.*; import org.apache.kafka.clients.producer.*; import org.apache.kafka.common.serialization.*;\n"+
			"public class Readme { public static void main(String[] args) throws Exception {\n"+program+"}}\n")
		out, err = execute(t, "", "java", "-cp", clientJars(t, kafkaNew), file)
	default:
		t.Fatalf("the README has a program in %s that nobody runs", language)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if language == "python" && !strings.Contains(out, "from Python") {
		t.Errorf("printed %q", out)
	}
}
