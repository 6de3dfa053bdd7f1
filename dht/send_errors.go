package dht

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNotSendable reports a message of our own that other nodes would refuse.
var ErrNotSendable = errors.New("dht: message cannot be sent")

// The reasons for which a message of our own goes to nobody.
var (
	errSwallowed   = errors.New("dht: a layer dropped the message without an error")
	errAbandoned   = errors.New("dht: the actor that sent it was restarted")
	errUnknownPeer = errors.New("dht: the peer is unknown or banned; add it with an address, or set Discover of the strategy to search for it")
	errNobody      = errors.New("dht: no connected node can take the message; connect to some first")
	errNoDHT       = errors.New("dht: the connected nodes run without the DHT; connect to others, or start those with it")
	errNoStore     = errors.New("dht: the receiver is not connected, and no known node may store the message; connect to a node of Gamelan, or to a Tari node of a release that stores messages")
	errNoneLeft    = errors.New("dht: Selected.Peers has no usable peer: this node itself and peers with only excluded addresses are left out")
	errTakenAway   = errors.New("dht: a layer removed every peer")
	errNoDiscovery = errors.New("dht: the peer is unknown, and this node has no part that searches for peers; add it with an address")
	errSearching   = errors.New("dht: the peer was not found in time")
)

// nobody returns the error for a strategy that selects no peer, with advice.
func nobody(to Strategy, v View) error {
	switch to.(type) {
	case Direct, DirectKey:
		return errUnknownPeer
	case Selected:
		return errNoneLeft
	case StoreFor:
		return errNoStore
	}
	if slices.ContainsFunc(v.Connected(), func(c Candidate) bool { return c.NoDHT }) {
		return errNoDHT
	}
	return errNobody
}

// tooLong returns the error for a message of n bytes, of which at most most may be
// sent.
func tooLong(n, most int) error {
	return fmt.Errorf("%w: %d bytes, at most %d; send it in parts", ErrNotSendable, n, most)
}
