// Package ibp says what an inter.broker.protocol.version means: which request versions go between brokers, which form
// the znodes have, and which records the internal topics hold (Kafka: MetadataVersion).
package ibp

import (
	"fmt"
	"strings"
)

// Level is one inter.broker.protocol.version. Levels compare as numbers: a later one is larger.
type Level int

// The levels zurau runs at. Below 2.8-IV1 leaders would have to write ISRs into ZooKeeper themselves.
const (
	V2_8_IV1 Level = iota
	V3_0_IV0
	V3_0_IV1
	V3_1_IV0
	V3_2_IV0
	V3_3_IV0
	V3_3_IV1
	V3_3_IV2
	V3_3_IV3
	V3_4_IV0
	V3_5_IV0
	V3_5_IV1
	V3_5_IV2
	V3_6_IV0
	V3_6_IV1
	V3_6_IV2
	V3_7_IV0
	V3_7_IV1
	V3_7_IV2
	V3_7_IV3
	V3_7_IV4
	V3_8_IV0
	V3_9_IV0

	Min    = V2_8_IV1
	Latest = V3_9_IV0
)

var names = [...]string{"2.8-IV1", "3.0-IV0", "3.0-IV1", "3.1-IV0", "3.2-IV0", "3.3-IV0", "3.3-IV1", "3.3-IV2", "3.3-IV3",
	"3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1", "3.7-IV2",
	"3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0"}

// older are the levels Kafka 3.9 still knows and zurau does not run at.
var older = []string{"0.8.0", "0.8.1", "0.8.2", "0.9.0", "0.10.0-IV0", "0.10.0-IV1", "0.10.1-IV0", "0.10.1-IV1", "0.10.1-IV2",
	"0.10.2-IV0", "0.11.0-IV0", "0.11.0-IV1", "0.11.0-IV2", "1.0-IV0", "1.1-IV0", "2.0-IV0", "2.0-IV1", "2.1-IV0", "2.1-IV1",
	"2.1-IV2", "2.2-IV0", "2.2-IV1", "2.3-IV0", "2.3-IV1", "2.4-IV0", "2.4-IV1", "2.5-IV0", "2.6-IV0", "2.7-IV0", "2.7-IV1",
	"2.7-IV2", "2.8-IV0"}

// String is the level's full name, "3.9-IV0".
func (l Level) String() string { return names[l] }

// ShortString is the release the level belongs to, "3.9".
func (l Level) ShortString() string { release, _, _ := strings.Cut(names[l], "-"); return release }

// TooOldError says that a level is real and below what zurau speaks.
type TooOldError struct{ Version string }

func (e *TooOldError) Error() string {
	return fmt.Sprintf("inter.broker.protocol.version %s is below %s, the lowest level this broker speaks: first raise it to 2.8 "+
		"on every Apache Kafka broker of the cluster, one rolling restart at a time, then start this one", e.Version, Min)
}

// Parse reads a configured value: a full level ("2.8-IV1"), or a release ("3.9", "3.9.1"), which means its last level.
// A level older than Min gives a *TooOldError.
func Parse(s string) (Level, error) {
	for i := len(names) - 1; i >= 0; i-- {
		if names[i] == s || Level(i).ShortString() == release(s) {
			return Level(i), nil
		}
	}
	for _, name := range older {
		short, _, _ := strings.Cut(name, "-")
		if name == s || short == release(s) {
			return 0, &TooOldError{s}
		}
	}
	return 0, fmt.Errorf("Version `%s` is not a valid version", s)
}

// release cuts "3.9.1" to "3.9" and "0.10.2.1" to "0.10.2"; a text with a level suffix is not a release.
func release(s string) string {
	parts := strings.Split(s, ".")
	n := 2
	if parts[0] == "0" {
		n = 3
	}
	return strings.Join(parts[:min(n, len(parts))], ".")
}
