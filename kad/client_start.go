package kad

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Start attaches a client to a host, and returns when its gateways work. It fails with an
// error that matches [ErrConfig], [ErrNameTaken], [ErrNoGateway], [ErrSchema], or with that
// of a network or of the disk. ctx bounds the start, not the life of the client.
func Start(ctx context.Context, h Host, c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	all := h.registry()
	c.AllowPrivate = c.AllowPrivate || h.AllowsPrivate()
	if !all.reserve(c.Name) {
		return nil, fmt.Errorf("%w: %q", ErrNameTaken, c.Name)
	}
	client, err := start(ctx, h, c)
	if err != nil {
		all.remove(c.Name)
		return nil, err
	}
	all.set(c.Name, client)
	return client, nil
}

func start(ctx context.Context, h Host, c Config) (_ *Client, err error) {
	if len(c.Networks) == 0 {
		if c.Networks, err = h.Networks(&c); err != nil {
			return nil, err
		}
	}
	if len(c.Networks) == 0 {
		return nil, ErrNoGateway
	}
	if c.Keeper == nil {
		if c.Keeper, err = h.Keeper(&c); err != nil {
			return nil, err
		}
	}
	x, err := open(ctx, h, c)
	if err != nil {
		return nil, errors.Join(err, closeKeeper(c.Keeper))
	}
	client := &Client{x: x}
	a, err := supervisor.Ask[supervisor.Attached](ctx, h.System(), h.Group(), supervisor.Attach{Spec: supervisor.Spec{
		Name: c.Name, Kind: "kadClient", New: func() actor.Actor { return newClientActor(x) }, Drains: true,
	}})
	if err != nil { // the group may attach it yet
		x.tell(h.Group(), supervisor.Detach{Name: c.Name})
	}
	if err = cmp.Or(err, a.Err); err != nil {
		return nil, errors.Join(fmt.Errorf("kad: start client %s: %w", c.Name, err), closeKeeper(c.Keeper))
	}
	// The actors have started, one below the other, when they know that they do not know this.
	for _, pid := range []*actor.PID{x.client, x.gateways} {
		_, _ = supervisor.Ask[opened](ctx, h.System(), pid, hasRead{})
	}
	for _, g := range x.gates {
		if err := client.awaitOpen(ctx, g); err != nil {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), startGrace)
			defer cancel()
			return nil, errors.Join(fmt.Errorf("kad: open %s: %w", g.network.Label(), err), client.Close(stop))
		}
	}
	_, _ = supervisor.Ask[opened](ctx, h.System(), x.client, hasRead{}) // upkeep exists
	return client, nil
}

// startGrace is how long a client may take to stop after its start has failed.
const startGrace = time.Second

func closeKeeper(k Keeper) error {
	if k == nil {
		return nil
	}
	return k.Close()
}

// open reads what is on the disk, and decides the client's id.
func open(ctx context.Context, h Host, c Config) (*core, error) {
	kept := &Kept{}
	if c.Keeper != nil {
		var err error
		if kept, err = c.Keeper.Load(ctx); err != nil {
			return nil, err
		}
	}
	var self ID
	switch {
	case c.Overlay == Native:
		key := c.PublicKey
		if key == (identity.PublicKey{}) {
			key = h.PublicKey()
		}
		c.PublicKey = key
		self = overlay.NodeID(key)
	case !c.ID.IsZero():
		self = c.ID
	case !kept.ID.IsZero():
		self = kept.ID
	default:
		self = overlay.RandomID(c.idLen(), newSecret(rand.Reader))
	}
	if c.Overlay == Seed && c.Keeper != nil && kept.ID != self {
		if err := c.Keeper.Commit(ctx, Batch{ID: self, Sync: true}); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrStore, err)
		}
	}
	x := newCore(h, c, self)
	x.kept.Store(kept)
	x.figures.damaged.Store(uint64(kept.Damaged))
	return x, nil
}

// awaitOpen waits until a gateway works.
func (c *Client) awaitOpen(ctx context.Context, g *gate) error {
	r, err := supervisor.Ask[opened](ctx, c.x.host.System(), g.pid, awaitOpen{})
	return cmp.Or(err, r.err)
}

// hasRead is known to no actor: who asks learns that the actor has read all that was sent
// before, or has ended.
type hasRead struct{}
