package kv

import (
	"bytes"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// memory keeps everything in a map. A scan sorts the entries that it covers.
type memory struct {
	mu     sync.RWMutex
	values map[string][]byte // nil when closed; values are never changed
}

// Memory returns an empty store that lives as long as the process. Its Apply
// does the same with and without sync.
func Memory() DB { return &memory{values: make(map[string][]byte)} }

// Client returns the store itself: it never fails, so clients need no state.
func (m *memory) Client() Client { return m }

func (m *memory) Get(key []byte) ([]byte, error) {
	if !validKey(key) {
		return nil, ErrBadKey
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.values == nil {
		return nil, ErrClosed
	}
	v, ok := m.values[string(key)]
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(v), nil
}

func (m *memory) Apply(b *Batch, _ bool) error {
	if err := b.check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.values == nil {
		return ErrClosed
	}
	for _, o := range b.ops {
		if o.delete {
			delete(m.values, string(o.key))
		} else {
			m.values[string(o.key)] = append([]byte{}, o.value...)
		}
	}
	return nil
}

func (m *memory) Scan(prefix []byte) (iter.Seq2[[]byte, []byte], func() error) {
	return m.ScanFrom(prefix, nil)
}

func (m *memory) ScanFrom(prefix, first []byte) (iter.Seq2[[]byte, []byte], func() error) {
	var err error
	start, from := string(prefix), string(first)
	return func(yield func(k, v []byte) bool) {
		err = nil
		m.mu.RLock()
		if m.values == nil {
			err = ErrClosed
			m.mu.RUnlock()
			return
		}
		found := make(map[string][]byte)
		for k, v := range m.values {
			if strings.HasPrefix(k, start) && k >= from {
				found[k] = v
			}
		}
		m.mu.RUnlock()
		for _, k := range slices.Sorted(maps.Keys(found)) {
			if !yield([]byte(k), found[k]) {
				return
			}
		}
	}, func() error { return err }
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values = nil
	return nil
}
