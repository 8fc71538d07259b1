package zkmeta

import (
	"context"
	"fmt"

	"github.com/zurau/zurau/broker/topic"
)

const (
	isrChangePrefix   = "isr_change_"
	logDirEventPrefix = "log_dir_event_"
)

// LogDirFailure is the one kind of log directory event there is.
const LogDirFailure = 1

// encodePartitions writes the form of ISR notifications and preferred elections.
func encodePartitions(partitions []topic.Partition) []byte {
	o := append(appendKey(appendIntField([]byte("{"), "version", 1), "partitions"), '[')
	for i, p := range partitions {
		if i > 0 {
			o = append(o, ',')
		}
		o = appendStringField(append(o, '{'), "topic", p.Topic)
		o = append(appendIntField(o, "partition", int64(p.ID)), '}')
	}
	return append(o, ']', '}')
}

func decodePartitions(data []byte) ([]topic.Partition, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	list, err := o.subs("partitions")
	if err != nil {
		return nil, err
	}
	partitions := make([]topic.Partition, len(list))
	for i, e := range list {
		if partitions[i], err = decodePartition(e); err != nil {
			return nil, err
		}
	}
	return partitions, nil
}

func decodePartition(o object) (p topic.Partition, err error) {
	if p.Topic, err = get[string](o, "topic"); err != nil {
		return p, err
	}
	if p.ID, err = get[int32](o, "partition"); err == nil && p.ID < 0 {
		err = fmt.Errorf("partition %d", p.ID)
	}
	return p, err
}

func encodeLogDirEvent(broker int32) []byte {
	o := appendIntField([]byte("{"), "version", 1)
	o = appendIntField(o, "broker", int64(broker))
	return append(appendIntField(o, "event", LogDirFailure), '}')
}

func decodeLogDirEvent(data []byte) (int32, error) {
	o, err := parseObject(data)
	if err != nil {
		return 0, err
	}
	if event, err := get[int32](o, "event"); err != nil || event != LogDirFailure {
		return 0, fmt.Errorf("event %s is not known", o["event"])
	}
	return get[int32](o, "broker")
}

// Notifications are sequential znodes for the controller that have been read. Names are deleted by the controller when
// it has acted on them, also of those that could not be read.
type Notifications struct {
	Names      []string
	Partitions []topic.Partition // of ISR changes
	Brokers    []int32           // of log directory events
}

// IsrChanges reads what leaders of before AlterPartition have written about their ISRs.
func (s *Session) IsrChanges(ctx context.Context) (Notifications, error) {
	var n Notifications
	err := s.readNotifications(ctx, IsrChangePath, isrChangePrefix, &n, func(data []byte) error {
		partitions, err := decodePartitions(data)
		n.Partitions = append(n.Partitions, partitions...)
		return err
	})
	return n, err
}

// LogDirEvents reads which brokers have lost a log directory.
func (s *Session) LogDirEvents(ctx context.Context) (Notifications, error) {
	var n Notifications
	err := s.readNotifications(ctx, LogDirEventPath, logDirEventPrefix, &n, func(data []byte) error {
		broker, err := decodeLogDirEvent(data)
		if err == nil {
			n.Brokers = append(n.Brokers, broker)
		}
		return err
	})
	return n, err
}

func (s *Session) readNotifications(ctx context.Context, path, prefix string, n *Notifications, take func([]byte) error) error {
	names, paths, _, err := s.notifications(ctx, path, prefix, -1)
	if err != nil {
		return err
	}
	n.Names = names
	return s.readAll(ctx, paths, func(_ int, data []byte, _ *Stat) error { return take(data) })
}

// RemoveIsrChanges deletes notifications that have been acted upon.
func (s *Session) RemoveIsrChanges(ctx context.Context, epoch Epoch, names []string) error {
	return s.removeNotifications(ctx, epoch, IsrChangePath, names)
}

// RemoveLogDirEvents deletes notifications that have been acted upon.
func (s *Session) RemoveLogDirEvents(ctx context.Context, epoch Epoch, names []string) error {
	return s.removeNotifications(ctx, epoch, LogDirEventPath, names)
}

func (s *Session) removeNotifications(ctx context.Context, epoch Epoch, parent string, names []string) error {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = parent + "/" + name
	}
	return s.removeAllChecked(ctx, epoch, paths)
}

// NotifyIsrChange writes what a leader of before AlterPartition writes; zurau's own leaders never do.
func (s *Session) NotifyIsrChange(ctx context.Context, partitions []topic.Partition) error {
	_, err := s.createSequential(ctx, IsrChangePath+"/"+isrChangePrefix, encodePartitions(partitions))
	return err
}

// NotifyLogDirFailure tells the controller that a log directory of this broker has failed.
func (s *Session) NotifyLogDirFailure(ctx context.Context, broker int32) error {
	_, err := s.createSequential(ctx, LogDirEventPath+"/"+logDirEventPrefix, encodeLogDirEvent(broker))
	return err
}
