package broker

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

	"github.com/zurau/zurau/broker/ibp"
	"github.com/zurau/zurau/broker/kerr"
	"github.com/zurau/zurau/broker/wire"
	"github.com/zurau/zurau/zkmeta"
)

// A level is inter.broker.protocol.version in use: brokers never ask each other which versions they take, so all of a
// cluster have to run at one. Kafka takes its own release's when the key is not set, which cuts a broker of 3.9 off in
// a cluster of 2.8; this broker looks around first.

const (
	levelKey = "inter.broker.protocol.version"
	// peerAnswerTimeout bounds one question to a peer. A peer listens before it registers.
	peerAnswerTimeout = 2 * time.Second
	// peerRetry is the pause before silent peers are asked again.
	peerRetry = 200 * time.Millisecond
)

// peerRelease is what a registered broker said of itself when asked for ApiVersions.
type peerRelease struct {
	id     int32
	latest map[int16]int16 // by API key, the last version it takes
	err    error           // why it said nothing
}

// chooseLevel is the level of a broker whose configuration names none, and the reason as a person reads it. The
// version of /feature is 0 when no controller has made it yet; version 1 was written at a level below 3.3.
func chooseLevel(feature int, peers []peerRelease) (ibp.Level, string) {
	for _, p := range peers {
		switch {
		case p.err != nil:
			return ibp.Min, fmt.Sprintf("broker %d is registered and does not answer: %v", p.id, p.err)
		case !ibp.Latest.TakenBy(p.latest):
			return ibp.Min, fmt.Sprintf("broker %d is older than Kafka 3.9", p.id)
		}
	}
	switch {
	case feature == 1:
		return ibp.Min, "/feature was written by a controller below 3.3"
	case len(peers) == 0:
		return ibp.Latest, "no other broker is registered"
	}
	return ibp.Latest, fmt.Sprintf("all %d other brokers take it", len(peers))
}

// settleLevel decides at which level this broker runs, for as long as it runs. A configured one is taken as it is.
func (b *Broker) settleLevel(ctx context.Context, s *zkmeta.Session) error {
	reason := "it is configured"
	b.level = b.static.InterBrokerProtocol
	if !b.static.Configured(levelKey) {
		feature, err := featureVersion(ctx, s)
		if err != nil {
			return err
		}
		peers, err := b.askPeers(ctx, s)
		if err != nil {
			return err
		}
		b.level, reason = chooseLevel(feature, peers)
	}
	b.zk.SetLevel(b.level)
	b.logger.Info(fmt.Sprintf("%s is %s: %s", levelKey, b.level, reason))
	return nil
}

// featureVersion is the form in which the last controller wrote /feature, 0 when there is none. One that cannot be
// read says nothing either: the next controller writes it anew.
func featureVersion(ctx context.Context, s *zkmeta.Session) (int, error) {
	f, err := s.ReadFeatures(ctx)
	switch {
	case s.Context().Err() != nil || ctx.Err() != nil:
		return 0, err
	case err != nil:
		return 0, nil
	}
	return f.Version, nil
}

// askPeers asks every other registered broker which versions it takes. A dead one stays registered until its session
// ends: whoever is silent is asked again until it answers, is gone, or has been silent for longer than that.
func (b *Broker) askPeers(ctx context.Context, s *zkmeta.Session) ([]peerRelease, error) {
	patience := time.Now().Add(s.Timeout() + foreignTicks)
	known := make(map[int32]peerRelease) // those that have answered
	for told := false; ; {
		registered, err := s.Brokers(ctx)
		if err != nil {
			return nil, err
		}
		delete(registered, b.registrar.id)
		maps.DeleteFunc(known, func(id int32, _ peerRelease) bool { _, there := registered[id]; return !there })
		silent := b.askOnce(ctx, registered, known)
		if len(silent) == 0 || time.Now().After(patience) {
			return append(slices.Collect(maps.Values(known)), silent...), nil
		}
		if !told {
			b.logger.Warn("A registered broker does not answer. Asking again until it does or its session has ended",
				zap.Int32("id", silent[0].id), zap.Error(silent[0].err))
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(peerRetry):
		}
	}
}

// askOnce asks all that are not known yet, at the same time. It adds to known who answers and returns who does not.
func (b *Broker) askOnce(ctx context.Context, registered map[int32]zkmeta.BrokerInfo, known map[int32]peerRelease) (silent []peerRelease) {
	answers := make(chan peerRelease)
	asked := 0
	for id, info := range registered {
		if _, answered := known[id]; !answered {
			asked++
			go func() {
				latest, err := askRelease(ctx, b.registrar.id, info, b.static.InterBrokerListener)
				answers <- peerRelease{id, latest, err}
			}()
		}
	}
	for range asked {
		p := <-answers
		if p.err != nil {
			silent = append(silent, p)
		} else {
			known[p.id] = p
		}
	}
	return silent
}

// askRelease asks one broker which versions it takes.
func askRelease(ctx context.Context, self int32, peer zkmeta.BrokerInfo, listener string) (map[int16]int16, error) {
	e, ok := peer.Endpoint(listener)
	if !ok {
		return nil, fmt.Errorf("it has no listener %s", listener)
	}
	client := wire.NewClient(wire.ClientOptions{ClientID: strconv.Itoa(int(self)), Timeout: peerAnswerTimeout})
	defer client.Close()
	if err := client.Connect(ctx, net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))); err != nil {
		return nil, err
	}
	return askVersions(ctx, client.Do)
}

// askVersions asks for ApiVersions: by API key, the last version taken. Version 3 is the latest that all brokers since
// 2.8 understand.
func askVersions(ctx context.Context, do func(context.Context, kmsg.Request) (kmsg.Response, error)) (map[int16]int16, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "zurau", "1"
	r, err := do(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := r.(*kmsg.ApiVersionsResponse)
	if e := kerr.ForCode(resp.ErrorCode); e != nil {
		return nil, e
	}
	latest := make(map[int16]int16, len(resp.ApiKeys))
	for _, k := range resp.ApiKeys {
		latest[k.ApiKey] = k.MaxVersion
	}
	return latest, nil
}
