package service

import (
	"testing"

	"github.com/zurau/zurau/broker/brokertest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

func TestOrdersSurviveABroker(t *testing.T) {
	for name, options := range map[string][]brokertest.Option{
		"in this process": nil,
		"processes":       {brokertest.Processes(), brokertest.Watchdogs()},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := brokertest.Start(t, append(options, brokertest.Brokers(3),
				brokertest.Property("zookeeper.session.timeout.ms", "2000"))...)
			cluster.CreateTopic("orders", 1, 3, "min.insync.replicas=2")
			orders, err := Open(cluster.Bootstrap())
			if err != nil {
				t.Fatal(err)
			}
			defer orders.Close()
			if err := orders.Add("one"); err != nil {
				t.Fatal(err)
			}
			leader := cluster.Leader("orders", 0)
			leader.Kill()
			if err := orders.Add("two"); err != nil {
				t.Fatal(err)
			}
			leader.Start()
			cluster.AwaitISR("orders", 3)
		})
	}
}
