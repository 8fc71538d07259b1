package api_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/zurau/zurau/broker/brokertest"
)

// The words and codes are those of Kafka 3.9.1.
func TestLevelsOfLoggersAreAlteredAndDescribedAtOnce(t *testing.T) {
	c := brokertest.Start(t, brokertest.Brokers(2))
	a := ask(t, c, 0)
	v := func(s string) *string { return &s }
	const (
		set, drop, add, subtract = kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete,
			kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract
		apis = "kafka.server.KafkaApis"
	)
	for _, s := range []struct {
		step    string
		broker  string
		op      kmsg.IncrementalAlterConfigOp
		logger  string
		level   *string
		want    string
		apisNow string
	}{
		{"a level", "0", set, apis, v("DEBUG"), "ok", "DEBUG"},
		{"a level in small letters", "0", set, apis, v("trace"), "INVALID_CONFIG: Cannot set the log level of kafka.server.KafkaApis to " +
			"trace as it is not a supported log level. Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN", "DEBUG"},
		{"no level", "0", set, apis, nil, "INVALID_REQUEST: Null value not supported for : kafka.server.KafkaApis", "DEBUG"},
		{"a logger nobody has", "0", set, "no.such.Logger", v("DEBUG"), "INVALID_CONFIG: Logger no.such.Logger does not exist!", "DEBUG"},
		{"a level appended", "0", add, apis, v("INFO"), "INVALID_REQUEST: APPEND operation is not allowed for the BROKER_LOGGER resource", "DEBUG"},
		{"a level subtracted", "0", subtract, apis, v("INFO"), "INVALID_REQUEST: SUBTRACT operation is not allowed for the BROKER_LOGGER resource", "DEBUG"},
		{"the root without a level", "0", drop, "root", nil, "INVALID_REQUEST: Removing the log level of the root logger is not allowed", "DEBUG"},
		{"another broker", "1", set, apis, v("INFO"), "INVALID_REQUEST: Unexpected node id. Expected 0, but received 1", "DEBUG"},
		{"no broker", "", set, apis, v("INFO"), "INVALID_REQUEST: Node id must be an integer, but it is: ", "DEBUG"},
		{"the root's level is not a child's", "0", set, "root", v("ERROR"), "ok", "DEBUG"},
		{"the level taken away", "0", drop, apis, nil, "ok", "ERROR"},
		{"a parent's level", "0", set, "kafka", v("TRACE"), "ok", "TRACE"},
	} {
		if got := a.alter(kmsg.ConfigResourceTypeBrokerLogger, s.broker, s.op, s.logger, s.level); got != s.want {
			t.Errorf("%s: %s\nwant %s", s.step, got, s.want)
		}
		_, configs := a.described(kmsg.ConfigResourceTypeBrokerLogger, "0", apis)
		if got := configs[apis]; len(configs) != 1 || *got.Value != s.apisNow || got.Source != kmsg.ConfigSourceDynamicBrokerLoggerConfig || got.IsDefault {
			t.Errorf("after %s: %+v", s.step, configs)
		}
	}
	if _, configs := ask(t, c, 1).described(kmsg.ConfigResourceTypeBrokerLogger, "1", apis); *configs[apis].Value != "INFO" {
		t.Errorf("the other broker of this process has %s", *configs[apis].Value)
	}
	for broker, want := range map[string]string{
		"":  "INVALID_REQUEST: Broker id must not be empty",
		"1": "INVALID_REQUEST: Unexpected broker id, expected 0 but received 1",
		"x": "INVALID_REQUEST: Broker id must be an integer, but it is: x",
	} {
		if got, _ := a.described(kmsg.ConfigResourceTypeBrokerLogger, broker); got != want {
			t.Errorf("broker %q: %s", broker, got)
		}
	}
	r := kmsg.NewPtrAlterConfigsRequest()
	r.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBrokerLogger, ResourceName: "0"}}
	if got := do[*kmsg.AlterConfigsResponse](a, 2, r).Resources[0]; result(got.ErrorCode, got.ErrorMessage) != "INVALID_REQUEST: Unknown resource type 8" {
		t.Errorf("by AlterConfigs: %s", result(got.ErrorCode, got.ErrorMessage))
	}
}
