package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

type topCmd struct {
	Actors topActorsCmd `cmd:"" default:"withargs" help:"Show the busiest actors, again and again."`
	Peers  topPeersCmd  `cmd:"" help:"Show the peers with the most traffic, again and again."`
	Conns  topConnsCmd  `cmd:"" help:"Show the connections with the most traffic, again and again."`
}

type topActorsCmd struct {
	Sort string `help:"What comes first: rate, queue, busy, wait or restarts." enum:"rate,queue,busy,wait,restarts" default:"rate" placeholder:"ORDER"`
	topFlags
}

type topPeersCmd struct {
	Sort string `help:"What comes first: rate, bytes, queue, rtt or age." enum:"rate,bytes,queue,rtt,age" default:"rate" placeholder:"ORDER"`
	topFlags
}

type topConnsCmd struct {
	Sort string `help:"What comes first: rate, bytes, queue, rtt or age." enum:"rate,bytes,queue,rtt,age" default:"rate" placeholder:"ORDER"`
	topFlags
}

type topFlags struct {
	Number   int           `short:"n" help:"How many rows." default:"20" placeholder:"N"`
	Interval time.Duration `help:"How often to look." default:"2s" placeholder:"TIME"`
	Count    int           `help:"How many times to look; 0 is without end." default:"0" placeholder:"N"`
}

const (
	topLooks   = "On a terminal each look replaces the one before; in a pipe they follow each other. "
	topKeys    = "The last line names the keys that change what is shown. Ctrl-C ends it."
	topTraffic = "Rates are those since the look before, and at the first one since the connection began. IN and OUT have all bytes. " +
		"QUEUE is what the messages cost that wait or are not confirmed yet. "
)

// Help returns the text of gamelan top actors --help below the flags.
func (*topActorsCmd) Help() string {
	return topLooks + "Rates and busy times are those since the look before, and at the first one of the last minute. " +
		"WAIT is how long the oldest message of the queue has waited. " + topKeys
}

// Help returns the text of gamelan top peers --help below the flags.
func (*topPeersCmd) Help() string {
	return topLooks + topTraffic + "A peer without a connection has dashes. " + topKeys
}

// Help returns the text of gamelan top conns --help below the flags.
func (*topConnsCmd) Help() string { return topLooks + topTraffic + topKeys }

// Run shows the busiest actors.
func (c *topActorsCmd) Run(a *app) error { return c.show(a, 'a', c.Sort) }

// Run shows the peers with the most traffic.
func (c *topPeersCmd) Run(a *app) error { return c.show(a, 'p', c.Sort) }

// Run shows the connections with the most traffic.
func (c *topConnsCmd) Run(a *app) error { return c.show(a, 'c', c.Sort) }

// topView is one kind of what top shows.
type topView interface {
	// look asks the node.
	look(a *app) error
	// page writes the first n rows in an order.
	page(t *render.Top, order string, n int) error
}

// topKind is a kind that top can show, by the key that chooses it.
type topKind struct {
	word   string
	orders []string
	view   topView
	at     time.Time // of its last look
}

var (
	actorOrders   = []string{"rate", "queue", "busy", "wait", "restarts"}
	trafficOrders = []string{"rate", "bytes", "queue", "rtt", "age"}
)

// Keys that end top: q, and what Ctrl-C and Ctrl-D are to a terminal that gives each key at once.
const (
	keyEnd   = 'q'
	keyOrder = 's'
	ctrlC    = 3
	ctrlD    = 4
)

// show looks again and again, until the user ends it.
func (c *topFlags) show(a *app, kind byte, order string) error {
	switch {
	case c.Number < 1:
		return failure.Usage("give 1 or more", "--number cannot be %d", c.Number)
	case c.Count < 0:
		return failure.Usage("give 0 or more", "--count cannot be %d", c.Count)
	case c.Interval < 100*time.Millisecond:
		return failure.Usage("give 100ms or more", "--interval cannot be %s", c.Interval)
	}
	kinds := map[byte]*topKind{
		'a': {word: "actors", orders: actorOrders, view: &topActors{}},
		'p': {word: "peers", orders: trafficOrders, view: &topPeers{}},
		'c': {word: "connections", orders: trafficOrders, view: &topConns{}},
	}
	var keys <-chan byte
	for n := 1; ; n++ {
		k := kinds[kind]
		if now := time.Now(); now.Sub(k.at) >= c.Interval/2 { // after a key the last look may be fresh
			if err := k.view.look(a); err != nil {
				return a.unlessInterrupted(err)
			}
			k.at = now
		}
		if n == 1 && !a.JSON && a.Moves() { // notes before the first answer are written on an ordinary terminal
			var restore func()
			keys, restore = render.Typed(a.in)
			defer func() {
				restore()
				if keys != nil {
					_ = render.Control(a.Out, "\n") // behind the last line; the command ends anyway
				}
			}()
		}
		t := &render.Top{Output: a.Output, At: k.at, First: n == 1}
		if keys != nil {
			t.Footer = "a actors  p peers  c connections  s sort: " + order + "  q end"
		}
		if err := k.view.page(t, order, c.Number); err != nil || n == c.Count {
			return err
		}
		key, on := a.pauseFor(c.Interval, keys)
		switch {
		case !on, key == keyEnd, key == ctrlC, key == ctrlD:
			return nil
		case key == keyOrder:
			order = k.orders[(slices.Index(k.orders, order)+1)%len(k.orders)]
		case kinds[key] != nil:
			if kind = key; !slices.Contains(kinds[key].orders, order) {
				order = kinds[key].orders[0]
			}
		}
	}
}

// pauseFor is pause, and ends earlier with a key.
func (a *app) pauseFor(d time.Duration, keys <-chan byte) (key byte, on bool) {
	select {
	case <-a.ctx.Done():
		return 0, false
	case key, on = <-keys:
		return key, on && a.ctx.Err() == nil
	case <-time.After(d):
		return 0, a.ctx.Err() == nil
	}
}

// topActors shows actors.
type topActors struct {
	before, rows []inspect.Actor
	at           time.Time
}

func (v *topActors) look(a *app) error {
	now := time.Now()
	all, err := a.client().Actors(a.ctx)
	if err != nil {
		return err
	}
	v.rows = slices.Clone(all)
	sinceThen(v.before, v.rows, now.Sub(v.at))
	v.before, v.at = all, now
	return nil
}

func (v *topActors) page(t *render.Top, order string, n int) error {
	slices.SortStableFunc(v.rows, func(x, y inspect.Actor) int { return cmp.Compare(actorOrder(&y, order), actorOrder(&x, order)) })
	return t.Actors(v.rows[:min(len(v.rows), n)], len(v.rows))
}

func valueOf(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// actorOrder returns what actors are sorted by.
func actorOrder(x *inspect.Actor, order string) float64 {
	switch order {
	case "queue":
		return float64(x.Mailbox.Depth)
	case "busy":
		return valueOf(x.BusyPct)
	case "wait":
		return float64(x.Mailbox.OldestAgeMS)
	case "restarts":
		return float64(x.Restarts)
	}
	return valueOf(x.Rate)
}

// sinceThen puts the rates since an earlier look in place of those of the last minute.
func sinceThen(before, now []inspect.Actor, span time.Duration) {
	old := make(map[string]*inspect.Actor, len(before))
	for i := range before {
		old[before[i].ID] = &before[i]
	}
	for i := range now {
		x, was := &now[i], old[now[i].ID]
		if was == nil || was.Incarnation != x.Incarnation || span <= 0 || x.Processed < was.Processed {
			continue
		}
		x.Rate = new(float64(x.Processed-was.Processed) / span.Seconds())
		x.BusyPct = new(100 * float64(x.BusyTotal-was.BusyTotal) / float64(span.Nanoseconds()))
	}
}

// topConns shows connections.
type topConns struct {
	rows []render.TopConn
	at   time.Time
}

func (v *topConns) look(a *app) error {
	now := time.Now()
	all, err := a.client().Connections(a.ctx, false)
	if err != nil {
		return err
	}
	v.rows, v.at = flows(v.rows, all, now.Sub(v.at)), now
	return nil
}

func (v *topConns) page(t *render.Top, order string, n int) error {
	sortTraffic(v.rows, order, func(x *render.TopConn) render.Traffic { return render.TrafficOf(x) })
	return t.Conns(v.rows[:min(len(v.rows), n)], len(v.rows))
}

// flows returns the rates of connections since an earlier look; of those that are new, since they began.
func flows(before []render.TopConn, now []models.Connection, span time.Duration) []render.TopConn {
	old := make(map[string]*render.TopConn, len(before))
	for i := range before {
		old[before[i].ID] = &before[i]
	}
	rows := make([]render.TopConn, 0, len(now))
	for _, c := range now {
		var in, out uint64
		over := time.Duration(c.AgeMS) * time.Millisecond
		// The statistics of a connection that did not answer in time are 0.
		if was := old[c.ID]; was != nil && span > 0 && c.BytesIn >= was.BytesIn && c.BytesOut >= was.BytesOut {
			in, out, over = was.BytesIn, was.BytesOut, span
		}
		row := render.TopConn{Connection: c}
		if over > 0 {
			row.RateIn, row.RateOut = float64(c.BytesIn-in)/over.Seconds(), float64(c.BytesOut-out)/over.Seconds()
		}
		rows = append(rows, row)
	}
	return rows
}

// topPeers shows peers, each with its connections.
type topPeers struct {
	conns topConns
	rows  []render.TopPeer
}

func (v *topPeers) look(a *app) error {
	peers, err := a.client().Peers(a.ctx)
	if err != nil {
		return err
	}
	if err := v.conns.look(a); err != nil {
		return err
	}
	v.rows = ofPeers(peers, v.conns.rows)
	return nil
}

func (v *topPeers) page(t *render.Top, order string, n int) error {
	sortTraffic(v.rows, order, func(x *render.TopPeer) render.Traffic { return x.Traffic })
	return t.Peers(v.rows[:min(len(v.rows), n)], len(v.rows), len(v.conns.rows))
}

// ofPeers adds up the connections of each peer. Round trip and age are those of the connection that carries its messages.
func ofPeers(peers []models.Peer, conns []render.TopConn) []render.TopPeer {
	of := make(map[string][]*render.TopConn, len(conns))
	for i := range conns {
		of[conns[i].Peer] = append(of[conns[i].Peer], &conns[i])
	}
	rows := make([]render.TopPeer, 0, len(peers))
	for i := range peers {
		p := &peers[i]
		row := render.TopPeer{NodeID: p.NodeID, PublicKey: p.PublicKey}
		for _, c := range of[p.NodeID] {
			x := render.TrafficOf(c)
			main := p.Connection != nil && *p.Connection == c.ID
			if !main && row.Connections > 0 {
				x.RTTMS, x.AgeMS = row.RTTMS, row.AgeMS
			}
			row.Traffic = render.Traffic{
				RateIn: row.RateIn + x.RateIn, RateOut: row.RateOut + x.RateOut, BytesIn: row.BytesIn + x.BytesIn, BytesOut: row.BytesOut + x.BytesOut,
				PendingBytes: row.PendingBytes + x.PendingBytes, RTTMS: x.RTTMS, AgeMS: x.AgeMS,
			}
			row.Connections++
		}
		rows = append(rows, row)
	}
	return rows
}

// sortTraffic sorts rows, the greatest first; of equals the one with more bytes.
func sortTraffic[T any](rows []T, order string, of func(*T) render.Traffic) {
	by := func(x *T) (first, then float64) {
		t := of(x)
		then = float64(t.BytesIn + t.BytesOut)
		switch order {
		case "bytes":
			return then, 0
		case "queue":
			return float64(t.PendingBytes), then
		case "rtt":
			return t.RTTMS, then
		case "age":
			return float64(t.AgeMS), then
		}
		return t.RateIn + t.RateOut, then
	}
	slices.SortStableFunc(rows, func(x, y T) int {
		a, aThen := by(&x)
		b, bThen := by(&y)
		return cmp.Or(cmp.Compare(b, a), cmp.Compare(bThen, aThen))
	})
}

type failuresCmd struct{}

// Run lists failures of actors.
func (*failuresCmd) Run(a *app) error {
	all, err := a.client().Failures(a.ctx)
	if err != nil {
		return err
	}
	return render.Failures(a.Output, all)
}

type lettersCmd struct{}

// Help returns the text of gamelan deadletters --help below the flags.
func (*lettersCmd) Help() string {
	return "A message reaches nobody when its actor does not exist, or has ended. The node remembers the last 1,000, without their content."
}

// Run lists dead letters.
func (*lettersCmd) Run(a *app) error {
	all, err := a.client().DeadLetters(a.ctx)
	if err != nil {
		return err
	}
	return render.DeadLetters(a.Output, all)
}
