package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Pings writes the rounds of a ping while they are made, and their sum.
type Pings struct {
	o    *Output
	sent int
	said string      // the last failure; the same is not said again
	step string      // what helps against it
	rtts []float64   // milliseconds, of the rounds that were answered
	last models.Pong // of the last answer
}

// NewPings returns a Pings that writes to o.
func NewPings(o *Output) *Pings { return &Pings{o: o} }

// Answered returns how many rounds were answered.
func (p *Pings) Answered() int { return len(p.rtts) }

// Step returns what helps against the last failure; empty: it does not say, or there was none.
func (p *Pings) Step() string { return p.step }

// pingRound is a round for programs.
type pingRound struct {
	Round  int     `json:"round"`
	RTTMS  float64 `json:"rtt_ms,omitzero"`
	DialMS float64 `json:"dial_ms,omitzero"`
	Error  string  `json:"error,omitempty"`
}

// Round writes one round: its answer, or failed if there was none.
func (p *Pings) Round(pong models.Pong, failed *failure.Error) error {
	p.sent++
	r := pingRound{Round: p.sent, RTTMS: pong.RTTMS, DialMS: pong.DialMS}
	if failed != nil {
		r = pingRound{Round: p.sent, Error: failed.Message}
	} else {
		p.rtts, p.last = append(p.rtts, pong.RTTMS), pong
	}
	if p.o.JSON {
		return p.o.PrintJSON(r)
	}
	text := rtt(r.RTTMS)
	switch {
	case r.Error != "":
		why, step, _ := strings.Cut(Plain(r.Error), "; ")
		if text = p.o.Named(why); text == p.said {
			text = "the same"
		} else {
			p.said, p.step = text, step
		}
	case r.DialMS > 0:
		text += ", connected in " + rtt(r.DialMS)
	}
	b := p.o.lines()
	b.about(fmt.Sprintf("round %d", r.Round), text)
	return b.print(p.o)
}

// pingSum are the rounds together.
type pingSum struct {
	NodeID    string  `json:"node_id,omitempty"` // "" if no round was answered, as of the next three
	Address   string  `json:"address,omitempty"`
	Transport string  `json:"transport,omitempty"`
	Direction string  `json:"direction,omitempty"`
	Path      string  `json:"path,omitempty"`
	Sent      int     `json:"sent"`
	Answered  int     `json:"answered"`
	Loss      float64 `json:"loss_percent"`
	MinMS     float64 `json:"min_ms"`
	MedianMS  float64 `json:"median_ms"`
	MaxMS     float64 `json:"max_ms"`
}

// End writes the sum of the rounds. It writes nothing if there was none.
func (p *Pings) End() error {
	if p.sent == 0 {
		return nil
	}
	s := pingSum{
		NodeID: p.last.NodeID, Address: p.last.Address, Transport: p.last.Transport, Direction: p.last.Direction,
		Sent: p.sent, Answered: len(p.rtts), Loss: 100 * float64(p.sent-len(p.rtts)) / float64(p.sent),
	}
	if n := len(p.rtts); n > 0 {
		sorted := slices.Sorted(slices.Values(p.rtts))
		s.MinMS, s.MaxMS, s.MedianMS = sorted[0], sorted[n-1], (sorted[n/2]+sorted[(n-1)/2])/2
		s.Path = pathText(p.last)
	}
	if p.o.JSON {
		return p.o.PrintJSON(s)
	}
	b := p.o.lines()
	if s.Answered > 0 {
		b.about("path", s.Path)
	}
	b.about("rounds", fmt.Sprintf("%d sent, %d answered, %.0f %% lost", s.Sent, s.Answered, s.Loss))
	if s.Answered > 0 {
		b.about("round trip", fmt.Sprintf("least %s, median %s, greatest %s", rtt(s.MinMS), rtt(s.MedianMS), rtt(s.MaxMS)))
	}
	return b.print(p.o)
}

// pathText says in words how the two nodes are connected.
func pathText(p models.Pong) string {
	onion := strings.HasPrefix(p.Address, "/onion")
	how := "direct connection over " + p.Transport
	switch {
	case p.Transport == "tcp", p.Transport == "tcp+tor" && strings.HasPrefix(p.Address, "/ip"):
		how = "direct connection over TCP"
	case onion, strings.Contains(p.Transport, "tor"):
		how = "connection through Tor"
	case p.Transport == "socks":
		how = "connection through the SOCKS proxy"
	}
	switch {
	case p.Direction == "outbound":
		return fmt.Sprintf("%s to %s, dialled by this node", how, p.Address)
	case strings.HasPrefix(p.Address, "/unix"): // Tor does not tell who has dialled
		return how + " and this node's onion service, dialled by the peer"
	}
	return fmt.Sprintf("%s from %s, dialled by the peer", how, p.Address)
}
