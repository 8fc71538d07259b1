package api

import (
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
)

// peerLevels watches at which inter.broker.protocol.version the peers run. Brokers never tell, but the versions of
// their requests show it. A peer at another level than ours is a mistake of configuration, except in the middle of a
// rolling change: it works until somebody sends what somebody else does not know, so it is said once for each peer.
type peerLevels struct {
	own    ibp.Level
	logger *zap.Logger
	mu     struct {
		sync.Mutex
		others map[int32]ibp.Shown // by broker id, of those that do not run at our level: what they have shown
	}
}

func newPeerLevels(own ibp.Level, logger *zap.Logger) *peerLevels {
	p := &peerLevels{own: own, logger: logger}
	p.mu.others = make(map[int32]ibp.Shown)
	return p
}

// heard takes note of a request another broker has sent; an id below 0 is no broker.
func (p *peerLevels) heard(id int32, r kmsg.Request) {
	key, version := r.Key(), r.GetVersion()
	if sent, ok := p.own.SentVersion(key); id < 0 || !ok || sent == version {
		return
	}
	shown, ok := ibp.ShownBy(key, version)
	if !ok || !p.news(id, shown) {
		return
	}
	p.logger.Error(fmt.Sprintf("Broker %d runs at another inter.broker.protocol.version than this one. All brokers of a cluster "+
		"need the same, except while a rolling change is on its way", id), zap.Stringer("its_level", shown), zap.Stringer("our_level", p.own),
		zap.String("shown_by", fmt.Sprintf("%s %d", kmsg.NameForKey(key), version)))
}

// news takes in what a peer has shown and tells whether it is more than a confirmation of what was said of it.
func (p *peerLevels) news(id int32, shown ibp.Shown) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, known := p.mu.others[id]
	if known {
		if both, agree := before.And(shown); agree {
			p.mu.others[id] = both
			return false
		}
	}
	p.mu.others[id] = shown
	return true
}
