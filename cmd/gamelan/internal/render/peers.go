package render

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Peers writes a table for people, one object a line for programs. conns are the open connections of
// the node, as far as they are known.
func Peers(o *Output, peers []models.Peer, conns []models.Connection, now time.Time) error {
	if o.JSON {
		return Each(o, peers)
	}
	if len(peers) == 0 {
		o.Note("no peers; a peer becomes known when it connects, or with \"%s\"", o.Command("peers add KEY::ADDRESS"))
		return nil
	}
	of := make(map[string]*models.Connection, len(conns))
	for i := range conns {
		of[conns[i].Peer] = &conns[i]
	}
	rows := make([]peerRow, 0, len(peers))
	for i := range peers {
		rows = append(rows, o.peerRow(&peers[i], of[peers[i].NodeID], now))
	}
	slices.SortStableFunc(rows, func(a, b peerRow) int { return cmp.Or(cmp.Compare(a.rank, b.rank), b.heard.Compare(a.heard)) })
	return o.peerTable(rows, now)
}

// peerRow is a peer as the table has it.
type peerRow struct {
	rank   int // those that are connected first
	colour string
	who    string
	state  string
	heard  time.Time // when something has come from it last, zero: never
	rtt    string
	addr   string
	note   string   // what is wrong
	more   []string // further lines, with -v
}

// The ranks of rows, in their order.
const (
	rankConnected = iota
	rankSilent
	rankAway
	rankKnown
	rankBanned
)

func (o *Output) peerRow(p *models.Peer, c *models.Connection, now time.Time) peerRow {
	r := peerRow{rank: rankKnown, who: o.short(p), state: "known", rtt: "-", heard: lastHeard(p), addr: bestAddress(*p)}
	last, failed := LastFailure(*p)
	switch {
	case p.BannedUntil.After(now):
		r.rank, r.state, r.note = rankBanned, "banned", "for "+long(p.BannedUntil.Sub(now))+" more"
		if p.BannedUntil.Sub(now) > 48*time.Hour {
			r.note = "until " + at(p.BannedUntil)
		}
	case p.Connection != nil:
		r.rank, r.state, r.heard = rankConnected, "connected", now
		if c == nil {
			break
		}
		r.rtt = rtt(c.RTTMS)
		if c.Direction == "outbound" {
			r.addr = c.Remote
		}
		if c.SilentMS > 0 {
			r.heard = now.Add(-time.Duration(c.SilentMS) * time.Millisecond)
			r.rank, r.state, r.rtt, r.colour, r.note = rankSilent, "connected, silent", "-", yellow, "no answer to ping"
		} else if !c.LastPongAt.IsZero() && c.RTTMS > 0 {
			r.heard = c.LastPongAt
		}
	case failed:
		r.rank, r.state, r.colour, r.addr = rankAway, "away", yellow, last.Addr
		if c := codes.Named(last.LastCode); c != nil && c.Brief() != "" {
			r.note = c.Brief()
		} else {
			r.note = shortWords(Plain(dialPreamble.ReplaceAllString(last.LastError, "")), noteWidth)
		}
	case !p.EndedAt.IsZero():
		r.rank, r.state, r.colour, r.note = rankAway, "away", yellow, endBrief(p.EndedWhy)
	}
	if o.Verbose {
		r.more = o.peerMore(p, r.addr)
	} else if n := len(p.Addresses) - 1; n > 0 && r.note == "" {
		r.note = fmt.Sprintf("+%d", n)
	}
	if r.addr != "-" && !o.Verbose {
		r.addr = hostPort(r.addr)
	}
	return r
}

// short returns what a person calls a peer, without its node id, which stands below with -v.
func (o *Output) short(p *models.Peer) string {
	brief := *o
	brief.Verbose = false
	return brief.whoIs(p)
}

// endText says how a connection has ended. why is the reason, the side that ended it, and an error.
func endText(why string) string {
	end, more, _ := strings.Cut(why, ": ")
	switch {
	case end == "ended by peer":
		return "the peer ended the connection"
	case end == "ended by network" && more != "":
		return "the network broke the connection: " + more[strings.LastIndex(more, ": ")+1:]
	case strings.HasSuffix(end, " by us"):
		return "this node ended the connection: " + strings.TrimSuffix(end, " by us")
	case strings.HasPrefix(end, "no answer") && more != "":
		end, _, _ = strings.Cut(more, ";")
		return end
	}
	return "the connection ended: " + why
}

// endBrief is endText in a few words, for a table.
func endBrief(why string) string {
	if strings.HasPrefix(why, "no answer") {
		return "no answer to ping"
	}
	return shortWords(endText(why), noteWidth)
}

// peerMore are the lines of a peer with -v.
func (o *Output) peerMore(p *models.Peer, shown string) (lines []string) {
	if p.PublicKey != "" {
		lines = append(lines, p.PublicKey)
	}
	about := "node id " + p.NodeID
	if p.Pool != "" && p.Pool != "none" {
		about = p.Pool + ", " + about
	}
	if p.UserAgent != "" {
		about += ", " + p.UserAgent
	}
	lines = append(lines, about)
	for _, a := range p.Addresses {
		if a.Addr != shown {
			lines = append(lines, a.Addr)
		}
	}
	return lines
}

// noteWidth is how much is shown of why a peer is away; "gamelan why PEER" has all of it.
const noteWidth = 34

// peerTable writes rows so that addresses stay whole: what is wrong stands beside them, or below if
// there is no room.
func (o *Output) peerTable(rows []peerRow, now time.Time) error {
	cells := [][]string{{"PEER", "STATE", "SEEN", "RTT"}}
	if o.narrow() {
		cells[0] = cells[0][:3]
	}
	addrs := utf8.RuneCountInString("ADDRESS")
	for i := range rows {
		r := &rows[i]
		cells = append(cells, []string{inspect.Escape(r.who), r.state, shortSince(r.heard, now), r.rtt}[:len(cells[0])])
		r.addr, r.note = inspect.Escape(r.addr), inspect.Escape(r.note)
		if n := utf8.RuneCountInString(r.addr); n <= addressWidth {
			addrs = max(addrs, n)
		}
	}
	widths := fitted(cells, 0)
	widths[0] = min(widths[0], nameShown)
	var before int
	for _, w := range widths {
		before += w + columnGap
	}
	room := o.columns() - before
	var b strings.Builder
	for i, c := range cells {
		line := ""
		for k := range c {
			text := shortText(c[k], widths[k])
			pad := strings.Repeat(" ", widths[k]-utf8.RuneCountInString(text)+columnGap)
			if i > 0 && k == 1 {
				text = o.Paint(rows[i-1].colour, text)
			}
			line += text + pad
		}
		if i == 0 {
			b.WriteString(line + "ADDRESS\n")
			continue
		}
		r := &rows[i-1]
		last := r.addr
		if r.note != "" {
			last += strings.Repeat(" ", max(0, addrs-utf8.RuneCountInString(r.addr))+columnGap) + r.note
		}
		indent := strings.Repeat(" ", before)
		switch n := utf8.RuneCountInString(last); {
		case o.columns() == 0 || n <= room:
			line += last
		case utf8.RuneCountInString(r.addr) <= room:
			line += r.addr + "\n" + wrapped(indent+r.note, o.columns(), before)
		default:
			line += r.note + "\n  " + r.addr
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		for _, text := range r.more {
			b.WriteString("  " + inspect.Escape(text) + "\n")
		}
	}
	return Styled(o.Out, b.String())
}

const (
	// nameShown is the widest name of a peer in the table.
	nameShown = 20
	// addressWidth is the widest address after which what is wrong stands in a column.
	addressWidth = 27
)

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
	if last := lastHeard(&p); last.After(p.AddedAt) {
		return last
	}
	return p.AddedAt
}

// lastHeard returns when a peer was connected last, zero if that is not known.
func lastHeard(p *models.Peer) time.Time {
	last := p.EndedAt
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
		until = " until " + at(peer.BannedUntil)
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
		return "banned until " + at(p.BannedUntil)
	case p.Connection != nil:
		return "connected"
	case failed:
		return fmt.Sprintf("failed %s ago: %s", shortAge(now.Sub(last.LastAttempt)), dialPreamble.ReplaceAllString(last.LastError, ""))
	case !p.EndedAt.IsZero():
		return fmt.Sprintf("ended %s ago: %s", shortAge(now.Sub(p.EndedAt)), p.EndedWhy)
	}
	return "known"
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
