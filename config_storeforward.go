package gamelan

import (
	"errors"

	safpart "github.com/gamelan-p2p/gamelan/actors/saf"
	"github.com/gamelan-p2p/gamelan/dht/saf"
)

// StoreForwardConfig is the part of a [Config] that says how the node takes part in store
// and forward: nodes store encrypted messages for others that are away. It has no effect
// without the DHT.
//
// spec: dht 11.1
type StoreForwardConfig struct {
	// NoStore makes the node store no further messages for others. Messages that are
	// stored are still handed out until they expire. A node with Config.Client stores
	// nothing in any case.
	NoStore bool

	// NoRequests makes the node ask other nodes for the messages that they store for it
	// only on request, by [DHT.FetchStored]. Without it the node asks each node that it
	// connects to and that may store messages.
	NoRequests bool

	// SinceLast makes the node ask a node only for messages that it stored since the last
	// ones that were all handled here, and 5 min before. It saves repetitions. But nodes of Tari then delete all older messages,
	// also those for others (spec: dht Q9, Q24).
	SinceLast bool

	// Limits bound what is stored for others. A number that is 0 has its default, which is
	// that of [saf.Default].
	Limits saf.Limits
}

func (c *StoreForwardConfig) withDefaults() {
	l, d := &c.Limits, saf.Default()
	def(&l.Messages, d.Messages)
	def(&l.Bytes, d.Bytes)
	def(&l.SourceMessages, d.SourceMessages)
	def(&l.SourceBytes, d.SourceBytes)
	def(&l.DestinationMessages, d.DestinationMessages)
	def(&l.DestinationBytes, d.DestinationBytes)
	def(&l.PairMessages, d.PairMessages)
	def(&l.PairBytes, d.PairBytes)
	def(&l.Message, d.Message)
	def(&l.Low, d.Low)
	def(&l.High, d.High)
	def(&l.Grace, d.Grace)
	def(&l.Answer, d.Answer)
}

func (s *settled) checkStoreForward() error {
	var wrong []error
	for _, fault := range s.StoreForward.Limits.Faults() {
		wrong = append(wrong, badConfig("StoreForward.Limits."+fault.Field, errors.New(fault.Text)))
	}
	return errors.Join(wrong...)
}

// storeForwardSettings returns the settings of the part saf.
func (b *builder) storeForwardSettings(n *Node) safpart.Settings {
	c := &b.StoreForward
	s := safpart.Settings{
		NoStore: c.NoStore, NoRequests: c.NoRequests, SinceLast: c.SinceLast, Limits: c.Limits,
		Neighbours: b.DHT.Neighbours, DB: b.db, Dedup: b.dedup, Host: n.host(),
	}
	if b.Discovery.Minimise {
		s.Minimise = b.DHT.Neighbours + b.Discovery.Random
	}
	return s
}
