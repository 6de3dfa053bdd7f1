// Package nodeview shows the trunk of a node, and puts together what its parts say of themselves.
package nodeview

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Names are the names of the trunk's own sections, which no part may use.
var Names = []string{"node", "peers", "connections", "traffic"}

// View is the view of one node. Its exported fields never change.
type View struct {
	Trunk   trunk.Node
	Parts   []actors.Part
	Version string         // of the library
	Start   time.Time      // of the node's clock
	Files   models.Notices // see [FewFiles]
	Health  config.HealthConfig

	// Tree returns the tree of actors. It waits until there is one.
	Tree func() *supervisor.Root
	// Actors describes the actors, none before there is a tree; nil: they are not known.
	Actors func() []supervisor.Info
	// Status asks the actor connectivity for the node's state.
	Status func(ctx context.Context) (actors.Status, error)
	// Dials asks the actor dialer for the dials under way.
	Dials func(ctx context.Context) ([]actors.DialUnderWay, error)
	// OnlyDials reports whether nobody is expected to reach the node.
	OnlyDials func() bool
	// Stopping reports whether the node stops or has ended, and Ended whether it has ended.
	Stopping, Ended func() bool
	// Pools returns the peers that the node wants to be connected to, each with the reason.
	Pools func() map[identity.NodeID]string

	measuring sync.Map // by part: how many calls of its Metrics run, an *atomic.Int32
}

// Sections returns the sections of the trunk and of the parts.
func (v *View) Sections() *inspect.Sections {
	s := new(inspect.Sections)
	s.Section("node", func(ctx context.Context) any { return v.node(ctx) })
	s.Section("peers", func(context.Context) any { return v.peers() })
	s.Section("connections", func(ctx context.Context) any { return v.connections(ctx) })
	s.Section("traffic", func(context.Context) any { return v.traffic() })
	for _, p := range v.Parts {
		for name, show := range p.Sections {
			s.Section(name, show)
		}
	}
	return s
}

// Section returns the value of a section, which is a T.
func Section[T any](ctx context.Context, v *View, name string) T {
	value, err := v.Sections().Value(ctx, name)
	if err != nil {
		panic(err)
	}
	return value.(T)
}

// healthTimeout is how long an actor of a healthy node may take to answer.
const healthTimeout = 2 * time.Second

const connectivitySilent = "the connectivity actor does not answer"

// Unhealthy returns the reasons why the node does not work, as sentences, or none if it
// works. To be offline is no such reason, because a restart of the node would not help.
// Unhealthy takes at most 2 s.
func (v *View) Unhealthy(ctx context.Context) models.Notices {
	switch {
	case v.Ended():
		return models.Notices{codes.Ended.Notice("the node has ended")}
	case v.Stopping():
		return models.Notices{codes.Stopping.Notice("the node is stopping")}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if _, err := v.Status(ctx); err != nil {
		return models.Notices{codes.ConnectivitySilent.Notice(connectivitySilent)}
	}
	return nil
}

// Degraded returns the reasons why a working node is degraded, the cause first. If messages of
// peers are the cause, a restart of the node would not help.
func (v *View) Degraded(ctx context.Context) models.Notices {
	all, _ := v.troubles(ctx)
	return all.Of(models.Degraded)
}

// Warnings returns what else somebody should know.
func (v *View) Warnings(ctx context.Context) models.Notices {
	all, _ := v.troubles(ctx)
	return all.Of(models.Warning)
}

// Whole returns the health of the node.
func (v *View) Whole(ctx context.Context) models.Health {
	h := models.Health{Reasons: v.Unhealthy(ctx), Warnings: models.Notices{}}
	all, _ := v.troubles(ctx)
	degraded := all.Of(models.Degraded)
	switch h.State = models.StateOf(h.Reasons, degraded); h.State {
	case models.HealthDegraded:
		h.Reasons = degraded
	case models.HealthFailed:
		h.Warnings = append(h.Warnings, degraded...)
	}
	h.Reasons = append(models.Notices{}, h.Reasons...)
	h.Warnings = append(h.Warnings, all.Of(models.Warning)...)
	return h
}

// All returns all that is wrong with the node, whatever its state, the cause first. It is whole if all could
// be looked at: if not, what is missing may be wrong as well. Of a node that stops nothing is said.
func (v *View) All(ctx context.Context) (list models.Notices, whole bool) {
	if v.Stopping() || v.Ended() {
		return nil, false
	}
	all, err := v.troubles(ctx)
	if err != nil {
		list = models.Notices{codes.ConnectivitySilent.Notice(connectivitySilent)}
	}
	return append(list, all...), err == nil && !v.Stopping()
}

// troubles returns all that is wrong with a node that works, causes first. An error says that it is not
// known how the node is connected, and the list has nothing of that.
func (v *View) troubles(ctx context.Context) (list models.Notices, err error) {
	now := v.Trunk.Now()
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	status, err := v.Status(ctx)
	if since, ok := v.Trunk.Draining(); ok {
		list = append(list, draining(v.Trunk.OnWall(since), now.Sub(since)))
	} else if err == nil {
		list = v.notOnline(&status, now)
	}
	return append(v.Health.Severe(append(list, v.storeDegraded()...)), v.warnings(now)...), err
}

// storeDegraded returns why the peer store cannot be written, if it cannot. The cause of the
// node's status says it, too, so that it is not one of the warnings.
func (v *View) storeDegraded() models.Notices {
	trouble, ok := v.Trunk.StoreTrouble()
	if !ok {
		return nil
	}
	return models.Notices{codes.PeersUnwritten.Notice("the " + strings.TrimPrefix(trouble.Err.Error(), "actors: "))}
}

// degraded returns the other reasons: those of the parts, connections that could not be accepted,
// actors and services that panicked in the last ten minutes, and the user's actors and services
// that a panic has stopped.
func (v *View) degraded(now time.Time) models.Notices {
	reasons := v.ofParts(func(p *actors.Part) func() models.Notices { return p.Degraded })
	for i := range reasons {
		reasons[i].Severity = models.Degraded // as they are said to be
	}
	if t := v.Trunk.InboundTrouble(); t.Err != nil && now.Sub(t.FailedAt) < deafTold {
		reasons = append(reasons, deaf(t, now))
	}
	for _, p := range v.Trunk.Panicking() {
		reasons = append(reasons, panicking(p, now))
	}
	for _, f := range v.Trunk.Failing() {
		if f.Count > v.Health.Restarts {
			reasons = append(reasons, restarting(f, now))
		}
	}
	return append(reasons, v.inDoubt()...)
}

// ofParts returns notices of all parts, in the order of the parts.
func (v *View) ofParts(which func(*actors.Part) func() models.Notices) (list models.Notices) {
	for i := range v.Parts {
		if say := which(&v.Parts[i]); say != nil {
			list = append(list, say()...)
		}
	}
	return list
}
