package nodeview

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/transport/mux"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// askedAtOnce is how many connections are asked for their statistics at a time: one that does not
// answer does not keep the others from it.
const askedAtOnce = 32

// shownStreams is how many substreams of a connection are shown.
const shownStreams = 100

func substream(s *mux.StreamStats, opened time.Time) models.Substream {
	d := protocol.Outbound
	if s.Inbound {
		d = protocol.Inbound
	}
	return models.Substream{
		ID: s.ID, Protocol: string(s.Use.Protocol), Direction: d.String(), OwnerActor: s.Use.Owner, OpenedAt: opened,
		BytesIn: s.BytesIn, BytesOut: s.BytesOut, Window: uint32(min(max(0, s.CanSend), 1<<32-1)),
	}
}

func (v *View) open(ctx context.Context, ref *actors.ConnRef, now time.Time) models.Connection {
	c := v.connection(ref)
	c.Protected = append(c.Protected, v.Trunk.Protectors(ref.Peer)...)
	c.AgeMS = now.Sub(ref.Since).Milliseconds()
	if now, ok := v.Trunk.Connection(ref.Peer); ok && now.ID == ref.ID { // messages go over the peer's present one
		c.PendingBytes = v.Trunk.Pending(ref.Peer)
		c.Credit.Used, c.Credit.Limit = v.Trunk.Handling(ref.Peer)
	}
	if live := ref.Link().Live; live != nil {
		c.MessagesIn, c.MessagesOut = live.Received.Load(), live.Sent.Load()
		if session := live.Session.Load(); session != nil {
			for _, s := range session.Streams(shownStreams) {
				c.Substreams = append(c.Substreams, substream(&s, v.Trunk.OnWall(now.Add(-s.Age))))
			}
		}
	}
	if d, err := v.Tree().Inspect(ctx, ref.PID.Id); err == nil {
		if s, ok := d.Value.(connections.ConnStats); ok {
			c.RTTMS, c.LastPongAt, c.SilentMS = milliseconds(s.RTT), v.Trunk.OnWall(s.LastPong), s.Silent.Milliseconds()
			c.BytesIn, c.BytesOut, c.Stalls = s.BytesIn, s.BytesOut, s.Stalls
		}
	}
	return c
}

// connections lists the live connections and those that ended last. It asks each
// connection's actor for its statistics, all within the time limit for one question, and
// omits the statistics of an actor that does not answer.
func (v *View) connections(ctx context.Context) []models.Connection {
	now := v.Trunk.Now()
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	open := v.Trunk.AllConnections()
	live := make([]models.Connection, len(open))
	var asking sync.WaitGroup
	places := make(chan struct{}, askedAtOnce)
	for i, ref := range open {
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			live[i] = v.open(ctx, ref, now)
		})
	}
	asking.Wait()
	var ended []models.Connection
	for _, last := range v.Trunk.Closed() {
		c := v.connection(last.Ref)
		c.AgeMS = last.At.Sub(last.Ref.Since).Milliseconds()
		c.BytesIn, c.BytesOut, c.Stalls = last.BytesIn, last.BytesOut, last.Stalls
		c.MessagesIn, c.MessagesOut = last.MessagesIn, last.MessagesOut
		c.ClosedAt, c.CloseReason, c.ClosedBy = v.Trunk.OnWall(last.At), last.Reason.Code, last.Reason.By
		if last.Reason.Err != nil {
			c.CloseReason += ": " + last.Reason.Err.Error()
		}
		ended = append(ended, c)
	}
	return slices.Concat(live, ended)
}

func connectionID(ref *actors.ConnRef) string { return fmt.Sprintf("%s-%d", ref.Peer, ref.ID) }

// connection returns what does not change of a connection.
func (v *View) connection(ref *actors.ConnRef) models.Connection {
	local := ""
	if ip := ref.Link().Local; ip.IsValid() {
		local = ip.String()
	}
	return models.Connection{
		ID: connectionID(ref), Peer: ref.Peer.String(), Direction: ref.Direction.String(), Transport: ref.Transport,
		Local: local, Remote: ref.Addr.String(), OpenedAt: v.Trunk.OnWall(ref.Since),
		Handshake: models.Handshake{
			Dial: milliseconds(ref.Timings.Dial), Wire: milliseconds(ref.Timings.Wire), Noise: milliseconds(ref.Timings.Noise), Identity: milliseconds(ref.Timings.Identity),
		},
		Substreams: []models.Substream{}, Protected: []string{},
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
