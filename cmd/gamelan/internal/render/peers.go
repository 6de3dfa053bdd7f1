package render

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Peers writes a table for people, one object a line for programs.
func Peers(o *Output, peers []models.Peer) error {
	if o.JSON {
		return printEach(o, peers)
	}
	if len(peers) == 0 {
		o.Note("no peers; a peer becomes known when it connects, or with \"%s\"", o.Command("peers add KEY::ADDRESS"))
		return nil
	}
	if o.narrow() {
		rows := [][]string{{"PEER", "ADDRESS", "STATE"}}
		for _, p := range peers {
			rows = append(rows, []string{o.whoIs(&p), bestAddress(p), pooledState(p, time.Now())})
		}
		return o.Table(rows)
	}
	rows := [][]string{{"PEER", "STATE", "ADDRESS", "AGENT"}}
	for _, p := range peers {
		rows = append(rows, []string{o.whoIs(&p), shortWords(pooledState(p, time.Now()), stateWidth), shortAddress(p), shortText(p.UserAgent, agentWidth)})
	}
	return o.Table(rows)
}

// Forgotten is how long a peer may not have answered and still be listed, and ForgottenText the same in words.
const (
	Forgotten     = 10 * time.Minute
	ForgottenText = "10 minutes"
)

// Answering returns the peers without those that have not answered for [Forgotten], and how many these
// are. Peers that the user has named to the node, and banned ones, stay.
func Answering(all []models.Peer, now time.Time) (list []models.Peer, away int) {
	list = slices.DeleteFunc(all, func(p models.Peer) bool {
		_, failed := LastFailure(p)
		return failed && p.Pool != "seed" && p.Pool != "protected" && !p.BannedUntil.After(now) && now.Sub(lastAnswer(p)) >= Forgotten
	})
	return list, len(all) - len(list)
}

// lastAnswer returns when a peer was connected last, or when the node has learnt of it.
func lastAnswer(p models.Peer) time.Time {
	last := p.AddedAt
	if p.EndedAt.After(last) {
		last = p.EndedAt
	}
	for _, a := range p.Addresses {
		if a.LastOK.After(last) {
			last = a.LastOK
		}
	}
	return last
}

// AwayText says how many peers are not listed, and the command that lists them.
func AwayText(n int, command string) string {
	have := "have"
	if n == 1 {
		have = "has"
	}
	return fmt.Sprintf("%s more %s not answered for %s: %s", inspect.Number(uint64(n)), have, ForgottenText, command)
}

// Done writes the result of an action on one peer.
func Done(o *Output, done string, peer models.PeerDone) error {
	if o.JSON {
		return o.PrintJSON(peer)
	}
	until := ""
	if !peer.BannedUntil.IsZero() {
		until = " until " + peer.BannedUntil.Local().Format("2006-01-02 15:04")
	}
	_, err := fmt.Fprintf(o.Out, "%s %s%s\n", done, o.whoLong(peer.NodeID, peer.PublicKey), until)
	if peer.GivenError != "" {
		o.Note("Connected at %s, not at the given address: %s", peer.Address, Plain(peer.GivenError))
	}
	return err
}

// dialPreamble matches the beginning of a dial's error, before the cause: the line shows it
// elsewhere.
var dialPreamble = regexp.MustCompile(`^(dial \S+: )?(set-up (with [0-9a-f]+ )?failed at [a-z]+: )?(peer has )?`)

// peerState returns the peer's state in a few words; the JSON has the reason of a ban.
func peerState(p models.Peer, now time.Time) string {
	last, failed := LastFailure(p)
	switch {
	case p.BannedUntil.After(now):
		return "banned until " + p.BannedUntil.Local().Format("2006-01-02 15:04")
	case p.Connection != nil:
		return "connected"
	case failed:
		return fmt.Sprintf("failed %s ago: %s", shortAge(now.Sub(last.LastAttempt)), dialPreamble.ReplaceAllString(last.LastError, ""))
	case !p.EndedAt.IsZero():
		return fmt.Sprintf("ended %s ago: %s", shortAge(now.Sub(p.EndedAt)), p.EndedWhy)
	}
	return "known"
}

// pooledState returns the peer's state after the reason why the node wants it: "neighbour,
// connected". It wants no banned peer.
func pooledState(p models.Peer, now time.Time) string {
	state := peerState(p, now)
	switch {
	case p.Pool == "" || p.Pool == "none" || p.BannedUntil.After(now):
		return state
	case state == "known":
		return p.Pool
	}
	return p.Pool + ", " + state
}

// The widest cells of the table, so that it fits into 100 columns. The JSON has the full
// texts, and "gamelan why PEER" the state with its cause.
const (
	stateWidth   = 34
	addressWidth = 31
	agentWidth   = 13
)

// shortAddress returns the best address and the number of others.
func shortAddress(p models.Peer) string {
	if n := len(p.Addresses) - 1; n > 0 {
		more := fmt.Sprintf(" +%d", n)
		return shortText(bestAddress(p), addressWidth-len(more)) + more
	}
	return shortText(bestAddress(p), addressWidth)
}

// bestAddress returns the address with the highest score.
func bestAddress(p models.Peer) string {
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

// LastFailure returns the address of the newest dial of p, if that failed and there was no
// connection since.
func LastFailure(p models.Peer) (failed models.Address, ok bool) {
	since := p.EndedAt
	for _, a := range p.Addresses {
		if a.LastOK.After(since) {
			since = a.LastOK
		}
		if a.LastError != "" && !a.LastAttempt.Before(failed.LastAttempt) {
			failed = a
		}
	}
	return failed, p.Connection == nil && failed.LastError != "" && failed.LastAttempt.After(since)
}
