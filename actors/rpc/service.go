package rpc

import "github.com/gamelan-p2p/gamelan/protocol/rpc"

// registered is a registered service.
type registered struct {
	rpc.Service
	methods map[uint32]rpc.Method
	limit   int   // greatest length of a response's frame, in bytes
	refused error // why it is not in the protocol table
	stopped bool  // by PanicStop: it is no longer offered
	own     bool  // the node's own: users cannot remove it
}

func newRegistered(s rpc.Service) (*registered, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	service := &registered{Service: s, methods: make(map[uint32]rpc.Method, len(s.Methods)), limit: s.MaxResponse}
	if service.limit == 0 {
		service.limit = rpc.DefaultSend
	}
	for _, m := range s.Methods {
		service.methods[m.Number()] = m
	}
	return service, nil
}
