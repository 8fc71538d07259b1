package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What the entities may have that kafka-configs writes to ZooKeeper past the brokers (Kafka 1.1: DynamicConfig).

// throttles are the keys of a broker that may be written behind its back: no broker needs to check or encrypt them.
var throttles = []string{leaderThrottledRate, followerThrottledRate, logDirThrottledRate}

func checkThrottlesOnly(added map[string]string) error {
	var words []string
	allowed := true
	for _, key := range slices.Sorted(maps.Keys(added)) {
		words = append(words, key+"="+added[key])
		allowed = allowed && slices.Contains(throttles, key)
	}
	if allowed {
		return nil
	}
	return illegalArgument("requirement failed: --bootstrap-server option must be specified to update broker configs {%s}",
		strings.Join(words, ", "))
}

func checkBroker(e configEntity, configs map[string]string) error {
	if _, err := strconv.ParseInt(e.name, 10, 32); err != nil && !e.isDefault {
		return illegalArgument("Error parsing broker %s. The broker's Entity Name must be a single integer value", e.name)
	}
	for _, key := range throttles {
		value, ok := configs[key]
		if !ok {
			continue
		}
		rate, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err != nil {
			return notANumber(key, value, "LONG")
		}
		if rate < 0 {
			return &javaError{class: configException,
				message: fmt.Sprintf("Invalid value %s for configuration %s: Value must be at least 0", value, key)}
		}
	}
	return nil
}

// checkQuotaValues wants the quotas of users and clients, all numbers of the right kind, and no key but them and others.
func checkQuotaValues(configs map[string]string, others ...string) error {
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		if !slices.Contains(clientQuotas, key) && !slices.Contains(others, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		return illegalArgument("requirement failed: Unknown Dynamic Configuration: Set(%s).", strings.Join(unknown, ", "))
	}
	for _, key := range clientQuotas {
		value, ok := configs[key]
		if !ok {
			continue
		}
		if strings.HasSuffix(key, "_byte_rate") {
			if _, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return notANumber(key, value, "LONG")
			}
		} else if _, ok := parseJavaDouble(value); !ok {
			return notANumber(key, value, "DOUBLE")
		}
	}
	return nil
}

func notANumber(key, value, kind string) error {
	return &javaError{class: configException,
		message: fmt.Sprintf("Invalid value %s for configuration %s: Not a number of type %s", value, key, kind)}
}
