package ibp

import "testing"

func TestTheVersionOfARequestShowsTheLevelOfItsSender(t *testing.T) {
	for name, c := range map[string]struct {
		key, version int16
		want         string // "" when it tells nothing
	}{
		"the Fetch of 3.9 is sent by no other":              {1, 17, "3.9-IV0"},
		"Fetch 12 is the last without topic ids":            {1, 12, "2.8-IV1 to 3.0-IV1"},
		"Fetch 11 comes from below":                         {1, 11, "below 2.8-IV1"},
		"LeaderAndIsr 5 knows no recovery state":            {4, 5, "2.8-IV1 to 3.1-IV0"},
		"LeaderAndIsr 7 knows KRaft controllers":            {4, 7, "3.4-IV0 to 3.9-IV0"},
		"UpdateMetadata 6 has no topic ids":                 {6, 6, "below 2.8-IV1"},
		"StopReplica 4 knows KRaft controllers":             {5, 4, "3.4-IV0 to 3.9-IV0"},
		"ListOffsets 9 is sent by followers of 3.9":         {2, 9, "3.9-IV0"},
		"a version nobody sends tells nothing":              {1, 18, ""},
		"ControlledShutdown has one version at every level": {7, 3, ""},
		"Produce is sent by clients":                        {0, 9, ""},
	} {
		t.Run(name, func(t *testing.T) {
			shown, ok := ShownBy(c.key, c.version)
			if got := shown.String(); ok != (c.want != "") || ok && got != c.want {
				t.Errorf("got %s, %v", got, ok)
			}
		})
	}
}

func TestEveryLevelIsAmongThoseItsOwnRequestsShow(t *testing.T) {
	for l := Min; l <= Latest; l++ {
		all := Shown{Min, Latest, false}
		for key := int16(0); key < 80; key++ {
			version, sends := l.SentVersion(key)
			shown, ok := ShownBy(key, version)
			if !sends {
				continue
			}
			if !ok || !shown.Has(l) {
				t.Errorf("%s sends %d of API %d, which shows %s", l, version, key, shown)
			}
			if all, ok = all.And(shown); !ok || !all.Has(l) {
				t.Errorf("what %s sends agrees on no level: %s", l, all)
			}
		}
	}
}

func TestRequestsOfTwoLevelsDoNotAgree(t *testing.T) {
	old, _ := ShownBy(1, 12)
	late, _ := ShownBy(1, 17)
	below, _ := ShownBy(1, 11)
	for name, pair := range map[string][2]Shown{"2.8 and 3.9": {old, late}, "2.8 and below": {old, below}, "below and 3.9": {below, late}} {
		if both, ok := pair[0].And(pair[1]); ok {
			t.Errorf("%s agree on %s", name, both)
		}
	}
	if both, ok := below.And(below); !ok || !both.Below {
		t.Errorf("below and below: %s, %v", both, ok)
	}
}
