// Package doctorpart is the part of a node that examines the node, or its way to one peer, when
// somebody asks. It looks at what the node knows, tries what can be tried, and says one cause and
// one next step.
package doctorpart

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/protocol/why"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// Trunk names what this part needs of the node. [trunk.Trunk] implements and documents it.
type Trunk interface {
	System() *actor.ActorSystem
	Now() time.Time
	OnWall(t time.Time) time.Time
	PID(path string) *actor.PID
	Self() identity.NodeID
	Key() identity.PublicKey
	Claim() (identity.Claim, bool)
	Store() peerstore.View
	Connection(peer identity.NodeID) (*actors.ConnRef, bool)
	FindPeer(text string) (identity.NodeID, error)
	Banned(peer identity.NodeID) error
	Draining() (since time.Time, ok bool)
	Probeable(p peerstore.Peer, given []ma.Multiaddr) ([]ma.Multiaddr, error)
	Probe(ctx context.Context, to ma.Multiaddr, key identity.PublicKey, limit time.Duration) (identity.PublicKey, error)
	LastAttempts(peer identity.NodeID) []actors.DialAttempt
}

var _ Trunk = trunk.Trunk{}

// Settings are what the part uses of the node beside the trunk. The functions may wait.
type Settings struct {
	Host      trunk.Host
	Listening func() []ma.Multiaddr
	// Direct says that the node can connect to its own listeners: its dials do not go through a proxy.
	Direct bool
	// Admits returns why the node does not admit a key, or nil.
	Admits func(identity.PublicKey) error
	// Ask asks a connected peer what it remembers of this node. It is nil if this node itself tells
	// nobody.
	Ask func(context.Context, *actors.ConnRef) (ours, theirs why.Answer, err error)
	// Node and Health return the section "node" and the health of the node.
	Node   func(context.Context) models.Node
	Health func(context.Context) models.Health
}

// Doctor is the part. It outlives the incarnations of its actor.
type Doctor struct {
	Settings
	trunk Trunk

	mu      sync.Mutex
	last    models.Doctor
	running int           // examinations
	count   atomic.Uint64 // of the actors that have tried addresses
}

// New returns the part.
func New(t Trunk, s Settings) *Doctor { return &Doctor{Settings: s, trunk: t} }

const name = "doctor"

// Part returns the group of the actors that try addresses, the section and the verb.
func (d *Doctor) Part() actors.Part {
	return actors.Part{
		Name:     name,
		Attached: true, Policy: supervisor.Policy{Action: supervisor.Temporary}, Stages: map[string]actors.Stage{name: actors.StopIntake},
		Sections: map[string]func(context.Context) any{name: func(context.Context) any { return d.section() }},
		Verbs:    map[string]map[string]inspect.Verb{name: {"examine": {Params: []string{"peer"}, Stream: d.examineVerb}}},
	}
}

func (d *Doctor) section() models.Doctor {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last.Steps == nil {
		return models.Doctor{Steps: []models.Checked{}}
	}
	return d.last
}

// Examine examines the node, or its way to a peer, and calls step with each step as it ends. The
// examination ends when step returns false. peer is a key, the first digits of one, KEY::ADDRESS, an
// address, or "" for the node as a whole.
func (d *Doctor) Examine(ctx context.Context, peer string, step func(models.Checked) bool) (models.Diagnosis, error) {
	leave, ok := d.enter()
	if !ok {
		return models.Diagnosis{}, &inspect.Error{Code: inspect.CodeBusy, Message: fmt.Sprintf("%d examinations are under way", mostRuns), Hint: "wait for one to end"}
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, examineLimit)
	defer cancel()
	x := &examination{d: d, ctx: ctx, tell: step}
	if peer == "" {
		return x.node()
	}
	return x.peer(peer)
}

// examineVerb yields each step of an examination, and at the end the diagnosis.
func (d *Doctor) examineVerb(ctx context.Context, v url.Values) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		end, err := d.Examine(ctx, v.Get("peer"), func(c models.Checked) bool { return yield(models.Examined{Step: &c}, nil) })
		switch {
		case errors.Is(err, errGone):
		case err != nil:
			yield(nil, err)
		default:
			yield(models.Examined{Diagnosis: &end}, nil)
		}
	}
}

const (
	// examineLimit is how long an examination may take.
	examineLimit = 90 * time.Second
	// probeLimit is how long a probe waits for an address, unless its transport needs more.
	probeLimit = 5 * time.Second
	// mostProbes is how many addresses one examination tries.
	mostProbes = 8
)

// errGone says that nobody reads the steps any more.
var errGone = errors.New("nobody reads the examination")

// examination is one that is under way.
type examination struct {
	d     *Doctor
	ctx   context.Context
	tell  func(models.Checked) bool
	steps []models.Checked
}

// step tells a step.
func (x *examination) step(c models.Checked) error {
	x.steps = append(x.steps, c)
	if !x.tell(c) {
		return errGone
	}
	return nil
}

// all tells several steps.
func (x *examination) all(list ...models.Checked) error {
	for _, c := range list {
		if err := x.step(c); err != nil {
			return err
		}
	}
	return nil
}
