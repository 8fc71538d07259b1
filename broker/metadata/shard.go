package metadata

import (
	"hash/maphash"
	"iter"
	"maps"
)

// shardCount is the number of maps topics are spread over. A change copies one of them.
const shardCount = 64

var seed = maphash.MakeSeed()

// shards is a map in pieces. Copying the value copies 64 pointers; put and remove then replace one piece, so the
// value that was copied from stays as it was.
type shards[K comparable] [shardCount]map[K]*Topic

func shardOf[K comparable](key K) uint64 { return maphash.Comparable(seed, key) % shardCount }

func (s *shards[K]) get(key K) *Topic { return s[shardOf(key)][key] }

// edit is the set of changes one update makes to shards: the pieces it has copied already.
type edit[K comparable] struct {
	to     *shards[K]
	copied [shardCount]bool
}

// own returns the piece of key, copied on its first change.
func (e *edit[K]) own(key K) map[K]*Topic {
	i := shardOf(key)
	if !e.copied[i] {
		e.copied[i] = true
		if e.to[i] = maps.Clone(e.to[i]); e.to[i] == nil {
			e.to[i] = make(map[K]*Topic)
		}
	}
	return e.to[i]
}

func (e *edit[K]) put(key K, t *Topic) { e.own(key)[key] = t }

func (e *edit[K]) remove(key K) { delete(e.own(key), key) }

func (s *shards[K]) all() iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		for _, m := range s {
			for _, t := range m {
				if !yield(t) {
					return
				}
			}
		}
	}
}
