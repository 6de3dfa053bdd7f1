// Package rpcpart is the part of the node that makes and serves remote calls (spec:
// comms 9). The actor rpc offers the users' services and has a session with each
// peer that calls them; the actor rpc-client has our sessions with the services of
// peers. The wire format and the state machines of both sides are in protocol/rpc.
package rpcpart
