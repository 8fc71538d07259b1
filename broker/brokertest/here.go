package brokertest

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/zurau/zurau/broker"
	"github.com/zurau/zurau/broker/config"
)

// hereLife is a broker that runs in this process.
type hereLife struct {
	broker   *broker.Broker
	listener string // the name of its first
}

func startHere(properties map[string]string, logger *zap.Logger) (life, error) {
	cfg, _, err := config.New(properties)
	if err != nil {
		return nil, err
	}
	b, err := run(cfg, logger, nil)
	if err != nil {
		return nil, err
	}
	return &hereLife{broker: b, listener: cfg.Listeners[0].Name}, nil
}

// run starts a broker and waits until it serves clients. tell is its TellSession.
func run(cfg *config.Broker, logger *zap.Logger, tell func(int64, []byte) error) (*broker.Broker, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	b := broker.New(cfg, logger)
	b.TellSession = tell
	if err := b.Start(ctx); err != nil {
		return nil, err
	}
	select {
	case <-b.Ready():
		return b, nil
	case err := <-b.Failed():
		b.Stop(ctx)
		return nil, fmt.Errorf("it failed: %w", err)
	case <-ctx.Done():
		b.Stop(ctx)
		return nil, errors.New("it was not introduced by the controller")
	}
}

func (h *hereLife) addr() string { return h.broker.Addr(h.listener).String() }

func (h *hereLife) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	h.broker.Stop(ctx)
	return nil
}

// end takes the broker apart without handing anything over.
func (h *hereLife) end() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	h.broker.Stop(over)
}
