//go:build interop

package interop

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

// A load writes numbered records to a topic of its own, idempotent and with acks=all, until stop. Record n of partition
// p has the value "topic/p/n"; numbers of a partition are sent in order.
type load struct {
	topic string
	stop  func() // flushes, and returns when every record's fate is known

	mu struct {
		sync.Mutex
		sent []fate
	}
}

// fate is what a producer was told of one record.
type fate struct {
	partition int32
	number    int64
	offset    int64  // of an acknowledged one, -1 when its producer was not told
	failed    string // why it was given up; "" for an acknowledged one
}

func (l *load) told(f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.sent = append(l.mu.sent, f)
}

// fates are those known by now.
func (l *load) fates() []fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.sent[:len(l.mu.sent):len(l.mu.sent)]
}

// acked is how many records were acknowledged so far.
func (l *load) acked() (n int) {
	for _, f := range l.fates() {
		if f.failed == "" {
			n++
		}
	}
	return n
}

// A family starts the load of one kind of client.
type family struct {
	name  string
	start func(t *testing.T, bootstrap []string, topic string, partitions int32, perSecond int) *load
}

// families are the clients whose words count: Java's, librdkafka and sarama.
var families = []family{{"java", javaLoad}, {"librdkafka", librdkafkaLoad}, {"sarama", saramaLoad}}

func javaLoad(t *testing.T, bootstrap []string, topic string, partitions int32, perSecond int) *load {
	t.Helper()
	source, err := filepath.Abs("testdata/load/Load.java")
	if err != nil {
		t.Fatal(err)
	}
	classes, libs := t.TempDir(), clientJars(t, kafkaNew)
	if err := run(classes, "javac", "-nowarn", "-cp", libs, "-d", classes, source); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-Xmx128m"}, jvmFlags...)
	return loadProgram(t, topic, "java", append(args, "-cp", libs+string(os.PathListSeparator)+classes, "Load",
		strings.Join(bootstrap, ","), topic, fmt.Sprint(partitions), fmt.Sprint(perSecond))...)
}

func librdkafkaLoad(t *testing.T, bootstrap []string, topic string, partitions int32, perSecond int) *load {
	t.Helper()
	return loadProgram(t, topic, python(t), "testdata/load/load.py", strings.Join(bootstrap, ","), topic, fmt.Sprint(partitions),
		fmt.Sprint(perSecond))
}

// loadProgram runs a load in a process of its own, which ends after a line on its standard input.
func loadProgram(t *testing.T, topic, name string, args ...string) *load {
	t.Helper()
	l := &load{topic: topic}
	cmd := exec.Command(name, args...)
	dieWithUs(cmd)
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() { read <- l.follow(out) }()
	var once sync.Once
	l.stop = func() {
		once.Do(func() {
			io.WriteString(in, "\n")
			over := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
			defer over.Stop()
			if err := <-read; err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, stderr)
			}
		})
	}
	t.Cleanup(l.stop)
	return l
}

// follow reads the lines of a load program.
func (l *load) follow(out io.Reader) error {
	lines := bufio.NewScanner(out)
	var odd error
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), " ", 4)
		if len(f) < 4 {
			odd = fmt.Errorf("a load printed %q", lines.Text())
			continue
		}
		partition, err := strconv.ParseInt(f[1], 10, 32)
		number, err2 := strconv.ParseInt(f[2], 10, 64)
		if err != nil || err2 != nil {
			odd = fmt.Errorf("a load printed %q", lines.Text())
			continue
		}
		told := fate{partition: int32(partition), number: number, failed: f[3]}
		if f[0] == "ack" {
			told.failed = ""
			if told.offset, err = strconv.ParseInt(f[3], 10, 64); err != nil {
				odd = err
			}
		}
		l.told(told)
	}
	return odd
}

func saramaLoad(t *testing.T, bootstrap []string, topic string, partitions int32, perSecond int) *load {
	t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Retry.Max, c.Producer.Retry.Backoff = 600, 100*time.Millisecond
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = 600, 100*time.Millisecond
	c.Net.DialTimeout, c.Net.ReadTimeout = 5*time.Second, 35*time.Second
	p, err := sarama.NewAsyncProducer(bootstrap, c)
	if err != nil {
		t.Fatal(err)
	}
	l := &load{topic: topic}
	quit := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for m := range p.Successes() {
			l.told(fate{partition: m.Partition, number: m.Metadata.(int64), offset: m.Offset})
		}
	})
	work.Go(func() {
		for e := range p.Errors() {
			l.told(fate{partition: e.Msg.Partition, number: e.Msg.Metadata.(int64), failed: e.Err.Error()})
		}
	})
	work.Go(func() {
		defer p.AsyncClose()
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for n := int64(0); ; n++ {
			partition, number := int32(n%int64(partitions)), n/int64(partitions)
			m := &sarama.ProducerMessage{Topic: topic, Partition: partition, Metadata: number,
				Value: sarama.StringEncoder(fmt.Sprintf("%s/%d/%d", topic, partition, number))}
			select {
			case p.Input() <- m:
			case <-quit:
				return
			}
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	})
	var once sync.Once
	l.stop = func() { once.Do(func() { close(quit); work.Wait() }) }
	t.Cleanup(l.stop)
	return l
}
