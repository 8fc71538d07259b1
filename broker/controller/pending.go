package controller

import (
	"context"

	"github.com/zurau/zurau/zkmeta"

	"github.com/zurau/zurau/broker/topic"
)

type isrChanges struct {
	Names      []string
	Partitions []topic.Partition
}
type logDirEvents struct {
	Names   []string
	Brokers []int32
}
type producerIDBlock struct{ Start, End int64 }
type pendingZK struct{ *zkmeta.Session }

func (pendingZK) SetUpFeature(ctx context.Context) error                            { return nil }
func (pendingZK) RemovePreferredElection(ctx context.Context, e zkmeta.Epoch) error { return nil }
func (pendingZK) RemoveLogDirEvents(ctx context.Context, e zkmeta.Epoch, n []string) error {
	return nil
}
func (pendingZK) RemoveISRChanges(ctx context.Context, e zkmeta.Epoch, n []string) error { return nil }
func (pendingZK) ISRChanges(ctx context.Context) (isrChanges, error)                     { return isrChanges{}, nil }
func (pendingZK) LogDirEvents(ctx context.Context) (logDirEvents, error)                 { return logDirEvents{}, nil }
func (pendingZK) NextProducerIDBlock(ctx context.Context, b int32) (producerIDBlock, error) {
	return producerIDBlock{}, nil
}
func (t *term) readPreferredElection() ([]topic.Partition, bool) { return nil, false }
