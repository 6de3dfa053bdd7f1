package main

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// printPeers writes a table for people, one object a line for programs.
func printPeers(a *app, peers []inspect.Peer) error {
	if a.json {
		for _, p := range peers {
			if err := a.printJSON(p); err != nil {
				return err
			}
		}
		return nil
	}
	if len(peers) == 0 {
		a.note("no peers; a peer becomes known when somebody connects, or with \"%s\"", a.dir.command("peers add KEY::ADDRESS"))
		return nil
	}
	rows := [][]string{{"NODE ID", "STATE", "ADDRESS", "AGENT"}}
	for _, p := range peers {
		rows = append(rows, []string{p.NodeID[:min(16, len(p.NodeID))], peerState(p, time.Now()), bestAddress(p), p.UserAgent})
	}
	return a.table(rows)
}

// printDone says what was done to one peer.
func printDone(a *app, done string, peer peerAnswer) error {
	if a.json {
		return a.printJSON(peer)
	}
	_, err := fmt.Fprintf(a.out, "%s %s\n", done, peer.NodeID)
	return err
}

func peerState(p inspect.Peer, now time.Time) string {
	switch failure := lastError(p); {
	case p.BannedUntil.After(now):
		return "banned until " + p.BannedUntil.Local().Format("2006-01-02 15:04") + " (" + p.BanReason + ")"
	case p.Connection != nil:
		return "connected"
	case failure != "":
		return "failed: " + failure
	}
	return "known"
}

// bestAddress is the address with the highest score.
func bestAddress(p inspect.Peer) string {
	best := -1
	for i := range p.Addresses {
		if best < 0 || p.Addresses[i].Score > p.Addresses[best].Score {
			best = i
		}
	}
	if best < 0 {
		return "-"
	}
	return p.Addresses[best].Addr
}
