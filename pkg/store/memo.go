package store

import (
	"bytes"
	"sync"
)

// memo keeps what values were decoded to, by key: decoding is most of the cost of a list of a thousand records, of which
// few change between two lists. A value is decoded again when its bytes are others, so nothing has to be told of a commit.
// What it returns is shared: it must not be changed.
type memo[T any] struct {
	mu   sync.Mutex
	kept map[string]memoized[T]
}

type memoized[T any] struct {
	raw []byte
	v   T
}

// get is what val decodes to. val may be of a transaction.
func (m *memo[T]) get(key string, val value, decode func(key string, val value) (T, error)) (T, error) {
	if val.kept != nil {
		return decode(key, val)
	}
	m.mu.Lock()
	kept, found := m.kept[key]
	m.mu.Unlock()
	if found && bytes.Equal(kept.raw, val.raw) {
		return kept.v, nil
	}
	val = val.clone()
	v, err := decode(key, val)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[string]memoized[T]{}
	}
	if err != nil || val.raw == nil {
		delete(m.kept, key)
	} else {
		m.kept[key] = memoized[T]{val.raw, v}
	}
	return v, err
}
