package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// ErrNoSection reports a section that is not registered.
var ErrNoSection = errors.New("inspect: no such section")

// Sections is a registry of named values that the inspector shows beside the
// actor tree: the node's own ("node", "peers", "connections", …) and those of
// its user. The zero value is empty and ready. It may be used from any
// goroutine.
type Sections struct {
	mu    sync.RWMutex
	funcs map[string]func(context.Context) any
}

// Section registers fn under name, in place of an older section of that name. fn returns
// a value that encoding/json can write. It is called for every request, on that request's
// goroutine. It must read views only, and should return well before ctx ends. A panic in
// it is an error of that one request.
func (s *Sections) Section(name string, fn func(ctx context.Context) any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.funcs == nil {
		s.funcs = make(map[string]func(context.Context) any)
	}
	s.funcs[name] = fn
}

// Remove removes the section called name, if there is one.
func (s *Sections) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.funcs, name)
}

// Names returns the names of the sections in alphabetical order.
func (s *Sections) Names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, 0, len(s.funcs))
	for name := range s.funcs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Value returns the value of the section called name. The error is [ErrNoSection], or
// reports a panic of the section's function.
func (s *Sections) Value(ctx context.Context, name string) (v any, err error) {
	s.mu.RLock()
	fn, ok := s.funcs[name]
	s.mu.RUnlock()
	if !ok {
		return nil, ErrNoSection
	}
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, fmt.Errorf("inspect: section %q panicked: %v", name, r)
		}
	}()
	return fn(ctx), nil
}
