package zkmeta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/zurau/zurau/broker/topic"
)

// The znodes of old (0.8-style) consumer groups. Brokers touch the offsets only (OffsetCommit and OffsetFetch 0); the
// rest belongs to the high-level consumer.
//
//	/consumers/G/ids/C         {"version":1,"subscription":{"t":1},"pattern":"static","timestamp":"ms"}   ephemeral
//	/consumers/G/owners/T/P    C-0    ephemeral
//	/consumers/G/offsets/T/P   the next offset to read, in decimal

// GroupPath is the root of a group.
func GroupPath(group string) string { return ConsumersPath + "/" + group }

// GroupIDsPath is the parent of a group's members.
func GroupIDsPath(group string) string { return GroupPath(group) + "/ids" }

// GroupOwnersPath is the parent of the owners of a topic's partitions.
func GroupOwnersPath(group, topic string) string { return GroupPath(group) + "/owners/" + topic }

// GroupOffsetsPath is the parent of a group's offsets of a topic.
func GroupOffsetsPath(group, topic string) string { return GroupPath(group) + "/offsets/" + topic }

func groupOffsetPath(group string, p topic.Partition) string {
	return GroupOffsetsPath(group, p.Topic) + "/" + strconv.Itoa(int(p.ID))
}

func groupOwnerPath(group string, p topic.Partition) string {
	return GroupOwnersPath(group, p.Topic) + "/" + strconv.Itoa(int(p.ID))
}

// Patterns of a GroupMember.
const (
	StaticPattern    = "static"     // Subscription names topics
	WhiteListPattern = "white_list" // its one key is the expression of topics to read
	BlackListPattern = "black_list" // its one key is the expression of topics to leave out
)

// A GroupMember is the registration of one consumer.
type GroupMember struct {
	ID           string
	Subscription map[string]int32 // topic or expression -> number of streams
	Pattern      string
	Timestamp    int64 // ms since 1970
}

func encodeMember(m GroupMember) []byte {
	o := append(appendKey(appendIntField([]byte("{"), "version", 1), "subscription"), '{')
	for _, name := range sortedKeys(m.Subscription) {
		o = appendIntField(o, name, int64(m.Subscription[name]))
	}
	o = appendStringField(append(o, '}'), "pattern", m.Pattern)
	return append(appendStringField(o, "timestamp", strconv.FormatInt(m.Timestamp, 10)), '}')
}

func decodeMember(id string, data []byte) (m GroupMember, err error) {
	o, err := parseObject(data)
	if err != nil {
		return m, err
	}
	m.ID = id
	if m.Subscription, err = get[map[string]int32](o, "subscription"); err != nil {
		return m, err
	}
	if m.Pattern, err = get[string](o, "pattern"); err != nil {
		return m, err
	}
	switch m.Pattern {
	case StaticPattern, WhiteListPattern, BlackListPattern:
	default:
		return m, fmt.Errorf("pattern %q is not known", m.Pattern)
	}
	if o.has("timestamp") {
		m.Timestamp, _ = getText(o, "timestamp")
	}
	return m, nil
}

// GroupMembers reads the members of a group. One that cannot be read is reported and left out.
func (s *Session) GroupMembers(ctx context.Context, group string) ([]GroupMember, error) {
	names, err := s.childrenOf(ctx, GroupIDsPath(group))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = GroupIDsPath(group) + "/" + name
	}
	var members []GroupMember
	err = s.readAll(ctx, paths, func(i int, data []byte, _ *Stat) error {
		m, err := decodeMember(names[i], data)
		if err == nil {
			members = append(members, m)
		}
		return err
	})
	return members, err
}

// RegisterMember makes the ephemeral registration of a consumer.
func (s *Session) RegisterMember(ctx context.Context, group string, m GroupMember) error {
	return s.createOwn(ctx, GroupIDsPath(group)+"/"+m.ID, encodeMember(m))
}

// LeaveGroup deletes a consumer's registration.
func (s *Session) LeaveGroup(ctx context.Context, group, member string) error {
	return s.remove(ctx, GroupIDsPath(group)+"/"+member)
}

// OwnPartition makes a thread ("member-0") the owner of a partition; ErrNodeExists when another one is.
func (s *Session) OwnPartition(ctx context.Context, group string, p topic.Partition, thread string) error {
	return s.createOwn(ctx, groupOwnerPath(group, p), []byte(thread))
}

// DisownPartition gives a partition back.
func (s *Session) DisownPartition(ctx context.Context, group string, p topic.Partition) error {
	return s.remove(ctx, groupOwnerPath(group, p))
}

// PartitionOwner reads which thread owns a partition, "" when none does.
func (s *Session) PartitionOwner(ctx context.Context, group string, p topic.Partition) (string, error) {
	data, _, err := s.Get(ctx, groupOwnerPath(group, p))
	if errors.Is(err, ErrNoNode) {
		return "", nil
	}
	return string(data), err
}

// createOwn makes an ephemeral znode. One that exists already with this session as owner and the same data is taken
// for the work of an attempt whose answer was lost.
func (s *Session) createOwn(ctx context.Context, path string, data []byte) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	return s.settle(ctx, func() error {
		_, err := s.Create(ctx, path, data, Ephemeral)
		if errors.Is(err, ErrNoNode) {
			if err := s.ensurePath(ctx, parentOf(path)); err != nil {
				return err
			}
			_, err = s.Create(ctx, path, data, Ephemeral)
		}
		return err
	}, func() (bool, error) {
		found, stat, err := s.getSettled(ctx, path)
		switch {
		case errors.Is(err, ErrNoNode):
			return false, nil
		case err != nil:
			return false, err
		case stat.EphemeralOwner == s.id && bytes.Equal(found, data):
			return true, nil
		}
		return false, &CallError{"create", s.full(path), ErrNodeExists}
	})
}

// CommitOffset writes the next offset a group will read.
func (s *Session) CommitOffset(ctx context.Context, group string, p topic.Partition, offset int64) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	path, data := groupOffsetPath(group, p), strconv.AppendInt(nil, offset, 10)
	for {
		err := s.setLast(ctx, path, data)
		if errors.Is(err, ErrNoNode) {
			if err = s.createNew(ctx, path, data); errors.Is(err, ErrNodeExists) {
				continue
			}
		}
		return err
	}
}

// CommittedOffset reads the next offset a group will read; false when it has committed none.
func (s *Session) CommittedOffset(ctx context.Context, group string, p topic.Partition) (int64, bool, error) {
	data, _, err := s.Get(ctx, groupOffsetPath(group, p))
	if errors.Is(err, ErrNoNode) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	offset, err := strconv.ParseInt(string(data), 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %q is not an offset", s.full(groupOffsetPath(group, p)), data)
	}
	return offset, true, nil
}
