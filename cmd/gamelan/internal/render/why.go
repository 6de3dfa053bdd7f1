package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// whyParts are the parts of a score in the order of their weight.
var whyParts = []string{"reached before", "health", "rested"}

const (
	whyShown   = 5  // candidates, the best ones; the JSON has all of them
	whyNames   = 10 // width of the names before the lines below the first
	whyLabel   = 26 // width of what a command is for
	knownShown = 3  // addresses
)

// WhyOptions say how much of an answer is shown, and what else the node can do.
type WhyOptions struct {
	All  bool               // the dials and the choice of peers, too
	DHT  bool               // the node can leave a message for a peer that is away
	Conn *models.Connection // the connection, if there is one and the node shows it
	Now  time.Time
}

// Why writes how it stands with a peer: the answer first, then what it rests on, and at the end what can be
// done.
func Why(o *Output, w models.Why, x WhyOptions) error {
	if o.JSON {
		return o.PrintJSON(w)
	}
	if w.Source != "" {
		return o.whySource(&w, x.Now)
	}
	answer, colour := o.whyAnswer(&w, x.Now)
	b := o.lines()
	b.sentence(answer)
	text := strings.TrimSuffix(b.String(), "\n")
	first, rest, _ := strings.Cut(text, "\n")
	text = o.Paint(colour, first) + "\n"
	if rest != "" {
		text += o.Paint(colour, rest) + "\n"
	}
	if err := Styled(o.Out, text); err != nil {
		return err
	}
	if err := o.whyFacts(&w, x); err != nil {
		return err
	}
	if x.All {
		fmt.Fprintln(o.Out)
		if err := printDials(o, w.Dials, x.Now); err != nil {
			return err
		}
		if err := printChoice(o, w); err != nil {
			return err
		}
	}
	return o.whyNext(&w, x)
}

// refusedLines says which connections this node has refused.
func refusedLines(list []models.WhyRefused, now time.Time) (lines []string) {
	for _, r := range list {
		text := inspect.Count(uint64(r.Count), "connection") + " by this node"
		if r.Why != "" {
			text += ": " + r.Why
		}
		lines = append(lines, text+", the last "+ago(now, r.LastAt))
	}
	return lines
}

// refusedSteps are what helps if what was refused is the user's own, by code.
var refusedSteps = map[string]string{
	"limit":         "if they are yours, raise this setting, or exempt the address: connections.exempt_sources",
	"banned":        "if it is yours, lift the ban: gamelan unban",
	"not_admitted":  "if it is yours, admit its key: gamelan peers admit",
	"no_secret":     "if it is yours, compare the files of the network on both machines: gamelan network file",
	"other_network": "if it is yours, give both nodes the same network; gamelan id shows it",
	"draining":      "end the draining, or wait until this node has been started again",
	"setup":         "if it is yours, look at the log of the node there",
}

// whySource writes what this node has refused from an IP address.
func (o *Output) whySource(w *models.Why, now time.Time) error {
	b := o.lines()
	if len(w.Refused) == 0 {
		b.sentence("This node has refused no connection from " + w.Source + " in the last hour before its key was known. Of the addresses of this machine it remembers none.")
	} else {
		b.sentence("This node has refused connections from " + w.Source + " in the last hour, before their key was known.")
	}
	b.names = whyNames + sentenceIndent
	name := strings.Repeat(" ", sentenceIndent)
	if list := refusedLines(w.Refused, now); len(list) > 0 {
		b.about(name+"refused", list...)
	}
	if len(w.Peers) > 0 {
		who := make([]string, 0, len(w.Peers))
		for _, id := range w.Peers {
			who = append(who, o.Who(id))
		}
		b.about(name+"peers", strings.Join(who, ", "))
	}
	if len(w.Refused) > 0 { // the last one counts
		b.about("Next", cmp.Or(refusedSteps[w.Refused[0].Code], "look at the log of this node"))
	}
	return b.print(o)
}

// whySinceJSON is the answer with what happened.
type whySinceJSON struct {
	models.Why
	Events []models.Event `json:"events"`
}

// WhySince is Why with what happened with the peer.
func WhySince(o *Output, w models.Why, events []models.Event, x WhyOptions) error {
	if o.JSON {
		return o.PrintJSON(whySinceJSON{w, events})
	}
	if len(events) == 0 {
		o.Note("No events of this peer are kept from that time.")
	}
	for i := range events {
		if err := Event(o, &events[i]); err != nil {
			return err
		}
	}
	return Why(o, w, x)
}

// whyAnswer returns the first line: how it stands with the peer, since when, and why.
func (o *Output) whyAnswer(w *models.Why, now time.Time) (text, colour string) {
	who := o.who(w.NodeID, w.PublicKey, shortID)
	switch {
	case w.BannedUntil.After(now):
		text = who + " is banned by this node until " + at(w.BannedUntil)
		if w.BanReason != "" {
			text += ": " + w.BanReason
		}
		return text + ".", yellow
	case w.NotAdmitted && !w.Connected:
		return who + " is not admitted: this node has connections with listed peers alone.", yellow
	case w.Connected && w.SilentMS > 0:
		silent := time.Duration(w.SilentMS) * time.Millisecond
		return fmt.Sprintf("%s is connected and silent since %s: an answer is due, and nothing comes.", who, since(now.Add(-silent), now)), yellow
	case w.Connected:
		return fmt.Sprintf("%s is connected since %s, %s, at %s.", who, since(w.Since, now), w.Direction, hostPort(w.Remote)), ""
	}
	text = who + " is not connected"
	if !w.LostAt.IsZero() {
		text = who + " is away since " + since(w.LostAt, now)
	}
	switch {
	case w.Because != nil:
		text += ": " + Plain(w.Because.What)
	case w.Lost != "":
		text += ": " + endText(w.Lost)
	case w.Addresses == 0:
		text += ": no address of it is known"
	case w.Dialling != nil:
		text += " yet"
	default:
		text += ", and was not dialled lately"
	}
	return text + ".", yellow
}

// whyFacts writes the lines below the answer, each with a name.
func (o *Output) whyFacts(w *models.Why, x WhyOptions) error {
	b, now := o.lines(), x.Now
	b.names = whyNames + sentenceIndent
	fact := func(name string, texts ...string) { b.about(strings.Repeat(" ", sentenceIndent)+name, texts...) }
	if c := x.Conn; c != nil && w.Connected {
		answers := "no round trip was measured yet"
		if c.RTTMS > 0 {
			answers = "round trip " + rtt(c.RTTMS)
			if !c.LastPongAt.IsZero() {
				answers += ", measured " + ago(now, c.LastPongAt)
			}
		}
		fact("answers", answers)
	}
	if d := w.Dialling; d != nil {
		where := "it"
		if d.Address != "" {
			where = hostPort(d.Address)
		}
		text := fmt.Sprintf("%s is being tried for %s, without an answer so far", where, long(now.Sub(d.Since)))
		if d.By != "" {
			text += "; asked for by " + d.By
		}
		fact("now", text)
	}
	if text := triedText(w, now); text != "" {
		fact("tried", text)
	}
	if !w.Connected {
		fact("address", knownText(w, now)...)
	}
	if w.MovedFrom != "" {
		fact("moved", fmt.Sprintf("its last connection was with another address, %s, and ended %s", w.MovedFrom, ago(now, w.MovedAt)))
	}
	if w.Lost != "" && w.Because != nil {
		fact("ended", endText(w.Lost))
	}
	if text := poolText(w); text != "" {
		fact("is", text)
	}
	if text := askedText(w.Asked, now); text != "" {
		fact("asked", text)
	}
	for _, list := range [][]string{storedLines(w.Stored, now), w.Kad, w.NotTaken} {
		for _, text := range list {
			fact("", strings.TrimSuffix(Plain(text), "."))
		}
	}
	if list := refusedLines(w.Refused, now); len(list) > 0 {
		fact("refused", list...)
	}
	if w.Tor != "" {
		fact("tor", strings.TrimSuffix(w.Tor, "."))
	}
	var here []string
	if text := o.hereText(w); text != "" {
		here = append(here, text)
	}
	if w.NotReached != nil && !w.Connected {
		here = append(here, w.NotReached.What)
	}
	if len(here) > 0 {
		fact("here", here...)
	}
	return b.print(o)
}

// triedText says how often the peer was dialled since its last connection, and when it is again.
func triedText(w *models.Why, now time.Time) (text string) {
	switch n := len(w.Dials); {
	case w.Tried > 0:
		times := inspect.Count(uint64(w.Tried), "time")
		if w.Tried == 1 {
			times = "once"
		}
		text = fmt.Sprintf("%s, the last %s", times, ago(now, w.Dials[n-1].At))
	case !w.Connected && n == 0 && w.Dialling == nil && w.Addresses > 0:
		text = "not since this node has started, or long ago"
	}
	if w.NextDialAt.After(now) {
		if text != "" {
			text += "; "
		}
		text += "next try in " + long(w.NextDialAt.Sub(now))
	}
	return text
}

// knownText says of each address how it went.
func knownText(w *models.Why, now time.Time) (lines []string) {
	if len(w.Known) == 0 {
		if w.Addresses > 0 {
			return nil // of an older node, which does not say it
		}
		return []string{"none is known"}
	}
	for i := range w.Known[:min(len(w.Known), knownShown)] {
		a := &w.Known[i]
		how := "was not tried yet"
		switch {
		case a.LastError != "" && !a.LastOK.IsZero():
			how = "worked until " + since(a.LastOK, now)
		case a.LastError != "":
			how = "has never worked"
		case !a.LastOK.IsZero():
			how = "worked " + ago(now, a.LastOK)
		}
		lines = append(lines, hostPort(a.Addr)+" "+how)
	}
	switch more := len(w.Known) - knownShown; {
	case more > 0:
		lines = append(lines, fmt.Sprintf("and %d more", more))
	case len(w.Known) == 1:
		lines[0] += "; no other one is known"
	}
	return lines
}

// The causes of a dial by where the fault is, as far as they say it. The others say nothing of that.
var (
	// hereCauses are of this machine or this node, whatever it reaches.
	hereCauses = []*codes.Code{
		codes.DialForbidden, codes.FilesGone, codes.DialProxy, codes.DialNoPort, codes.DialBanned, codes.DialUnlisted, codes.DialExcluded, codes.DialNoAddress,
		codes.Draining,
	}
	// thereCauses come of an answer from the address of the peer, so that the network works.
	thereCauses = []*codes.Code{
		codes.DialRefused, codes.DialOtherKey, codes.DialForeign, codes.DialMute, codes.DialHungUp, codes.DialSecret, codes.DialTurnedAway,
	}
)

// hereText says whether the fault may be on this machine. It never contradicts what helps against the cause.
func (o *Output) hereText(w *models.Why) string {
	if w.Others == nil || w.Others.Reached+w.Others.Away == 0 || w.Because == nil {
		return ""
	}
	cause := codes.Named(w.Because.Code)
	all := inspect.Count(uint64(w.Others.Reached+w.Others.Away), "other peer")
	text := fmt.Sprintf("this machine reaches %d of %s", w.Others.Reached, all)
	switch {
	case w.Others.Reached == 0:
		text = "this machine reaches none of " + all
	case w.Others.Away == 1 && w.Others.Who != "":
		text += " (not " + o.Who(w.Others.Who) + ")"
	}
	switch none := w.Others.Reached == 0; {
	case slices.Contains(hereCauses, cause):
		return ""
	case slices.Contains(thereCauses, cause):
		return text + ", and this address answers, so the fault is there"
	case cause == codes.DialUnresolved:
		return text + ", which says nothing of the name"
	case cause == codes.DialProhibited && none:
		return text + ", so this firewall may stop all that it sends"
	case cause == codes.DialProhibited:
		return text + ", so this firewall is there or on the way"
	case cause == codes.DialFailed:
		return text
	case none:
		return text + ", so look at its network first"
	case cause == codes.DialNoRoute:
		return text + ", so its network works, and the way to this address does not"
	}
	return text + ", so the fault is there or on the way"
}

// pools are the words for why the node wants a peer.
var pools = map[string]string{
	"neighbour": "a neighbour: one of the known nodes closest to this one",
	"random":    "one of the nodes chosen at random to stay connected to",
	"seed":      "a seed",
}

// poolText says what the peer is to this node.
func poolText(w *models.Why) string {
	var parts []string
	for _, p := range w.Pools {
		if text := pools[p]; text != "" {
			parts = append(parts, text)
		}
	}
	if len(w.Protected) > 0 {
		parts = append(parts, "protected by "+strings.Join(w.Protected, ", "))
	}
	return strings.Join(parts, "; ")
}

// askedText says how the peer has answered when it was asked for peers.
func askedText(s *models.WhyAsked, now time.Time) string {
	switch {
	case s == nil:
		return ""
	case s.At.IsZero():
		return "not yet for the peers that it knows"
	case s.Answered:
		text := fmt.Sprintf("for peers %s, it told of %s", ago(now, s.At), inspect.Number(uint64(s.Peers)))
		if s.New != nil {
			text += fmt.Sprintf(", of which %s were new", inspect.Number(uint64(*s.New)))
		}
		return text
	}
	why, _, _ := strings.Cut(Plain(withoutPeer(s.Error)), "; ")
	return fmt.Sprintf("for peers %s, it did not answer: %s", ago(now, s.At), orUnknown(why))
}

// whyNext writes what can be done about a peer that is not connected: what helps against the cause, and
// commands.
func (o *Output) whyNext(w *models.Why, x WhyOptions) error {
	if w.Connected && w.SilentMS == 0 && !w.BannedUntil.After(x.Now) {
		return nil
	}
	key := cmp.Or(w.PublicKey, "KEY")
	type line struct{ what, command string }
	var lines []line
	step := ""
	switch {
	case w.BannedUntil.After(x.Now):
		lines = append(lines, line{"lift the ban:", "unban " + w.NodeID})
	case w.NotAdmitted:
		lines = append(lines, line{"let it in:", "peers admit " + key})
	case w.Addresses == 0 && w.Dialling == nil && !w.Connected:
		lines = append(lines, line{"give its address:", "dial " + key + "::ADDRESS"}, line{"search for it:", "discover " + key})
	default:
		if w.Because != nil {
			step = stepFor(w)
		} else if !w.Connected && w.Dialling == nil {
			lines = append(lines, line{"connect to it:", "dial " + w.NodeID})
		}
		lines = append(lines, line{"try it, step by step:", "doctor " + w.NodeID})
		if c := codes.Named(codeOf(w.Because)); w.Connected || c == nil || c.Misaddressed() || c == codes.DialNoAnswer || c == codes.DialNoRoute {
			lines = append(lines, line{"if it has moved:", "dial " + key + "::ADDRESS"})
		}
		if x.DHT && !w.Connected && !cutOff(w) {
			lines = append(lines, line{"to leave it a message:", "send --to " + key + " --store TEXT"})
		}
	}
	if step == "" && w.NotReached != nil && !w.Connected {
		step = Step(*w.NotReached)
	}
	if !x.All {
		lines = append(lines, line{"all attempts, scores:", "why " + w.NodeID + " --all"})
	}
	b := o.lines()
	b.names = whyNames + sentenceIndent
	name := "Next"
	if step != "" {
		b.about(name, Plain(step))
		name = ""
	}
	for _, l := range lines {
		command := inspect.Escape(o.Command(l.command))
		text := fmt.Sprintf("%-*s%-*s%s", b.names, name, whyLabel, l.what, command)
		if b.width > 0 && utf8.RuneCountInString(text) > b.width {
			text = fmt.Sprintf("%-*s%s\n%s%s", b.names, name, l.what, strings.Repeat(" ", b.names), command)
		}
		b.WriteString(text + "\n")
		name = ""
	}
	return b.print(o)
}

// cutOff reports whether this machine reaches nobody, as far as it has tried: what goes over others does not leave it.
func cutOff(w *models.Why) bool {
	return w.Others != nil && w.Others.Reached == 0 && w.Others.Away > 0
}

// stepFor returns what helps against the cause. What this machine reaches may rule a part of it out.
func stepFor(w *models.Why) string {
	switch codes.Named(w.Because.Code) {
	case codes.DialNoRoute:
		if w.Others != nil && w.Others.Reached > 0 {
			return "check the address"
		}
	case codes.DialNoAnswer:
		if cutOff(w) {
			return "check this machine's network, and that no firewall stops what it sends"
		}
	}
	return Step(*w.Because)
}

func codeOf(n *models.Notice) string {
	if n == nil {
		return ""
	}
	return n.Code
}

// printDials writes the last dials, the newest last.
func printDials(o *Output, dials []models.WhyDial, now time.Time) error {
	if len(dials) == 0 {
		return nil
	}
	rows := [][]string{{"AGE", "ADDRESS", "BY", "TOOK", "ENDED"}}
	for _, d := range dials {
		end := "connected"
		if d.Error != "" {
			end, _, _ = strings.Cut(strings.TrimPrefix(Plain(d.Error), d.Addr+": "), "; ") // the row has the address, and the last line the advice
			if cause, ok := strings.CutPrefix(end, "set-up failed: "); ok {
				end = "set-up failed at " + d.Stage + ": " + cause
			}
		}
		rows = append(rows, []string{shortSince(d.At, now), hostPort(d.Addr), d.By, fmt.Sprintf("%.1fms", d.TookMS), end})
	}
	return o.Table(rows)
}

// printChoice writes the last choice that considered the peer.
func printChoice(o *Output, w models.Why) error {
	if len(w.Candidates) == 0 {
		return o.Say("No remembered choice has considered this peer: the node dials automatically only while it has too few connections.")
	}
	if err := o.Say(fmt.Sprintf("The last %s at %s had %s for up to %d dials; missing: %s.",
		inspect.Escape(w.Purpose), at(w.At), inspect.Count(uint64(w.Considered), "candidate"), w.Wanted, inspect.Count(uint64(w.Missing), "connection"))); err != nil {
		return err
	}
	rows := [][]string{{"RANK", "PEER", "SCORE", "PARTS", "VERDICT"}}
	for _, c := range w.Candidates {
		if c.NodeID != w.NodeID && c.Rank > whyShown {
			continue
		}
		var parts []string
		for _, name := range whyParts {
			parts = append(parts, fmt.Sprintf("%s %.2f", name, c.Parts[name]))
		}
		rows = append(rows, []string{fmt.Sprint(c.Rank), o.Who(c.NodeID), fmt.Sprintf("%.2f", c.Score), strings.Join(parts, ", "), c.Verdict})
	}
	return o.Table(rows)
}
