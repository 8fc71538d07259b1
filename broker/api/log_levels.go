package api

import (
	"maps"
	"slices"
	"strconv"

	"github.com/zurau/zurau/broker/config"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/loglevel"
)

// The loggers of this broker's process are a configuration resource of their own (KIP-412). Their levels last as long
// as the process.

// describeLogLevels are the levels in force, as the keys of a resource.
func (h *Handler) describeLogLevels(broker string) ([]config.Entry, error) {
	if broker == "" {
		return nil, kerr.New(kerr.InvalidRequest, "Broker id must not be empty")
	}
	switch id, err := strconv.ParseInt(broker, 10, 32); {
	case err != nil:
		return nil, kerr.New(kerr.InvalidRequest, "Broker id must be an integer, but it is: %s", broker)
	case int32(id) != h.BrokerID:
		return nil, kerr.New(kerr.InvalidRequest, "Unexpected broker id, expected %d but received %s", h.BrokerID, broker)
	}
	all := h.LogLevels.All()
	entries := make([]config.Entry, 0, len(all))
	for _, logger := range slices.Sorted(maps.Keys(all)) {
		level := loglevel.Name(all[logger])
		entries = append(entries, config.Entry{Name: logger, Value: &level, Source: config.LoggerSource})
	}
	return entries, nil
}

// alterLogLevels sets levels and takes them away, all or none of them.
func (h *Handler) alterLogLevels(broker string, changes []config.Alteration, validateOnly bool) error {
	if err := config.CheckShape(changes); err != nil {
		return err
	}
	switch id, err := strconv.ParseInt(broker, 10, 32); {
	case err != nil:
		return kerr.New(kerr.InvalidRequest, "Node id must be an integer, but it is: %s", broker)
	case int32(id) != h.BrokerID:
		return kerr.New(kerr.InvalidRequest, "Unexpected node id. Expected %d, but received %d", h.BrokerID, id)
	}
	for _, c := range changes {
		if err := h.checkLogLevel(c); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	for _, c := range changes {
		if c.Op == config.Delete {
			h.LogLevels.Unset(c.Name)
			h.Logger.Warn("Unset the log level of " + c.Name)
			continue
		}
		level, _ := loglevel.Parse(*c.Value)
		h.LogLevels.Set(c.Name, level)
		h.Logger.Warn("Updated the log level of " + c.Name + " to " + *c.Value)
	}
	return nil
}

// checkLogLevel refuses a change that cannot be made: INVALID_CONFIG for a logger or a level that does not exist,
// INVALID_REQUEST for an operation that loggers do not know.
func (h *Handler) checkLogLevel(c config.Alteration) error {
	switch {
	case c.Op == config.Append:
		return kerr.New(kerr.InvalidRequest, "APPEND operation is not allowed for the BROKER_LOGGER resource")
	case c.Op == config.Subtract:
		return kerr.New(kerr.InvalidRequest, "SUBTRACT operation is not allowed for the BROKER_LOGGER resource")
	case c.Op != config.Set && c.Op != config.Delete:
		return kerr.New(kerr.InvalidRequest, "Unknown operation type %d is not allowed for the BROKER_LOGGER resource", c.Op)
	case !h.LogLevels.Exists(c.Name):
		return kerr.New(kerr.InvalidConfig, "Logger %s does not exist!", c.Name)
	case c.Op == config.Delete && c.Name == loglevel.Root:
		return kerr.New(kerr.InvalidRequest, "Removing the log level of the root logger is not allowed")
	case c.Op == config.Set:
		if _, ok := loglevel.Parse(*c.Value); !ok {
			return kerr.New(kerr.InvalidConfig, "Cannot set the log level of %s to %s as it is not a supported log level. "+
				"Valid log levels are %s", c.Name, *c.Value, loglevel.Valid)
		}
	}
	return nil
}
