package dht

import (
	"errors"
	"fmt"
	"slices"
)

// ErrNotSendable reports a message of our own that others would refuse.
var ErrNotSendable = errors.New("dht: message cannot be sent")

// Why a message of our own goes to nobody.
var (
	errSwallowed   = errors.New("dht: a layer has not passed the message on")
	errAbandoned   = errors.New("dht: the actor that sent it was restarted")
	errUnknownPeer = errors.New("dht: the peer is not known, or banned; add it with an address")
	errNobody      = errors.New("dht: no connected node that it could go to; connect to some first")
	errNoDHT       = errors.New("dht: the connected nodes run without the DHT; connect to others, or start those with it")
	errNoneLeft    = errors.New("dht: of Selected.Peers none is left: neither this node is sent to, nor who has excluded addresses only")
	errTakenAway   = errors.New("dht: a layer has taken away every peer")
	errNoDiscovery = errors.New("dht: the peer is not known, and nothing on this node can look for it yet; add it with an address")
	errSearching   = errors.New("dht: the peer was not found in time")
)

// nobody says what to do when the strategy has found no peer.
func nobody(to Strategy, v View) error {
	switch to.(type) {
	case Direct, DirectKey:
		return errUnknownPeer
	case Selected:
		return errNoneLeft
	}
	if slices.ContainsFunc(v.Connected(), func(c Candidate) bool { return c.NoDHT }) {
		return errNoDHT
	}
	return errNobody
}

// tooLong says that so many bytes are more than may travel.
func tooLong(n, most int) error {
	return fmt.Errorf("%w: %d bytes, at most %d; send it in parts", ErrNotSendable, n, most)
}
