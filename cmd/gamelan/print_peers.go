package main

import (
	"fmt"
	"regexp"
	"strings"
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
		rows = append(rows, []string{p.NodeID[:min(16, len(p.NodeID))], shortWords(peerState(p, time.Now()), stateWidth), shortAddress(p), shortText(p.UserAgent, agentWidth)})
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

// dialPreamble is what an error of a dial says before its cause, and the rest of
// the line shows.
var dialPreamble = regexp.MustCompile(`^(dial \S+: )?(set-up (with [0-9a-f]+ )?failed at [a-z]+: )?(peer has )?`)

// peerState is short: the reason of a ban is in the JSON.
func peerState(p inspect.Peer, now time.Time) string {
	failure, failed := lastFailure(p)
	switch {
	case p.BannedUntil.After(now):
		return "banned until " + p.BannedUntil.Local().Format("2006-01-02 15:04")
	case p.Connection != nil:
		return "connected"
	case failed:
		return fmt.Sprintf("failed %s ago: %s", shortAge(now.Sub(failure.LastAttempt)), dialPreamble.ReplaceAllString(failure.LastError, ""))
	case !p.EndedAt.IsZero():
		return fmt.Sprintf("ended %s ago: %s", shortAge(now.Sub(p.EndedAt)), p.EndedWhy)
	}
	return "known"
}

// shortAge is a time in its largest unit.
func shortAge(d time.Duration) string {
	switch d = max(d, 0); {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// The widest cells of the table, which then fits into 100 columns. All of it is
// in the JSON, and the state with its cause in "gamelan why PEER".
const (
	stateWidth   = 34
	addressWidth = 31
	agentWidth   = 13
)

// shortWords ends s with the last word that fits, and never within one.
func shortWords(s string, width int) string {
	if i := strings.Index(s, "; "); i >= 0 { // what to do about it
		s = s[:i]
	}
	r := []rune(inspect.Escape(s))
	if len(r) <= width {
		return string(r)
	}
	short := string(r[:width])
	if i := strings.LastIndexByte(short, ' '); i > 0 {
		short = short[:i]
	} else {
		short = string(r[:width-1])
	}
	return strings.TrimRight(short, " ,:;(") + "…"
}

// shortText leaves out what does not fit.
func shortText(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// shortAddress is the best address, and how many others there are.
func shortAddress(p inspect.Peer) string {
	if n := len(p.Addresses) - 1; n > 0 {
		more := fmt.Sprintf(" +%d", n)
		return shortText(bestAddress(p), addressWidth-len(more)) + more
	}
	return shortText(bestAddress(p), addressWidth)
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
