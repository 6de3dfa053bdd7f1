package kad

import (
	"context"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

// Status is the state of a client. Counts are since the start of the client.
type Status struct {
	Name      string
	ID        ID
	IDLen     int
	Overlay   Overlay
	Mode      Mode
	State     State
	Addresses []Address
	Contacts  int
	Buckets   int
	Networks  []string // labels of the gateways

	Records, Cached, Bytes int // of others
	Own                    int
	// Silent says that the actor store has not answered: these four are not known.
	Silent bool
	// Disk is why records cannot be written down at present; nil: they can. Meanwhile records
	// of others are refused, and what is stored is served.
	Disk error
	// HalfLife is the time within which half of the contacts leave; 0: too few have left.
	HalfLife time.Duration
	Stats
}

// Stats counts what a client has done.
type Stats struct {
	Lookups, Found, Failed, Shared uint64 // Shared: callers that joined a lookup under way
	Asked                          uint64 // contacts, by lookups
	Hops                           uint64 // of all lookups that found a value together
	Puts, Partial                  uint64
	Published, Replicated          uint64

	Requests map[string]RequestStats // by verb
	BytesIn  uint64
	BytesOut uint64 // as far as the gateways know how long packets are
	// What was not done, and why.
	Malformed   uint64 // packets that could not be decoded
	Busy        uint64 // packets without a token
	Unsolicited uint64 // answers to no request
	ClientMode  uint64 // requests while the client serves nobody
	Damaged     uint64 // entries on the disk
	Refused     map[string]uint64
}

// RequestStats counts requests of one verb. Resent are the copies beyond the first, and Took
// is the time of all that were answered together.
type RequestStats struct {
	Sent, Resent, Answered, Lost, Served uint64
	Took                                 time.Duration
}

// Stats returns the counts of now. It never waits.
func (c *Client) Stats() Stats {
	f := &c.x.figures
	s := Stats{
		Lookups: f.lookups.Load(), Found: f.lookupsFound.Load(), Failed: f.lookupsFailed.Load(), Shared: f.lookupsShared.Load(),
		Asked: f.lookupAsked.Load(), Puts: f.puts.Load(), Partial: f.putsPartial.Load(),
		Published: f.published.Load(), Replicated: f.replicated.Load(), BytesIn: f.bytesIn.Load(), BytesOut: f.bytesOut.Load(), Hops: f.hops.Load(),
		Malformed: f.malformed.Load(), Busy: f.busy.Load(), Unsolicited: f.unsolicited.Load(), ClientMode: f.refusedMode.Load(), Damaged: f.damaged.Load(),
		Requests: make(map[string]RequestStats), Refused: f.refusals(),
	}
	for v := overlay.Ping; v <= overlay.Store; v++ {
		s.Requests[v.String()] = RequestStats{
			Sent: f.sent[v].Load(), Resent: f.resent[v].Load(), Answered: f.answered[v].Load(), Lost: f.lost[v].Load(), Served: f.served[v].Load(),
			Took: time.Duration(f.took[v].Load()),
		}
	}
	return s
}

// Trouble returns why records cannot be written down at present; nil: they can. It never waits.
func (c *Client) Trouble() error { return c.x.trouble() }

// Status returns the state of the client. It waits for the actor store, at most 100 ms.
func (c *Client) Status(ctx context.Context) Status {
	x := c.x
	v := x.view.Load()
	s := Status{
		Name: x.Name, ID: x.self, IDLen: x.idLen(), Overlay: x.Overlay, Mode: x.modeNow(), State: c.State(),
		Addresses: c.Addresses(), Contacts: v.Len(), Buckets: v.Buckets(), Stats: c.Stats(),
		Disk: x.trouble(), HalfLife: time.Duration(x.halfLife.Load()),
	}
	for _, g := range x.gates {
		s.Networks = append(s.Networks, g.network.Label())
	}
	ctx, cancel := context.WithTimeout(ctx, inspect.AskTimeout)
	defer cancel()
	r, err := clientAsk[storeFigures](ctx, c, x.store, getStore{})
	s.Records, s.Cached, s.Bytes, s.Own, s.Silent = r.records, r.cached, r.bytes, r.own, err != nil
	return s
}

// String returns the state in a sentence.
func (s *Status) String() string {
	records := fmt.Sprintf("%s of others stored, %d published", inspect.Count(uint64(s.Records), "record"), s.Own)
	if s.Silent {
		records = "its store does not answer"
	}
	text := fmt.Sprintf("%s: %s %s, %s, %s, %s", s.Name, s.Overlay, s.Mode, s.State, inspect.Count(uint64(s.Contacts), "contact"), records)
	if s.Disk != nil {
		text += "; degraded, records cannot be written down: " + s.Disk.Error()
	}
	return text
}

// Known is a contact of the routing table, as people read it.
type Known struct {
	Contact         Contact
	Bucket          int
	Since, Answered time.Time // by the system's clock
	RTT             time.Duration
	Score, Failures int
}

// Known returns the contacts of the routing table, those farthest from this node first.
func (c *Client) Known() (all []Known) {
	v := c.View()
	now, wall := c.x.host.Now(), c.x.host.Wall()
	for i := range v.Buckets() {
		for _, e := range v.Bucket(i) {
			all = append(all, Known{
				Contact: e.Contact, Bucket: i, Since: wall.Add(e.Since.Sub(now)), Answered: wall.Add(e.Answered.Sub(now)),
				RTT: e.RTT.Smoothed, Score: e.Score, Failures: e.Failures,
			})
		}
	}
	return all
}

// refusals returns how many requests were refused, by reason.
func (f *figures) refusals() map[string]uint64 {
	all := make(map[string]uint64)
	f.refused.Range(func(why, n any) bool {
		all[why.(string)] = counter(n)
		return true
	})
	return all
}
