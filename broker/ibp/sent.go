package ibp

// API keys of the requests whose version tells at which level their sender runs.
const (
	keyFetch          = 1
	keyListOffsets    = 2
	keyLeaderAndIsr   = 4
	keyStopReplica    = 5
	keyUpdateMetadata = 6
)

// SentVersion is the version of a request between brokers that a broker of this level sends; false for an API whose
// version does not depend on the level, or is negotiated.
func (l Level) SentVersion(key int16) (version int16, ok bool) {
	switch key {
	case keyFetch:
		return l.FetchVersion(), true
	case keyListOffsets:
		return l.ListOffsetsVersion(), true
	case keyLeaderAndIsr:
		return l.LeaderAndIsrVersion(), true
	case keyStopReplica:
		return l.StopReplicaVersion(), true
	case keyUpdateMetadata:
		return l.UpdateMetadataVersion(), true
	}
	return 0, false
}

// TakenBy tells whether a broker that advertises these versions (by API key, the last one it takes) understands what
// brokers of this level send.
func (l Level) TakenBy(latest map[int16]int16) bool {
	for _, key := range []int16{keyFetch, keyListOffsets, keyLeaderAndIsr, keyStopReplica, keyUpdateMetadata} {
		version, _ := l.SentVersion(key)
		if known, advertised := latest[key]; !advertised || known < version {
			return false
		}
	}
	return true
}

// Shown are the levels at which brokers send one version of a request, the lowest and the highest. Below is set when
// only levels below Min send it.
type Shown struct {
	Lowest, Highest Level
	Below           bool
}

// ShownBy tells what level a broker that sends this request runs at; false when the request tells nothing.
func ShownBy(key, version int16) (s Shown, ok bool) {
	least, ok := Min.SentVersion(key)
	if !ok {
		return Shown{}, false
	}
	if version < least {
		return Shown{Below: true}, true
	}
	s, ok = Shown{}, false
	for l := Min; l <= Latest; l++ {
		if v, _ := l.SentVersion(key); v == version {
			if !ok {
				s.Lowest = l
			}
			s.Highest, ok = l, true
		}
	}
	return s, ok
}

// Has tells whether a broker of this level shows itself so.
func (s Shown) Has(l Level) bool { return !s.Below && s.Lowest <= l && l <= s.Highest }

// And narrows what one request has shown by what another has; false when no level sends both.
func (s Shown) And(other Shown) (Shown, bool) {
	if s.Below || other.Below {
		return s, s.Below && other.Below
	}
	both := Shown{Lowest: max(s.Lowest, other.Lowest), Highest: min(s.Highest, other.Highest)}
	return both, both.Lowest <= both.Highest
}

// String is the level or the range of levels as people write them in server.properties.
func (s Shown) String() string {
	switch {
	case s.Below:
		return "below " + Min.String()
	case s.Lowest == s.Highest:
		return s.Lowest.String()
	}
	return s.Lowest.String() + " to " + s.Highest.String()
}
