package rpcpart

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// Own are the limits of a service of the node itself. Its sessions do not count towards
// [Settings].Sessions, so that they take no places of the users' services, nor the other
// way round.
type Own struct {
	Sessions        int           // of all peers
	SessionsPerPeer int           // of one peer
	Idle            time.Duration // idle time after which a session ends
	Deadline        time.Duration // for an answer or an item, whatever more the client allows
}

// registered is a registered service.
type registered struct {
	rpc.Service
	own     *Own // nil: a user's service, which users can remove
	methods map[uint32]rpc.Method
	slow    map[uint32]*atomic.Int32 // by method: how many quick calls it takes until the reading task runs it
	limit   int                      // greatest length of a response's frame, in bytes
	refused error                    // why it is not in the protocol table
	stopped bool                     // by PanicStop: it is no longer offered
}

func newRegistered(s rpc.Service) (*registered, error) {
	methods, err := s.Bind()
	if err != nil {
		return nil, err
	}
	service := &registered{Service: s, methods: make(map[uint32]rpc.Method, len(methods)), slow: make(map[uint32]*atomic.Int32, len(methods)), limit: s.MaxResponse}
	if service.limit == 0 {
		service.limit = rpc.DefaultSend
	}
	for _, m := range methods {
		service.methods[m.Number()] = m
		service.slow[m.Number()] = new(atomic.Int32)
		service.slow[m.Number()].Store(1)
	}
	return service, nil
}

// options returns the limits of a session; idle is the limit of users' services.
func (s *registered) options(idle time.Duration) onecall.ServerOptions {
	if s.own != nil {
		return onecall.ServerOptions{Idle: s.own.Idle, MaxDeadline: s.own.Deadline}
	}
	return onecall.ServerOptions{Idle: idle}
}

// answerHead is what a response may have beside its payload in a session that carries one call.
const answerHead = 20

// fits returns the error of an answer that is longer than the service sends.
func (s *registered) fits(answer []byte) error {
	if most := s.limit - answerHead; len(answer) > most {
		return rpc.Errorf(rpc.MalformedResponse, "response of %d bytes; at most %d are sent", len(answer), most)
	}
	return nil
}

// unsupported is what the caller of a method hears that is not there.
func unsupported(number uint32) string { return fmt.Sprintf("method %d is not supported", number) }

// noRequest is what the caller of a method hears that wants one request and got none.
const noRequest = "the method takes one request, and got none"
