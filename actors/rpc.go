package actors

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// RPCSettings bound the remote calls of a node.
type RPCSettings struct {
	Sessions        int           // that peers have with our services, all together
	SessionsPerPeer int           // … of one peer
	Clients         int           // that we have with one service of one peer
	Idle            time.Duration // after which our services end a session
}

// AddService offers a service. Sent to rpc. Reply: ServiceAdded.
type AddService struct{ Service rpc.Service }

// ServiceAdded replies to AddService.
type ServiceAdded struct{ Err error }

// RemoveService ends a service and its sessions. Sent to rpc. Reply:
// ServiceRemoved.
type RemoveService struct{ ID protocol.ID }

// ServiceRemoved replies to RemoveService.
type ServiceRemoved struct{ Err error }

// AwaitServices asks rpc to say when all services are in the protocol table.
// Reply: ServicesReady.
type AwaitServices struct{}

// ServicesReady replies to AwaitServices. Err is why one is not offered.
type ServicesReady struct{ Err error }

// ErrNoService reports the removal of a service that is not there.
var ErrNoService = errors.New("actors: no such service is registered")

// rpcService is a registered service.
type rpcService struct {
	rpc.Service
	methods map[uint32]rpc.Method
	limit   int   // of a response's frame
	refused error // why it is not in the protocol table
	stopped bool  // by PanicStop: it is offered no more
}

func newRPCService(s rpc.Service) (*rpcService, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	service := &rpcService{Service: s, methods: make(map[uint32]rpc.Method, len(s.Methods)), limit: s.MaxResponse}
	if service.limit == 0 {
		service.limit = rpc.DefaultSend
	}
	for _, m := range s.Methods {
		service.methods[m.Number()] = m
	}
	return service, nil
}

// PreregisterService adds a service before the tree starts.
func (e *Env) PreregisterService(s rpc.Service) error {
	service, err := newRPCService(s)
	if err != nil {
		return err
	}
	if e.reserved(s.Protocol) {
		return fmt.Errorf("%w: %q", ErrProtocolTaken, string(s.Protocol))
	}
	for _, other := range e.services {
		if other.Protocol == s.Protocol {
			return fmt.Errorf("%w: %q", ErrProtocolTaken, string(s.Protocol))
		}
	}
	e.services = append(e.services, service)
	return nil
}

// RPCKey names one service of one peer.
type RPCKey struct {
	Peer     identity.NodeID
	Protocol protocol.ID
}

// AcquireSession asks rpc-client for a session when [Env.IdleSession] has none.
// Reply: SessionGiven, as soon as there is one or none can be had. Gone reports
// whether the asker waits no longer; it may be called from any goroutine.
type AcquireSession struct {
	Key  RPCKey
	Gone func() bool
}

// SessionUnwanted says that an asker has Gone: what was being opened for him
// alone need not go on. No reply.
type SessionUnwanted struct{ Key RPCKey }

// SessionGiven replies to AcquireSession. The session belongs to the receiver,
// who calls one of its methods once.
type SessionGiven struct {
	Session *RPCSession
	Err     error
}

// Discard gives a session back whose asker has gone.
func (m SessionGiven) Discard() {
	if m.Session != nil {
		m.Session.release()
	}
}

// rpcEnded is a session's last word to its parent, which stops it.
type rpcEnded struct{ who *actor.PID }

// bytesText is a number of bytes, short.
func bytesText(n uint64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}
