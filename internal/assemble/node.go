// Package assemble builds a node from its settings: store, sockets, transports, the parts and their
// tree of actors. It also ends the node.
package assemble

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/admitpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/connectivity"
	"github.com/gamelan-p2p/gamelan/internal/actors/dhtpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/discoverypart"
	"github.com/gamelan-p2p/gamelan/internal/actors/doctorpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/inboxpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/kadpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/outcomepart"
	"github.com/gamelan-p2p/gamelan/internal/actors/reachpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/rpcpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/storypart"
	"github.com/gamelan-p2p/gamelan/internal/actors/torpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/tracepart"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/actors/users"
	"github.com/gamelan-p2p/gamelan/internal/actors/whypart"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/internal/nodeview"
	"github.com/gamelan-p2p/gamelan/internal/protocol/address"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
	"github.com/gamelan-p2p/gamelan/supervisor"
	"github.com/gamelan-p2p/gamelan/transport"
)

// ErrClosed reports the use of a node that is closing or closed.
var ErrClosed = errors.New("gamelan: the node is closed")

func badConfig(field string, err error) error { return &config.ConfigError{Field: field, Err: err} }

var errNoDataDir = badConfig("DataDir", errors.New("WithInspector puts its socket there; set a directory, or serve inspect.Handler(node.Inspection().Options) yourself"))

// Options are what is not data in the settings of a node. Those that are nil or empty have their
// defaults.
type Options struct {
	Registered []users.Register // the program's actors
	Layers     map[dht.Position][]dht.Layer
	SendLayers map[dht.SendPosition][]dht.SendLayer
	Services   []rpc.Service
	System     *actor.ActorSystem
	Transports []transport.Transport
	Logger     *slog.Logger
	Runtime    supervisor.Runtime
	Fault      func(path, point string)
	Inspector  func(dir string, data inspect.Options, l *slog.Logger) (Inspector, error) // nil, or ServeInspector
	Inbox      *config.InboxConfig
	TorControl func(ctx context.Context) (io.ReadWriteCloser, error)
	Parts      []func() (actors.Part, error) // the program's parts
	Sections   map[string]func(context.Context) any
	Checks     []func() error
	Notices    []func() models.Notices
	// Messages return the actors that call the program's functions with messages.
	Messages []func(in *inboxpart.Inbox) users.Register

	Hooks
}

// Hooks are what a node needs of the root package.
type Hooks struct {
	Version string
	Host    trunk.Host
	Publish func(event any)
	AddSeed func(ctx context.Context, seed peerstore.Peer) error
	Client  func(peer identity.NodeID, service protocol.ID) *rpc.Client
	Export  func(peers io.Writer) (int, error)
	Ended   func() // all actors have ended; what waits for the program is given up
	// Closing and Closed are called before and after Node.Closed is closed.
	Closing, Closed func()
}

// Node is a node. Its parts are nil where the settings have none.
type Node struct {
	Trunk     trunk.Node
	Up        chan struct{} // closed when Root is set, while the actors start
	Root      *supervisor.Root
	Parts     []actors.Part
	Admission *admitpart.Admission
	View      *nodeview.View
	Inbox     *inboxpart.Inbox
	Calls     *rpcpart.Calls
	Outcomes  *outcomepart.Outcomes
	DHT       *dhtpart.DHT
	Discovery *discoverypart.Discovery
	Saf       *safpart.Saf
	Kad       *kadpart.Kad
	Doctor    *doctorpart.Doctor
	Trace     *tracepart.Trace
	Why       *whypart.Why
	Story     *storypart.Story
	Record    *storypart.Record
	Reach     *reachpart.Reach
	Tor       *torpart.Tor
	Given     atomic.Bool   // the program has set the addresses that the node advertises
	Closing   chan struct{} // closed when Close was called
	Closed    chan struct{} // closed when everything is released
	DB        kv.DB

	Now       func() time.Time
	public    bool // the settings have public addresses
	bound     []*connections.Bound
	hooks     *Hooks
	inspector Inspector // nil without Options.Inspector; set before Start waits for the actors
	closeOnce sync.Once
	err       error // set before Closed is closed
}

// New returns a node that Start starts.
func New() *Node {
	return &Node{Up: make(chan struct{}), Closing: make(chan struct{}), Closed: make(chan struct{})}
}

// Tree waits until the tree of actors exists, and returns it.
func (n *Node) Tree() *supervisor.Root {
	<-n.Up
	return n.Root
}

// actors describes the actors; nil before the tree exists.
func (n *Node) actors() []supervisor.Info {
	select {
	case <-n.Up:
		return n.Root.Snapshot()
	default:
		return nil
	}
}

// Err returns nil while the node runs and after a Close in order. Otherwise it says why the node
// stopped, or which parts did not stop in time.
func (n *Node) Err() error {
	if n.Ended() {
		return n.err
	}
	return nil
}

// Listening returns the addresses that the node listens on.
func (n *Node) Listening() []ma.Multiaddr {
	addrs := make([]ma.Multiaddr, len(n.bound))
	for i, b := range n.bound {
		addrs[i] = b.Where()
	}
	return addrs
}

// OnlyDials reports whether nobody is expected to reach the node: it does not listen, and the user
// has set no addresses. What it advertises then is there because a claim has an address.
func (n *Node) OnlyDials() bool { return len(n.bound) == 0 && !n.GivenAddresses() }

// GivenAddresses reports whether the user has set the addresses that the node advertises.
func (n *Node) GivenAddresses() bool { return n.public || n.Given.Load() }

// Policy says which addresses the node may advertise.
func (n *Node) Policy() address.Policy {
	return address.Policy{TestAddresses: n.Trunk.Profile().TestAddresses, OutboundOnly: len(n.bound) == 0, Max: n.Trunk.Profile().Limits.Addresses}
}

// Status asks the actor connectivity for the node's state.
func (n *Node) Status(ctx context.Context) (actors.Status, error) {
	return Ask[actors.Status](ctx, n, n.Trunk.Connectivity(), connectivity.GetStatus{})
}

// Dials asks the actor dialer for the dials under way.
func (n *Node) Dials(ctx context.Context) ([]actors.DialUnderWay, error) {
	r, err := Ask[dialling.Dials](ctx, n, n.Trunk.Dialer(), dialling.GetDials{})
	return r.UnderWay, err
}

// Ended reports whether the node has ended.
func (n *Node) Ended() bool {
	select {
	case <-n.Closed:
		return true
	default:
		return false
	}
}

// Stopping reports whether the node is closing or closed.
func (n *Node) Stopping() bool {
	select {
	case <-n.Closing: // checked first, because one select would choose at random
		return true
	default:
	}
	select {
	case <-n.Up:
	default:
		return false
	}
	select {
	case <-n.Root.Done():
		return true
	default:
		return false
	}
}

// askAgain is the pause before a question is repeated to an actor that does not exist. Such
// an actor exists again when the restart of its parent is over.
const askAgain = 10 * time.Millisecond

// Ask asks an actor of the node whose path is fixed, and waits for the answer until ctx
// ends or the node stops. A question that waits when its actor stops fails with
// supervisor.ErrNoActor, so no question outlives a closing node.
func Ask[R any](ctx context.Context, n *Node, pid *actor.PID, msg any) (r R, err error) {
	err = n.Again(ctx, func() error {
		r, err = supervisor.Ask[R](ctx, n.Trunk.System(), pid, msg)
		return err
	})
	return r, err
}

// Again calls f until f returns nil or an error other than supervisor.ErrNoActor, or the
// node stops.
func (n *Node) Again(ctx context.Context, f func() error) error {
	for {
		err := f()
		switch {
		case err == nil:
			return nil
		case n.Stopping():
			return ErrClosed
		case !errors.Is(err, supervisor.ErrNoActor):
			return err
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
		}
	}
}
