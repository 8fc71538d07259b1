package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/zurau/zurau/broker/ibp"
)

func TestAPeerAtAnotherLevelIsNamedOnce(t *testing.T) {
	type said = []string // its_level
	fetch := func(version int16) kmsg.Request { r := kmsg.NewPtrFetchRequest(); r.Version = version; return r }
	control := func(version int16) kmsg.Request { r := kmsg.NewPtrLeaderAndISRRequest(); r.Version = version; return r }
	type heard struct {
		from int32
		req  kmsg.Request
	}
	for name, c := range map[string]struct {
		own   ibp.Level
		heard []heard
		want  said
	}{
		"our own level is not worth a word":           {ibp.V3_9_IV0, []heard{{1, fetch(17)}, {1, control(7)}}, nil},
		"a level that sends the same is not, either":  {ibp.V3_8_IV0, []heard{{1, control(7)}}, nil},
		"many requests of one peer are one mistake":   {ibp.V3_9_IV0, []heard{{1, fetch(12)}, {1, fetch(12)}, {1, control(5)}}, said{"2.8-IV1 to 3.0-IV1"}},
		"two peers are two":                           {ibp.V3_9_IV0, []heard{{1, fetch(12)}, {2, fetch(12)}}, said{"2.8-IV1 to 3.0-IV1", "2.8-IV1 to 3.0-IV1"}},
		"a peer that came back at another level":      {ibp.V3_9_IV0, []heard{{1, fetch(12)}, {1, fetch(16)}}, said{"2.8-IV1 to 3.0-IV1", "3.7-IV4 to 3.8-IV0"}},
		"a peer above us":                             {ibp.V2_8_IV1, []heard{{1, fetch(17)}}, said{"3.9-IV0"}},
		"a peer that is older than all levels":        {ibp.V2_8_IV1, []heard{{1, control(4)}}, said{"below 2.8-IV1"}},
		"consumers are no peers, whatever they speak": {ibp.V3_9_IV0, []heard{{-1, fetch(11)}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zapcore.ErrorLevel)
			p := newPeerLevels(c.own, zap.New(core))
			for _, h := range c.heard {
				p.heard(h.from, h.req)
			}
			var got said
			for _, entry := range logs.All() {
				got = append(got, entry.ContextMap()["its_level"].(string))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
