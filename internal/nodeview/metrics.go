package nodeview

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/connections"
	"github.com/gamelan-p2p/gamelan/internal/actors/dialling"
	"github.com/gamelan-p2p/gamelan/internal/actors/messengers"
	"github.com/gamelan-p2p/gamelan/internal/durations"
	"github.com/gamelan-p2p/gamelan/internal/transport/connpool"
	"github.com/gamelan-p2p/gamelan/internal/version"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// metrics are those of the trunk, and of what the parts add to the section "node".
type metrics struct {
	models.Node
	models.Traffic

	Online    *bool           `metric:"online" help:"1 while the node is online, else 0."` // nil: not known
	Protected *int            `metric:"peers_protected" help:"Peers whose connections are kept open."`
	Build     map[string]bool `metric:"build_info" by:"version" help:"Always 1; the label is the version of Gamelan."`

	Failed    uint64 `metric:"actor_failures_total" help:"Failures of actors, which were started again or have ended."`
	Contained uint64 `metric:"contained_panics_total" help:"Panics of the node's own actors on messages of peers, which were dropped."`
	Program   uint64 `metric:"program_panics_total" help:"Panics of the program's actors, layers and services."`
}

// MetricValues returns the values of the labels.
func (*metrics) MetricValues(label string) []string {
	switch label {
	case "kind":
		return messengers.Kinds
	case "outcome":
		return outcomes
	case "reason":
		return reasons()
	case "result":
		return dialling.Results
	case "stage":
		return dialling.Stages
	case "cause":
		return connections.CloseCodes
	case "side":
		return connections.Sides
	case "version":
		return []string{version.Version}
	}
	return nil
}

var outcomes = []string{protocol.Confirmed.String(), protocol.InDoubt.String(), protocol.Failed.String()}

// reasons returns the reasons of outcomes.
func reasons() (list []string) {
	for r := protocol.ReasonNone; r <= protocol.NotAdmitted; r++ {
		list = append(list, reason(r))
	}
	return list
}

// reason returns a reason in a word or two.
func reason(r protocol.Reason) string {
	switch r {
	case protocol.ReasonNone:
		return "none"
	case protocol.NotTaken:
		return "not taken"
	}
	return r.String()
}

// partTimeout is how long the parts may take for their metrics.
const partTimeout = time.Second

// Metrics returns the values whose tagged fields are the metrics of the node, and an error for each part that
// has panicked or does not answer within a second. It asks the parts side by side.
func (v *View) Metrics(ctx context.Context) []any {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	answers := make(chan any, len(v.Parts))
	asked := 0
	for i := range v.Parts {
		if p := &v.Parts[i]; p.Metrics != nil {
			asked++
			go func() { answers <- v.partMetrics(ctx, p) }()
		}
	}
	all := []any{v.metrics(ctx)}
	for range asked {
		select {
		case of := <-answers:
			all = append(all, of)
		case <-ctx.Done(): // those that are left do not keep to it
			select {
			case of := <-answers:
				all = append(all, of)
			case <-time.After(partGrace):
				return append(all, errPartSilent)
			}
		}
	}
	return all
}

// partGrace is the time that parts have to notice that their time is over.
const partGrace = 100 * time.Millisecond

var errPartSilent = errors.New("nodeview: a part of the program does not return from its Metrics in time")

// maxMeasuring bounds the calls of one part's Metrics at a time: one that never returns gets no more.
const maxMeasuring = 8

// partMetrics returns the metrics of a part, or an error.
func (v *View) partMetrics(ctx context.Context, p *actors.Part) (of any) {
	n, _ := v.measuring.LoadOrStore(p.Name, new(atomic.Int32))
	running := n.(*atomic.Int32)
	defer running.Add(-1)
	if running.Add(1) > maxMeasuring {
		return fmt.Errorf("nodeview: the part %s does not return from its Metrics", p.Name)
	}
	defer func() {
		if r := recover(); r != nil {
			of = fmt.Errorf("nodeview: the part %s panicked in its Metrics: %v", p.Name, r)
		}
	}()
	return p.Metrics(ctx)
}

// metrics returns those of the trunk.
func (v *View) metrics(ctx context.Context) *metrics {
	b := v.Trunk.Breakdowns()
	m := &metrics{
		Node: v.figures(v.Trunk.Now()), Traffic: v.traffic(), Build: map[string]bool{version.Version: true},
		Failed: b.Failed, Contained: b.Contained, Program: b.Program,
	}
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	if s, err := v.Status(ctx); err == nil {
		m.Online, m.Protected = new(s.State == connpool.Online.String()), new(s.Wanted)
	}
	return m
}

// traffic returns the section "traffic".
func (v *View) traffic() models.Traffic {
	t := v.Trunk
	s := models.Traffic{Messages: []models.TrafficMessages{}, Sent: []models.TrafficSent{}, Dials: []models.TrafficDials{}}
	for _, x := range t.Traffic() {
		s.Messages = append(s.Messages, models.TrafficMessages{
			Kind: x.Kind, In: x.MessagesIn, Out: x.MessagesOut, BytesIn: x.BytesIn, BytesOut: x.BytesOut,
		})
	}
	for _, x := range t.SentFor() {
		s.Sent = append(s.Sent, models.TrafficSent{Outcome: x.Kind.String(), Reason: reason(x.Reason), Count: x.Count})
	}
	s.SendTook.Bounds = durations.Bounds
	s.SendTook.Counts, s.SendTook.Sum = t.SendTook()
	for _, x := range t.DialsEnded() {
		s.Dials = append(s.Dials, models.TrafficDials{Result: x.Result, Stage: x.Stage, Count: x.Count})
	}
	c := t.Carried()
	s.Connections = models.TrafficConnections{Inbound: c.Inbound, Outbound: c.Outbound, Closed: []models.TrafficClosed{}, BytesIn: c.BytesIn, BytesOut: c.BytesOut}
	for _, x := range c.Closed {
		s.Connections.Closed = append(s.Connections.Closed, models.TrafficClosed{Cause: x.Code, By: x.By, Count: x.Count})
	}
	return s
}
