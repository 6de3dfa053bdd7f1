// Package kadpart is the part of a node that has clients of the key-value DHT: their group in the
// tree, their sections and verbs. The clients themselves are package kad.
package kadpart

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/kad"
)

// Trunk names what clients need of a node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	Wall() time.Time
	OnWall(t time.Time) time.Time
	PID(path string) *actor.PID
	Secret() *identity.Secret
	Banned(peer identity.NodeID) error
}

var _ Trunk = trunk.Trunk{}

// Settings are what clients of a node use unless their [kad.Config] says otherwise. The node that
// has the clients sets them.
type Settings struct {
	// Networks makes the networks of a client that names none; nil: it has none.
	Networks func(c *kad.Config) ([]kad.Network, error)
	// Keeper opens what keeps the state of a client on the disk; nil: nothing does.
	Keeper func(c *kad.Config) (kad.Keeper, error)
	// AllowPrivate is what a client's AllowPrivate is at least.
	AllowPrivate bool
	// Host is used by the verbs alone, and set by a node of package gamelan.
	Host trunk.Host
}

// Kad is the host of the clients of one node.
type Kad struct {
	kad.Registry
	Settings
	trunk Trunk
	key   identity.PublicKey
}

var _ kad.Host = (*Kad)(nil)

// New returns the host of the clients of a node.
func New(t Trunk, s Settings) *Kad { return &Kad{Settings: s, trunk: t, key: t.Secret().PublicKey()} }

// Part returns the group of the clients. It is empty until [kad.Start]. Clients finish their work
// while the node still has its connections.
func (k *Kad) Part() actors.Part {
	g := kad.GroupSpec()
	return actors.Part{
		Name: g.Name, Attached: true, Policy: g.Children, Stages: map[string]actors.Stage{g.Name: actors.StopSenders},
		Sections: k.Sections(), Metrics: func(ctx context.Context) any { return k.section(ctx) }, Verbs: k.Verbs(), Degraded: k.Degraded,
	}
}

// System returns the actor system of the node.
func (k *Kad) System() *actor.ActorSystem { return k.trunk.System() }

// Group returns the supervisor of the clients.
func (k *Kad) Group() *actor.PID { return k.trunk.PID(kad.GroupSpec().Name) }

// Now returns the time of the node's clock, which never steps.
func (k *Kad) Now() time.Time { return k.trunk.Now() }

// Wall returns the time of the system's clock.
func (k *Kad) Wall() time.Time { return k.trunk.Wall() }

// PublicKey returns the key of the node.
func (k *Kad) PublicKey() identity.PublicKey { return k.key }

// Networks returns the networks of a client that names none.
func (k *Kad) Networks(c *kad.Config) ([]kad.Network, error) {
	if k.Settings.Networks == nil {
		return nil, kad.ErrNoGateway
	}
	return k.Settings.Networks(c)
}

// Keeper returns what keeps the state of a client on the disk; nil: nothing does.
func (k *Kad) Keeper(c *kad.Config) (kad.Keeper, error) {
	if k.Settings.Keeper == nil {
		return nil, nil
	}
	return k.Settings.Keeper(c)
}

// AllowsPrivate returns what the settings say.
func (k *Kad) AllowsPrivate() bool { return k.AllowPrivate }

// Banned reports whether the peer store bans the owner of a contact's key.
func (k *Kad) Banned(c kad.Contact) bool {
	return !c.PublicKey.IsZero() && k.trunk.Banned(c.PublicKey.NodeID()) != nil
}
