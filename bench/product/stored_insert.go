package product

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/bench/anchors"
	"github.com/gamelan-p2p/gamelan/bench/harness"
	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/actors/base"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/actors/safpart"
	"github.com/gamelan-p2p/gamelan/internal/actors/trunk"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/internal/kv"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// insertBurst is how many messages are offered before the case waits until all of them are
// synced.
const insertBurst = 2048

// StoredInsert is gamelan/stored-insert-1KiB: messages of 1 KiB are offered to the actor that
// stores them. It decides on each by its rules and limits, has it relayed, and writes what
// has come meanwhile in one batch, synced. An operation is a message that is on the disk.
func StoredInsert() harness.Case {
	return harness.Case{Name: "gamelan/stored-insert-1KiB", Run: onDisk(func(m *harness.Meter, db kv.DB) (err error) {
		envelope, err := storedEnvelope(1<<10 - 300) // with its header a KiB
		if err != nil {
			return err
		}
		e, err := wire.DecodeEnvelope(envelope)
		if err != nil {
			return err
		}
		part, system, root, err := startKeeper(db)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, root.Stop(context.Background(), nil)) }()
		n, from := uint64(0), part.Client
		return m.Until(insertBurst, func() error {
			for range insertBurst {
				n++
				now := time.Now()
				system.Root.RequestWithCustomSender(part.Keeper, dht.Offered{
					Heard: dht.Heard{Incoming: &dht.Incoming{
						Now: now, Wall: now, Source: identity.NodeID{7}, Envelope: e, Hash: anchors.HashOf(n), Sealed: true, Copies: 1,
					}, Credit: noCredit{}},
					IfKept: dht.Broadcast{}, Otherwise: dht.Broadcast{},
				}, from)
			}
			for {
				s, err := supervisor.Ask[safpart.ServerState](m.Context(), system, part.Keeper, safpart.GetState{})
				switch {
				case err != nil:
					return err
				case s.Unwritten == 0 && s.Added == n:
					return nil
				case s.Err != nil || s.Late > 0:
					return errors.Join(s.Err, errors.New("some messages were not stored"))
				}
				time.Sleep(100 * time.Microsecond)
			}
		})
	})}
}

// startKeeper starts the actor that stores messages for others, alone in a tree with one that
// drops what is to be relayed.
func startKeeper(db kv.DB) (*safpart.Saf, *actor.ActorSystem, *supervisor.Root, error) {
	store, err := peerstore.Open(kv.Memory(), peerstore.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	secret, err := identity.NewSecret(rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	node := trunk.NewNode(trunk.Settings{
		Base:     base.Settings{System: gamelan.NewSystem(logger), Root: "bench", Profile: protocol.Tari(protocol.LocalNet), Secret: secret, Features: identity.FeatureNode, Now: time.Now, Wall: time.Now, Logger: slog.New(slog.DiscardHandler)},
		Store:    store,
		Messages: messengers.Settings{NodeCredit: 256 << 20, PeerCredit: 1 << 20, DHT: true},
	})
	l := saf.Default()
	l.Messages, l.SourceMessages, l.DestinationMessages, l.PairMessages = saf.MostMessages, saf.MostMessages, saf.MostMessages, saf.MostMessages
	l.Bytes, l.SourceBytes, l.DestinationBytes, l.PairBytes = math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64
	part, err := safpart.New(node.Trunk, safpart.Settings{Limits: l, Neighbours: 8, DB: db, Dedup: dht.NewDedup(100)})
	if err != nil {
		return nil, nil, nil, err
	}
	specs := part.Part().Actors
	for i := range specs {
		if specs[i].Name == "client" {
			specs[i].New = func() actor.Actor { return actor.ReceiveFunc(func(actor.Context) {}) }
			specs[i].Alarm = 2 * insertBurst
		}
	}
	root, err := supervisor.Start(node.System(), node.Root(), supervisor.Spec{
		Name: "node", Kind: "group", Drains: true,
		New: supervisor.Group(supervisor.Spec{Name: "saf", Kind: "group", Drains: true, New: supervisor.Group(specs...)}),
	}, supervisor.Options{Logger: logger})
	return part, node.System(), root, err
}

// noCredit is the credit of a message that was not received.
type noCredit struct{}

func (noCredit) Finish()                     {}
func (noCredit) Discard()                    {}
func (noCredit) Keep() func()                { return func() {} }
func (noCredit) Refuse()                     {}
func (noCredit) Source() supervisor.Source   { return nil }
func (c noCredit) HandOver() dht.HeardCredit { return c }

func (c noCredit) Split(lengths ...int) []dht.HeardCredit {
	all := make([]dht.HeardCredit, len(lengths))
	for i := range all {
		all[i] = c
	}
	return all
}
