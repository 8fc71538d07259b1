package brokertest

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	Main(leakChecked{m})
}

// leakChecked are tests after which no goroutine may be left.
type leakChecked struct{ tests *testing.M }

func (l leakChecked) Run() int {
	code := l.tests.Run()
	if code == 0 {
		// sarama's metrics registry keeps one goroutine for the life of a process.
		if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	return code
}
