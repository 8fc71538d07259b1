//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Versions of the peers. The newest client line is pinned, so that a run tomorrow tests what this one tested.
const (
	kafkaAncient = "1.1.1" // its tools only
	kafkaOld     = "2.8.2"
	kafkaNew     = "3.9.1"
	clientNewest = "4.4.0"
)

var pythonPackages = []string{"kafka-python==3.0.12", "confluent-kafka==2.16.1", "kazoo==2.11.0", "python-snappy==0.7.3",
	"lz4==4.4.5", "zstandard==0.25.0", "crc32c==2.9.post0"}

var nodePackages = []string{"kafkajs@2.2.4", "kafkajs-snappy@1.1.0", "lz4js@0.2.0", "zstd-codec@0.1.5"}

// installs runs each installation once in a test binary.
var installs struct {
	sync.Mutex
	done map[string]error
}

// install makes sure that cache/name holds the packages, by running steps if it does not, and returns the folder.
func install(t testing.TB, name string, packages []string, steps func(dir string) error) string {
	t.Helper()
	dir := filepath.Join(cache(t), name)
	installs.Lock()
	defer installs.Unlock()
	err, known := installs.done[name]
	if !known {
		err = installOnce(dir, strings.Join(packages, "\n"), steps)
		if installs.done == nil {
			installs.done = map[string]error{}
		}
		installs.done[name] = err
	}
	if err != nil {
		missing(t, name, err)
	}
	return dir
}

func installOnce(dir, packages string, steps func(dir string) error) error {
	stamp := filepath.Join(dir, "complete") // holds the list, so that a longer one is installed anew
	if done, err := os.ReadFile(stamp); err == nil && string(done) == packages {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := steps(dir); err != nil {
		return err
	}
	return os.WriteFile(stamp, []byte(packages), 0o644)
}

// missing ends a test whose peer is not to be had: a failure in CI, a named skip elsewhere.
func missing(t testing.TB, name string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %v", name, err)
	}
	t.Skipf("%s is missing: %v", name, err)
}

func cache(t testing.TB) string {
	if dir := os.Getenv("ZURAU_INTEROP_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "zurau-interop")
}

func run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		tail := out.Bytes()
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, tail[max(0, len(tail)-2000):])
	}
	return nil
}

// python returns an interpreter that has the clients.
func python(t testing.TB) string {
	dir := install(t, "python", pythonPackages, func(dir string) error {
		if err := run(dir, "python3", "-m", "venv", "."); err != nil {
			return err
		}
		return run(dir, "bin/pip", append([]string{"install", "-q", "--disable-pip-version-check"}, pythonPackages...)...)
	})
	return filepath.Join(dir, "bin", "python")
}

// node returns the folder whose node_modules has KafkaJS.
func node(t testing.TB) string {
	return install(t, "node", nodePackages, func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private":true}`), 0o644); err != nil {
			return err
		}
		return run(dir, "npm", append([]string{"install", "--no-audit", "--no-fund", "--loglevel=error"}, nodePackages...)...)
	})
}

// kcat returns the kcat binary, a Debian package.
func kcat(t testing.TB) string {
	path, err := exec.LookPath("kcat")
	if err != nil {
		missing(t, "kcat", err)
	}
	return path
}

// jars returns the class path of Apache Kafka's brokers, tools and ZooKeeper of a release.
func jars(t testing.TB, version string) string {
	scala := "2.13"
	if version == kafkaAncient {
		scala = "2.12"
	}
	return mavenFolder(t, "kafka-"+version, []string{
		"org.apache.kafka:kafka_" + scala + ":" + version, "org.apache.kafka:kafka-tools:" + version,
		"org.slf4j:slf4j-reload4j:1.7.36",
		// The ZooKeeper server inside Kafka's jars needs these two at run time and does not name them.
		"io.dropwizard.metrics:metrics-core:4.1.12.1", "org.xerial.snappy:snappy-java:1.1.10.5"})
}

// clientJars returns the class path of Apache Kafka's clients of a release.
func clientJars(t testing.TB, version string) string {
	return mavenFolder(t, "clients-"+version, []string{"org.apache.kafka:kafka-clients:" + version, "org.slf4j:slf4j-nop:1.7.36"})
}

// javaClient returns the class path of the compiled testdata/Client.java with the clients of a release.
func javaClient(t testing.TB, version string) string {
	libs := clientJars(t, version)
	source, err := filepath.Abs("testdata/Client.java")
	if err != nil {
		t.Fatal(err)
	}
	classes := t.TempDir()
	if err := run(classes, "javac", "-nowarn", "-cp", libs, "-d", classes, source); err != nil {
		t.Fatal(err)
	}
	return libs + string(os.PathListSeparator) + classes
}

// mavenFolder lets Maven assemble artifacts (group:artifact:version) and what they need; it returns folder/*.
func mavenFolder(t testing.TB, name string, artifacts []string) string {
	dir := install(t, name, artifacts, func(dir string) error {
		var pom bytes.Buffer
		pom.WriteString("<project><modelVersion>4.0.0</modelVersion><groupId>zurau</groupId><artifactId>interop</artifactId>" +
			"<version>1</version><dependencies>")
		for _, a := range artifacts {
			parts := bytes.Split([]byte(a), []byte(":"))
			fmt.Fprintf(&pom, "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>",
				parts[0], parts[1], parts[2])
		}
		pom.WriteString("</dependencies></project>")
		if err := os.WriteFile(filepath.Join(dir, "pom.xml"), pom.Bytes(), 0o644); err != nil {
			return err
		}
		return run(dir, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=libs")
	})
	return filepath.Join(dir, "libs", "*")
}
