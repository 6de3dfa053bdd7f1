package gamelan

import (
	"context"
	"fmt"

	"github.com/gamelan-p2p/gamelan/actors/kad"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// kadSection returns the section "kad". It takes at most 2 s.
func kadSection(ctx context.Context, n *Node) models.Kad {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	v := models.Kad{Clients: []models.KadClient{}}
	contacts := 0
	for _, c := range n.kad.Clients() {
		s := c.Status(ctx)
		contacts += s.Contacts
		v.Clients = append(v.Clients, kadClient(&s))
	}
	if v.Summary = "this node runs no client of the key-value DHT"; len(v.Clients) > 0 {
		v.Summary = fmt.Sprintf("%s, %s", inspect.Count(uint64(len(v.Clients)), "client"), inspect.Count(uint64(contacts), "contact"))
	}
	return v
}

func kadClient(s *kad.Status) models.KadClient {
	v := models.KadClient{
		Name: s.Name, ID: s.ID.Text(s.IDLen), Overlay: s.Overlay.String(), Mode: s.Mode.String(), State: s.State.String(),
		Networks: s.Networks, Addresses: []string{}, Contacts: s.Contacts, Buckets: s.Buckets,
		Records: s.Records, Cached: s.Cached, Bytes: s.Bytes, Own: s.Own,
		Lookups: s.Lookups, Found: s.Found, Failed: s.Failed, Shared: s.Shared, Asked: s.Asked, Puts: s.Puts, Partial: s.Partial,
		Published: s.Published, Replicated: s.Replicated, Requests: make(map[string]models.KadRequests, len(s.Requests)),
		BytesIn: s.BytesIn, Malformed: s.Malformed, Busy: s.Busy, Unwanted: s.Unwanted, ClientMode: s.ClientMode, Damaged: s.Damaged,
		Refused: s.Refused,
	}
	for _, a := range s.Addresses {
		v.Addresses = append(v.Addresses, string(a))
	}
	for verb, r := range s.Requests {
		v.Requests[verb] = models.KadRequests(r)
	}
	return v
}
