package main

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
)

const (
	keyWithin   = time.Second // a node that does not answer within it is not asked again for as long
	maxKeysKept = 10_000      // by a command that runs for long
)

// publicKey matches what may be a public key.
var publicKey = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// keysOf returns a function that returns the public key of a peer, by its node id or the
// beginning of it: one that stands in args, or that the running node knows, for which node does not wait. It
// remembers the answers of the node, and returns "" if none answers. It also works after the
// end of ctx.
func keysOf(ctx context.Context, node *client.Client, args []string) func(nodeID string) string {
	var (
		mu    sync.Mutex
		keys  = map[string]string{}
		again time.Time // when the node is asked again, after it has not answered
	)
	for _, text := range publicKey.FindAllString(strings.Join(args, " "), -1) {
		if k, err := identity.ParsePublicKey(text); err == nil {
			keys[k.NodeID().String()] = text
		}
	}
	return func(nodeID string) string {
		mu.Lock()
		defer mu.Unlock()
		if key, ok := keys[nodeID]; ok || time.Now().Before(again) {
			return key
		}
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyWithin)
		defer cancel()
		p, err := node.Peer(within, nodeID)
		if err != nil && client.CodeOf(err) != inspect.CodeNotFound {
			again = time.Now().Add(keyWithin)
			return ""
		}
		if len(keys) == maxKeysKept {
			clear(keys)
		}
		keys[nodeID] = p.PublicKey
		return p.PublicKey
	}
}

// actorOfPeer matches the name of an actor for a peer as gamelan tree shows it: the name of
// the peer or the beginning of its key, and the number of a connection.
var actorOfPeer = regexp.MustCompile(`^(.+?)(-[0-9]+)?$`)

// actorPath puts node ids into the path of an actor, in place of the names and the keys that
// gamelan tree shows. It leaves a path of an actor that exists as it is.
func (a *app) actorPath(path string) string {
	if path == "" {
		return ""
	}
	if _, err := a.client().Actor(a.ctx, path); client.CodeOf(err) != inspect.CodeNotFound {
		return path
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		m := actorOfPeer.FindStringSubmatch(part)
		if m == nil {
			continue
		}
		peer, err := a.named(m[1])
		if err != nil || api.CheckKnownPeer(peer) != nil {
			continue
		}
		if p, err := a.client().Peer(a.ctx, peer); err == nil {
			parts[i] = p.NodeID + m[2]
		}
	}
	return strings.Join(parts, "/")
}
