package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gamelan-p2p/gamelan/internal/protocol/manycalls"
)

// Metadata is what a call carries beside its request: a trace, a token, a key by which a service knows a call again. It has at most
// 64 names of printable ASCII, and 8 KiB: names, values and 8 bytes for each pair.
//
// Only nodes of this library carry it. A service of another make gets the call without.
type Metadata map[string]string

// ErrMetadata reports metadata that no call can carry.
var ErrMetadata = errors.New("rpc: bad metadata")

// Validate returns [ErrMetadata] with the reason, or nil.
func (m Metadata) Validate() error {
	size := 0
	for name, value := range m {
		size += len(name) + len(value) + 8
		if name == "" || slices.ContainsFunc([]byte(name), func(c byte) bool { return c <= ' ' || c > '~' }) {
			return fmt.Errorf("%w: the name %q; use printable ASCII", ErrMetadata, name)
		}
	}
	if size > manycalls.MaxMetadata || len(m) > manycalls.MaxPairs {
		return fmt.Errorf("%w: %d names and %d bytes; at most %d and %d", ErrMetadata, len(m), size, manycalls.MaxPairs, manycalls.MaxMetadata)
	}
	return nil
}

type metadataKey struct{}

// WithMetadata returns a context whose calls carry m, with what ctx's calls carry already. The service finds it in [Caller].
func WithMetadata(ctx context.Context, m Metadata) context.Context {
	all := maps.Clone(MetadataOf(ctx))
	if all == nil {
		all = make(Metadata, len(m))
	}
	maps.Copy(all, m)
	return context.WithValue(ctx, metadataKey{}, all)
}

// MetadataOf returns what calls with ctx carry. What came with a call is in [Caller], and goes no further by itself.
func MetadataOf(ctx context.Context) Metadata {
	m, _ := ctx.Value(metadataKey{}).(Metadata)
	return m
}
