package main

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/actors/kadpart"
	"github.com/gamelan-p2p/gamelan/kad/overlay"
)

var (
	fakeID      = strings.Repeat("f8", 32)
	fakeOtherID = strings.Repeat("6d", 32)
)

// fakeKad is a client with two contacts.
func fakeKad() models.Kad {
	return models.Kad{Summary: "1 client, 2 contacts", Clients: []models.KadClient{{
		Name: "main", Overlay: "native", Mode: "server", State: "ready", ID: fakeID, Networks: []string{"connections of the node"},
		Addresses: []string{"/ip4/127.0.0.1/tcp/4001"}, Contacts: 2, Buckets: 9, Records: new(3), Cached: new(1), Bytes: new(4096), Own: new(1), Damaged: 2,
		Lookups: 12, Found: 9, Failed: 1, Asked: 70, Trouble: "no space left", Puts: 3, Partial: 1, Published: 4, Replicated: 2, BytesIn: 12_700,
		Requests: map[string]models.KadRequests{"ping": {Sent: 10, Answered: 9, Lost: 1, Served: 4}, "find-node": {Sent: 1190, Answered: 1181, Lost: 9, Served: 40}},
		Refused:  map[string]uint64{"too fast": 5}, Malformed: 1, Busy: 2,
	}}}
}

func fakeKadContacts() []models.KadContacts {
	now := time.Now()
	return []models.KadContacts{{Client: "main", Contacts: []models.KadContact{
		{ID: fakeOtherID, PublicKey: fakeKey, Addresses: []string{"/ip4/127.0.0.1/tcp/4002"}, Bucket: 0, RTT: 0.0814, Score: 4, SinceAt: now.Add(-time.Hour), AnsweredAt: now.Add(-time.Hour - time.Minute)},
		{ID: fakeID, Addresses: []string{"/ip4/127.0.0.1/tcp/4003\x1b"}, Bucket: 9, Failures: 1, SinceAt: now, AnsweredAt: now.Add(-2*time.Hour - time.Minute)},
	}}}
}

func fakeKadOwn() []models.KadPublications {
	return []models.KadPublications{{Client: "main", Publications: []models.KadPublication{
		{Key: fakeID, Kind: "immutable", Bytes: 5, DueAt: time.Now().Add(11*time.Hour + time.Minute)}, {Key: fakeOtherID, Kind: "mutable", Seq: 7, Deleted: true},
	}}}
}

func fakeRecord(key string) (models.KadRecord, error) {
	if key != overlay.ImmutableKey([]byte("hello")).String() {
		return models.KadRecord{}, &inspect.Error{Code: inspect.CodeNoValue, Message: "nobody has this value", Hint: "check the key"}
	}
	return models.KadRecord{Key: key, Kind: "immutable", Value: []byte("hello")}, nil
}

// fakePut publishes; what a value is called decides how that ends.
func fakePut(p *models.KadPut) (models.KadReport, error) {
	r := models.KadReport{Key: overlay.ImmutableKey(p.Value).String(), Accepted: 2, Quorum: 2, Outcomes: []models.KadOutcome{
		{ID: fakeID, State: "stored", LifeSeconds: 3600}, {ID: fakeOtherID, State: "stored", LifeSeconds: 3600},
	}}
	if len(p.Seed) == 32 {
		r.Seq = 7
	}
	switch string(p.Value) {
	case "alone":
		return r, &inspect.Error{Code: inspect.CodeNoPeers, Message: "no other node is known", Hint: "connect to one; it is published then"}
	case "old":
		return r, &inspect.Error{Code: inspect.CodeSuperseded, Message: "a node holds version 9", Hint: "publish again"}
	case "few":
		r.Accepted, r.Error = 1, "1 of 2 nodes store the record, want 2"
		r.Outcomes[1] = models.KadOutcome{ID: fakeOtherID, State: "refused", Why: "quota\x1b"}
	}
	return r, nil
}

func fakeTrace(find, found bool) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		steps := []models.KadStep{
			{Step: &models.KadHop{AtSeconds: 0.081, Hop: 1, Rank: 2, ID: fakeID, Addresses: []string{"/ip4/127.0.0.1/tcp/4003"}, State: "answered", TookSeconds: 0.081, Gained: 14, BestBefore: 9, Best: 13}},
			{Step: &models.KadHop{AtSeconds: 0.284, Hop: 2, Rank: 1, ID: fakeOtherID, State: "answered", TookSeconds: 0.07, Record: !find && found, BestBefore: 13, Best: 13}},
			{End: &models.KadEnd{Reason: "found", Hops: 2, Asked: 6, Answers: 5, Slowed: 1, Bytes: 12_700, TookSeconds: 0.284}},
		}
		switch end := steps[2].End; {
		case find:
			end.Reason, end.Nearest = "converged", []models.KadConnected{{ID: fakeOtherID, Addresses: []string{"/ip4/127.0.0.1/tcp/4002"}}}
		case found:
			end.Record = &models.KadRecord{Kind: "mutable", Value: []byte("hello"), Seq: 7}
		default:
			end.Reason = "converged"
		}
		for _, s := range steps {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func fakeKadActions() map[string]inspect.Verb {
	client := []string{"client", "key", "target", "quorum", "max_stale", "find"}
	do := func(f func(v url.Values, body []byte) (any, error)) inspect.Verb {
		return inspect.Verb{Params: client, Body: kadpart.MaxPut, Do: func(_ context.Context, v url.Values, body []byte) (any, error) {
			if v.Get("client") != "main" {
				return nil, errors.New("no client of this name runs")
			}
			return f(v, body)
		}}
	}
	return map[string]inspect.Verb{
		"connect": do(func(v url.Values, _ []byte) (any, error) {
			if v.Get("target") == "away" {
				return nil, errors.New("no answer")
			}
			return models.KadConnected{ID: fakeID, Addresses: []string{"/ip4/127.0.0.1/tcp/4001"}}, nil
		}),
		"get": do(func(v url.Values, _ []byte) (any, error) { return fakeRecord(v.Get("key")) }),
		"forget": do(func(v url.Values, _ []byte) (any, error) {
			if v.Get("key") == strings.Repeat("0", 64) {
				return nil, &inspect.Error{Code: inspect.CodeNoValue, Message: "the client does not publish this key", Hint: "list the keys"}
			}
			return models.KadForgotten{Key: v.Get("key")}, nil
		}),
		"put": do(func(_ url.Values, body []byte) (any, error) {
			var p models.KadPut
			if err := json.Unmarshal(body, &p); err != nil {
				return nil, err
			}
			return fakePut(&p)
		}),
		"trace": {Params: client, Stream: func(_ context.Context, v url.Values) iter.Seq2[any, error] {
			if v.Get("target") == strings.Repeat("0", 64) {
				return func(yield func(any, error) bool) {
					yield(nil, &inspect.Error{Code: inspect.CodeNoPeers, Message: "no other node is known", Hint: "connect to one"})
				}
			}
			_, err := fakeRecord(v.Get("target"))
			return fakeTrace(v.Get("find") == "true", err == nil)
		}},
	}
}
