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

// get is the value that raw decodes to. raw may be of a transaction.
func (m *memo[T]) get(key string, raw []byte, decode func(key string, raw []byte) (T, error)) (T, error) {
	m.mu.Lock()
	kept, found := m.kept[key]
	m.mu.Unlock()
	if found && bytes.Equal(kept.raw, raw) {
		return kept.v, nil
	}
	raw = bytes.Clone(raw)
	v, err := decode(key, raw)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[string]memoized[T]{}
	}
	if err != nil || raw == nil {
		delete(m.kept, key)
	} else {
		m.kept[key] = memoized[T]{raw, v}
	}
	return v, err
}
