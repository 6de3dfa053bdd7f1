// Package loglevel is a log whose level differs by package, and can change while it is written.
package loglevel

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Packages are those that write to the log of a node; "actor" is that of protoactor-go.
var Packages = []string{
	"actor", "admitpart", "assemble", "base", "comms", "connections", "connectivity", "daemon", "dhtpart", "discoverypart", "diskpart", "gamelan", "gate", "inboxpart", "inspect", "kad", "messengers",
	"metrics", "morepart", "outcomepart", "peerbook", "reachpart", "receive", "rpcpart", "safpart", "storypart", "streams", "supervisor", "torpart", "users", "whypart",
}

// Names are the levels as they are written, the most detailed first.
var Names = []string{"debug", "info", "warn", "error"}

// ParseLevel reads one of Names.
func ParseLevel(text string) (l slog.Level, err error) {
	if !slices.Contains(Names, text) {
		return l, fmt.Errorf("%q is none of %s", text, strings.Join(Names, ", "))
	}
	return l, l.UnmarshalText([]byte(text))
}

// name is the inverse of ParseLevel.
func name(l slog.Level) string { return strings.ToLower(l.String()) }

// Parse reads levels of packages, as in connections=debug,dhtpart=warn.
func Parse(text string) (map[string]slog.Level, error) {
	all := make(map[string]slog.Level)
	if text == "" {
		return all, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		of, level, ok := strings.Cut(strings.TrimSpace(one), "=")
		if !ok {
			return nil, fmt.Errorf("%q has no level; write PACKAGE=LEVEL", one)
		}
		if !slices.Contains(Packages, of) {
			return nil, fmt.Errorf("no package %q writes to the log; it may be one of %s", of, strings.Join(Packages, ", "))
		}
		l, err := ParseLevel(level)
		if err != nil {
			return nil, err
		}
		all[of] = l
	}
	return all, nil
}

// Format is the inverse of Parse.
func Format(all map[string]slog.Level) string {
	var list []string
	for _, of := range slices.Sorted(maps.Keys(all)) {
		list = append(list, of+"="+name(all[of]))
	}
	return strings.Join(list, ",")
}

// Levels are what is written: the level of each package, and that of all others. It may be used from any
// goroutine.
type Levels struct {
	mu   sync.Mutex // of changes
	now  atomic.Pointer[levels]
	from sync.Map // names of packages by program counter, one for each place in the code that logs
}

type levels struct {
	others slog.Level
	of     map[string]slog.Level
	least  slog.Level
}

// New returns Levels.
func New(others slog.Level, of map[string]slog.Level) *Levels {
	l := new(Levels)
	l.Set(others, of)
	return l
}

// Set replaces all levels.
func (l *Levels) Set(others slog.Level, of map[string]slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(others, of)
}

func (l *Levels) set(others slog.Level, of map[string]slog.Level) {
	next := &levels{others: others, of: maps.Clone(of), least: others}
	for _, x := range of {
		next.least = min(next.least, x)
	}
	l.now.Store(next)
}

// SetOthers sets the level of all packages that have none of their own.
func (l *Levels) SetOthers(others slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(others, l.now.Load().of)
}

// SetPackages adds levels of packages.
func (l *Levels) SetPackages(of map[string]slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now.Load()
	all := maps.Clone(now.of)
	if all == nil {
		all = make(map[string]slog.Level)
	}
	maps.Copy(all, of)
	l.set(now.others, all)
}

// Shown is what the levels are, as programs see it.
type Shown struct {
	Level    string            `json:"level"`    // of all packages that have none of their own
	Packages map[string]string `json:"packages"` // of those that have
}

// Show returns what the levels are.
func (l *Levels) Show() Shown {
	now := l.now.Load()
	s := Shown{name(now.others), make(map[string]string)}
	for of, level := range now.of {
		s.Packages[of] = name(level)
	}
	return s
}

// Over returns a handler that hands on to h what the levels let through. h must take every level.
func (l *Levels) Over(h slog.Handler) slog.Handler { return handler{h, l} }

type handler struct {
	slog.Handler
	levels *Levels
}

// Enabled implements [slog.Handler]. The package is not known yet.
func (h handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.levels.now.Load().least
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	now := h.levels.now.Load()
	least := now.others
	if len(now.of) > 0 {
		if own, ok := now.of[h.levels.packageOf(r.PC)]; ok {
			least = own
		}
	}
	if r.Level < least {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.levels}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.levels}
}

// packageOf returns the name of the package of a place in the code.
func (l *Levels) packageOf(pc uintptr) string {
	if of, ok := l.from.Load(pc); ok {
		return of.(string) //nolint:forcetypeassert // nothing else is stored
	}
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	of := frame.Function[strings.LastIndexByte(frame.Function, '/')+1:]
	of, _, _ = strings.Cut(of, ".")
	l.from.Store(pc, of)
	return of
}
