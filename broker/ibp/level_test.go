package ibp

import (
	"errors"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Level{
		"2.8": V2_8_IV1, "2.8-IV1": V2_8_IV1, "2.8.2": V2_8_IV1, "3.0": V3_0_IV1, "3.0-IV0": V3_0_IV0, "3.3": V3_3_IV3,
		"3.5": V3_5_IV2, "3.7": V3_7_IV4, "3.9": V3_9_IV0, "3.9.1": V3_9_IV0, "3.9-IV0": V3_9_IV0,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("Parse(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, old := range []string{"0.8.2", "0.10.2.1", "1.1", "2.6-IV0", "2.7", "2.8-IV0"} {
		var tooOld *TooOldError
		if _, err := Parse(old); !errors.As(err, &tooOld) {
			t.Errorf("Parse(%q) = %v, want it named too old", old, err)
		}
	}
	for _, bad := range []string{"", "4.0", "3", "3.9-IV7", "x", "2.8-IV1x"} {
		var tooOld *TooOldError
		if got, err := Parse(bad); err == nil || errors.As(err, &tooOld) {
			t.Errorf("Parse(%q) = %v, %v; want it refused as unknown", bad, got, err)
		}
	}
}

// The rows are those seen on the wire between real brokers of 2.8.2 and 3.9.1.
func TestTwoLevelsSendTheVersionsSeenOnTheWire(t *testing.T) {
	type row struct{ lisr, umr, stop, shutdown, fetch, list, epoch int16 }
	for level, want := range map[Level]row{
		V2_8_IV1: {5, 7, 3, 3, 12, 6, 4},
		V3_9_IV0: {7, 8, 4, 3, 17, 9, 4},
	} {
		got := row{level.LeaderAndIsrVersion(), level.UpdateMetadataVersion(), level.StopReplicaVersion(),
			level.ControlledShutdownVersion(), level.FetchVersion(), level.ListOffsetsVersion(), level.OffsetForLeaderEpochVersion()}
		if got != want {
			t.Errorf("%v sends %+v, want %+v", level, got, want)
		}
	}
}
