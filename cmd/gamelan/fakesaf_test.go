package main

import (
	"context"
	"net/url"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// fakeStoreForward is a node that stores for others, and has asked three peers.
func fakeStoreForward() models.StoreForward {
	now := time.Now()
	return models.StoreForward{
		On: true, Summary: "stores 12 messages for 3 receivers, 1% full; 2 messages for this node came",
		Server: &models.StoreForwardServer{
			Messages: 12, MaxMessages: 100_000, Bytes: 73_000, MaxBytes: 1 << 30, High: 9, Low: 2, Delivered: 1, OldestAt: now.Add(-2 * time.Hour),
			Destinations: 3, Sources: 2, Most: []models.StoreForwardShare{{NodeID: fakePeer, Messages: 10, Bytes: 61_000}},
			Stored: 20, Confirmed: 5, Expired: 3, Removed: 1, Evicted: 4, Full: true, Unwritten: 2048, Error: "disk\x1b full",
			Region:  models.StoreForwardRegion{Part: 0.015, Bound: "the nearest nodes", Nodes: 30, Clients: 9, Visits: 41, Text: "1.5% of all ids, by the nearest nodes"},
			Refused: map[string]uint64{"outside the region": 7, "too long": 1}, Requests: map[string]uint64{"answered": 1200, "too many of the peer": 2},
		},
		Client: &models.StoreForwardClient{
			Automatic: true, Requests: 9, Answers: 5, Unanswered: 4, Messages: 4, Delivered: 2, Duplicates: 1, Refused: 1, Ahead: 2,
			Peers: []models.StoreForwardPeer{
				{NodeID: fakePeer, Connected: true, LastAt: now.Add(-5 * time.Minute), Last: &models.StoreForwardResult{Messages: 4, Delivered: 2, Duplicates: 1, Refused: 1}},
				{NodeID: "9c01d2e4a1b2c3d4e5f6a7b8c9", Connected: true, Unanswered: 3, SilentUntil: now.Add(23*time.Hour + time.Minute)},
				{NodeID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Connected: true, Running: "waits for an answer"},
				{
					NodeID: "cccccccccccccccccccccccccc", Connected: true, LastAt: now.Add(-5 * time.Minute), NextAt: now.Add(3*time.Minute + 30*time.Second),
					Last: &models.StoreForwardResult{Error: "the request was not sent"},
				},
				{NodeID: "bbbbbbbbbbbbbbbbbbbbbbbbbb", LastAt: now.Add(-time.Hour), Last: &models.StoreForwardResult{Error: "no answer within 30s"}},
			},
		},
	}
}

func fakeStoreForwardActions() map[string]inspect.Verb {
	return map[string]inspect.Verb{
		"fetch": {Params: []string{"peers"}, Do: func(_ context.Context, v url.Values, _ []byte) (any, error) {
			f := models.StoreForwardFetched{Delivered: 2, Complete: true, Peers: []models.StoreForwardResult{
				{NodeID: fakePeer, Answers: 2, Messages: 3, Delivered: 2, Duplicates: 1}, {NodeID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Answers: 1},
			}}
			switch v.Get("peers") {
			case "":
			case fakePeer + ",9c01d2e4a1b2c3d4":
				f.Complete = false
				f.Peers[1] = models.StoreForwardResult{NodeID: "9c01d2e4a1b2c3d4e5f6a7b8c9", Error: "no answer within 30s"}
			default:
				return nil, &inspect.Error{Code: inspect.CodeFailed, Message: "no connected peer may store messages", Hint: "connect to one"}
			}
			return f, nil
		}},
		"purge": {Params: []string{"to", "all"}, Do: func(_ context.Context, v url.Values, _ []byte) (any, error) {
			if v.Get("all") == "true" {
				return models.StoreForwardPurged{Messages: 12, Bytes: 73_000}, nil
			}
			return models.StoreForwardPurged{Messages: len(v.Get("to")) / 64, Bytes: 6016}, nil
		}},
	}
}
