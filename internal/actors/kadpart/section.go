package kadpart

import (
	"context"
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/words"
	"github.com/gamelan-p2p/gamelan/kad"
)

// sectionTimeout is how long the clients may take to answer for a section.
const sectionTimeout = 2 * time.Second

// Sections returns the sections of the part.
func (k *Kad) Sections() map[string]func(ctx context.Context) any {
	return map[string]func(ctx context.Context) any{
		"kad":       func(ctx context.Context) any { return k.section(ctx) },
		"kad-peers": func(context.Context) any { return k.contacts() },
		"kad-own":   func(ctx context.Context) any { return k.publications(ctx) },
	}
}

// section returns the section "kad". It takes at most 2 s.
func (k *Kad) section(ctx context.Context) models.Kad {
	ctx, cancel := context.WithTimeout(ctx, sectionTimeout)
	defer cancel()
	v := models.Kad{Clients: []models.KadClient{}}
	contacts := 0
	for _, c := range k.Clients() {
		s := c.Status(ctx)
		contacts += s.Contacts
		v.Clients = append(v.Clients, clientSection(&s))
	}
	if v.Summary = "this node runs no client of the key-value DHT"; len(v.Clients) > 0 {
		v.Summary = fmt.Sprintf("%s, %s", inspect.Count(uint64(len(v.Clients)), "client"), inspect.Count(uint64(contacts), "contact"))
	}
	return v
}

func clientSection(s *kad.Status) models.KadClient {
	v := models.KadClient{
		Name: s.Name, ID: s.ID.Text(s.IDLen), Overlay: s.Overlay.String(), Mode: s.Mode.String(), State: s.State.String(),
		Networks: s.Networks, Addresses: []string{}, Contacts: s.Contacts, Buckets: s.Buckets,
		Lookups: s.Lookups, Found: s.Found, Failed: s.Failed, Shared: s.Shared, Asked: s.Asked, Puts: s.Puts, Partial: s.Partial,
		Published: s.Published, Replicated: s.Replicated, Requests: make(map[string]models.KadRequests, len(s.Requests)),
		BytesIn: s.BytesIn, BytesOut: s.BytesOut, Hops: s.Hops, HalfLife: s.HalfLife.Seconds(), Malformed: s.Malformed, Busy: s.Busy, Unsolicited: s.Unsolicited, ClientMode: s.ClientMode, Damaged: s.Damaged,
		Refused: s.Refused,
	}
	if !s.Silent {
		v.Records, v.Cached, v.Bytes, v.Own = &s.Records, &s.Cached, &s.Bytes, &s.Own
	}
	if s.Disk != nil {
		v.Trouble = words.Sentence(s.Disk)
	}
	for _, a := range s.Addresses {
		v.Addresses = append(v.Addresses, string(a))
	}
	for verb, r := range s.Requests {
		v.Requests[verb] = models.KadRequests{
			Sent: r.Sent, Resent: r.Resent, Answered: r.Answered, Lost: r.Lost, Served: r.Served, Took: r.Took.Seconds(),
		}
	}
	return v
}

// contacts returns the section "kad-peers": the routing tables of the clients.
func (k *Kad) contacts() []models.KadContacts {
	list := []models.KadContacts{}
	for _, c := range k.Clients() {
		v := models.KadContacts{Client: c.Name(), Contacts: []models.KadContact{}}
		for _, known := range c.Known() {
			x := models.KadContact{
				ID: known.Contact.ID.Text(c.IDLen()), Addresses: []string{}, Bucket: known.Bucket, SinceAt: known.Since, AnsweredAt: known.Answered,
				RTT: known.RTT.Seconds(), Score: known.Score, Failures: known.Failures,
			}
			if !known.Contact.PublicKey.IsZero() {
				x.PublicKey = known.Contact.PublicKey.String()
			}
			for _, a := range known.Contact.Addresses {
				x.Addresses = append(x.Addresses, string(a))
			}
			v.Contacts = append(v.Contacts, x)
		}
		list = append(list, v)
	}
	return list
}

// publications returns the section "kad-own": what the clients publish. It takes at most
// 2 s.
func (k *Kad) publications(ctx context.Context) []models.KadPublications {
	ctx, cancel := context.WithTimeout(ctx, sectionTimeout)
	defer cancel()
	list := []models.KadPublications{}
	for _, c := range k.Clients() {
		v := models.KadPublications{Client: c.Name(), Publications: []models.KadPublication{}}
		own, err := c.Own(ctx)
		v.Error = words.Sentence(err)
		for _, o := range own {
			x := models.KadPublication{
				Key: o.Record.Key.Text(c.IDLen()), Kind: o.Record.Kind.String(), Bytes: len(o.Record.Value), Seq: o.Record.Seq, Deleted: o.Record.Tombstone(),
				DueAt: k.trunk.OnWall(o.Due),
			}
			if o.Record.Expires > 0 {
				x.ExpiresAt = time.Unix(int64(o.Record.Expires), 0)
			}
			v.Publications = append(v.Publications, x)
		}
		list = append(list, v)
	}
	return list
}
