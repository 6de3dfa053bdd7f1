package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Status is the output of status with --json.
type Status struct {
	models.Node
	Silent    int                  `json:"silent"`              // connections on which an answer is due, and nothing has come for 5 s
	SilentWho string               `json:"-"`                   // the peer of the one that is silent
	DHT       *models.DHT          `json:"dht,omitempty"`       // nil: the node does not show it
	Discovery *models.Network      `json:"discovery,omitempty"` // nil: the node does not show it
	Stored    *models.StoreForward `json:"saf,omitempty"`       // nil: the node does not show it
	Kad       *models.Kad          `json:"kad,omitempty"`       // nil: the node does not show it
	Secret    string               `json:"secret,omitempty"`    // of the private network: eight digits by which to compare it
	Accept    string               `json:"accept,omitempty"`    // likewise of a second one, while the first is being changed
	Healthy   bool                 `json:"healthy"`             // it has not failed
	Health    models.HealthState   `json:"health"`              // ok, degraded or failed
	Reasons   models.Notices       `json:"reasons"`             // why it has failed; those of a degraded node are among the warnings
}

// ShowStatus writes the state of the node: five lines when all is well, and more for what is not, or
// for all of it with -v.
func ShowStatus(o *Output, s Status, now time.Time) error {
	if o.JSON {
		return o.PrintJSON(s)
	}
	b := o.lines()
	line := b.aboutf
	text, colour, next := o.stateText(&s, now)
	b.in(o, colour, "state", text)
	for _, r := range s.Reasons {
		b.in(o, red, "", o.Named(Notice(r)))
	}
	if next != "" {
		line("next", "%s", o.Named(next))
	}
	line("public key", "%s", s.PublicKey)
	if o.Verbose {
		line("node id", "%s", s.NodeID)
	}
	line("running", "gamelan %s on %s for %s, process %d", s.Version, s.Network, long(now.Sub(s.StartedAt)), s.PID)
	if s.Accept != "" {
		line("secret", "%s, and %s is accepted as well", s.Secret, s.Accept)
	} else if s.Secret != "" {
		line("secret", "%s", s.Secret)
	}
	b.about("addresses", addressLines(o, &s, now)...)
	if s.Tor != nil {
		line("tor", "%s", torText(s.Tor, now))
	}
	if o.Verbose || s.Silent > 0 {
		line("connections", "%s", o.connectionsText(&s.Node, s.Silent, s.SilentWho))
	}
	if o.Verbose || troubled(&s.Places) {
		line("inbound", "%s", placesText(s.Places))
	}
	if o.Verbose {
		line("peers", "%s known, %d of them banned", inspect.Number(uint64(s.Peers)), s.Banned)
	}
	if s.Discovery != nil && s.Discovery.On && (o.Verbose || !seedsAnswer(s.Discovery)) {
		line("network", "%s", networkText(s.Discovery, now))
	}
	if m := s.Moved; m != nil && now.Sub(m.At) < movedFor {
		line("moved", "the node has a new address since %s; before: %s", since(m.At, now), strings.Join(m.Before, ", "))
	}
	if text, well := reachText(s.Reach, now); len(s.Reach) > 0 && (o.Verbose || !well) {
		line("reached", "%s", text)
	}
	if o.Verbose {
		line("messages", "%s being sent or handled now, at most %s", Bytes(s.Credit.Used), Bytes(s.Credit.Limit))
	}
	if s.Inbox != nil && (o.Verbose || s.Inbox.Messages > 0 || s.Inbox.Waiting > 0 || s.Inbox.Trouble != "") {
		line("inbox", "%s", inboxText(s.Inbox, func() string { return long(now.Sub(s.Inbox.OldestAt)) }))
	}
	if s.DHT != nil && o.Verbose {
		line("dht", "%s", dhtText(s.DHT))
	}
	if s.Stored != nil && s.Stored.On && o.Verbose {
		line("stored", "%s", s.Stored.Summary)
	}
	if s.Kad != nil && len(s.Kad.Clients) > 0 && o.Verbose {
		line("key-value", "%s", strings.TrimPrefix(KadText(s.Kad), "key-value DHT: "))
	}
	warnings, none := otherWarnings(&s), "none"
	if len(warnings) < len(s.Warnings) {
		none = "no others"
	}
	if len(warnings) == 0 {
		line("warnings", "%s", none)
	}
	name := "warnings"
	for _, n := range warnings {
		b.in(o, yellow, name, o.Named(Plain(Notice(n))))
		name = ""
	}
	return b.print(o)
}

// lonely are the codes of what the first line of a status says.
var lonely = []string{codes.Offline.Name, codes.Alone.Name, codes.FewNodes.Name}

// worst are the severities of warnings, the worst first. One of an older node has none.
var worst = []models.Severity{models.Failed, models.Degraded, models.Warning, ""}

// otherWarnings are the warnings but those that the first line says, those first with which the node is
// degraded.
func otherWarnings(s *Status) (list models.Notices) {
	for _, n := range s.Warnings {
		if !slices.Contains(lonely, n.Code) && (s.Tried == nil || n.Code != codes.SeedsSilent.Name) {
			list = append(list, n)
		}
	}
	slices.SortStableFunc(list, func(a, b models.Notice) int {
		return cmp.Compare(slices.Index(worst, a.Severity), slices.Index(worst, b.Severity))
	})
	return list
}

// stateText returns the first line: the state of the node, since when, and why, and what helps.
func (o *Output) stateText(s *Status, now time.Time) (text, colour, next string) {
	state := s.Status
	if !s.Since.IsZero() {
		state += " for " + long(now.Sub(s.Since))
	}
	switch s.Status {
	case "online":
		cause := mainCause(s.Cause)
		if o.Verbose {
			cause = s.Cause
		}
		if s.Health == models.HealthDegraded {
			cause, colour = cause+"; degraded, see the warnings", yellow
		}
		return o.Named(State(state, cause)), colour, ""
	case "offline":
		colour = red
	default:
		colour = yellow
	}
	cause := s.Cause
	if s.Tried != nil {
		cause = Plain(s.Tried.What)
		next = Step(*s.Tried)
	}
	for _, n := range s.Warnings {
		if !slices.Contains(lonely, n.Code) || s.Tried != nil { // who was tried, and why that failed, tells more
			continue
		}
		if _, after, ok := strings.Cut(n.What, ": "); ok {
			cause = after
		}
		next = cmp.Or(Step(n), next)
		if n.Code == codes.Alone.Name { // right for the first node of a network
			state, colour = strings.Replace(state, s.Status, "alone", 1), yellow
		}
	}
	return o.Named(State(state, cause)), colour, next
}

// mainCause returns why a node is online, and which of its protected peers are missing, without the
// connections that it could have beside.
func mainCause(cause string) string {
	first, rest, _ := strings.Cut(cause, "; ")
	for part := range strings.SplitSeq(rest, "; ") {
		if strings.Contains(part, "missing") {
			first += "; " + part
		}
	}
	return first
}

// addressLines returns where the node listens, and whether others have reached it there.
func addressLines(o *Output, s *Status, now time.Time) []string {
	switch {
	case len(s.Addresses) == 0 && s.Tor != nil:
		return []string{"none yet: peers are told of the onion service when it is published"}
	case len(s.Addresses) == 0:
		return []string{"none: it does not listen, and only dials"}
	case o.Verbose:
		return s.Addresses
	}
	var all []string
	for _, a := range s.Addresses {
		text := hostPort(a)
		for _, r := range s.Reach {
			if r.Addr == text && r.Verdict == "reachable" {
				text += fmt.Sprintf(", reached by %s %s", inspect.Count(uint64(r.Nodes), "node"), ago(now, r.At))
				break
			}
		}
		all = append(all, text)
	}
	return []string{strings.Join(all, "; ")}
}

// troubled reports whether connections were refused or had to give way.
func troubled(p *models.Places) bool {
	return p.Refused+p.TooFast+p.Waited+p.Preempted+p.Replaced+p.OtherNetwork > 0
}

// movedFor is how long a change of the node's addresses is shown.
const movedFor = time.Hour

// reachText returns whether others can connect to the node, and whether that is so for each address that is
// known.
func reachText(list []models.Reach, now time.Time) (text string, well bool) {
	var yes, no []string
	why, announced := "", false // others are told one that is reached
	for _, r := range list {
		again := ""
		if r.Again {
			again = ", being checked again"
		}
		switch {
		case r.Verdict == "reachable":
			at := fmt.Sprintf("at %s, by %s %s ago", r.Addr, inspect.Count(uint64(r.Nodes), "node"), long(now.Sub(r.At)))
			if announced = announced || r.Told; !r.Told {
				at += " (not told others)"
			}
			yes = append(yes, at+again)
		case r.Verdict == "not reachable":
			no = append(no, fmt.Sprintf("at %s, as %s found %s ago%s", r.Addr, inspect.Count(uint64(r.Nodes), "node"), long(now.Sub(r.At)), again))
		case why == "" || why == r.Why:
			why = r.Why
		default:
			why = "no node has tried all addresses"
		}
	}
	switch {
	case len(yes) > 0 && !announced && len(yes) < len(list):
		return "not where others are told, but " + strings.Join(yes, "; "), false
	case len(yes) > 0 && len(no) > 0:
		return "yes, " + strings.Join(yes, "; ") + "; not " + strings.Join(no, "; not "), false
	case len(yes) > 0:
		return "yes, " + strings.Join(yes, "; "), true
	case len(no) > 0:
		return "no, not " + strings.Join(no, "; not "), false
	}
	return "not known: " + why, false
}

// torText returns the state of the onion service in a line.
func torText(v *models.Tor, now time.Time) string {
	ago := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return " for " + long(now.Sub(t))
	}
	text := v.Onion + " can be reached" + ago(v.StateSince)
	if !v.Reachable {
		text = fmt.Sprintf("%s cannot be reached: it is %s%s", v.Onion, v.State, ago(v.StateSince))
	}
	if v.Control != "ready" {
		return text + "; no control connection to Tor" + ago(v.Since)
	}
	return fmt.Sprintf("%s; Tor %s%s", text, v.Version, ago(v.Since))
}

// connectionsText returns how many connections there are, and to how many peers they are kept open.
func (o *Output) connectionsText(n *models.Node, silent int, who string) string {
	text := fmt.Sprintf("%s: %d outbound, %d inbound", inspect.Count(uint64(n.Held), "connection"), n.Outbound, n.Inbound)
	switch {
	case silent == 1 && who != "":
		text += "; 1 of them silent, that with " + o.Who(who) + ": see gamelan conns"
	case silent > 0:
		text += fmt.Sprintf("; %d of them silent, see gamelan conns", silent)
	}
	if n.Wanted > 0 {
		text += "; the node keeps " + inspect.Count(uint64(n.Wanted), "protected peer") + " connected"
	}
	return text
}

// placesText returns how many inbound connections there are, their limits, and what happened
// to connections above a limit.
func placesText(p models.Places) string {
	s := fmt.Sprintf("%d of at most %d connections; %d of at most %d being set up", p.Inbound, p.MaxInbound, p.Setups, p.MaxSetups)
	for _, x := range []struct {
		n    uint64
		what string
	}{{p.Refused, "refused" + limitsText(p.RefusedBy)}, {p.TooFast, fmt.Sprintf("of them because their source began over %d in a minute", p.MaxSetupRate)}, {p.Waited, "of unknown peers had to wait"}, {p.Preempted, "given up in their set-up for newer ones"}, {p.Replaced, "closed while idle for newer ones"}, {p.OtherNetwork, "refused because they were of another network"}} {
		if x.n > 0 {
			s += fmt.Sprintf("; %s %s", inspect.Number(x.n), x.what)
		}
	}
	return s
}

// limitsText returns the settings whose limits have refused connections, in brackets.
func limitsText(by map[string]uint64) string {
	if _, text := counted(by); text != "" {
		return " (" + text + ")"
	}
	return ""
}

// inboxText returns the state of an inbox in a line.
func inboxText(v *models.Inbox, age func() string) string {
	if v.Messages == 0 && v.Waiting == 0 {
		return "empty, room for " + Bytes(v.MaxBytes)
	}
	text := inspect.Count(uint64(v.Messages), "message") + ", " + Bytes(v.Bytes) + " of " + Bytes(v.MaxBytes)
	if !v.OldestAt.IsZero() {
		text += ", oldest " + age() + " ago"
	}
	if v.InHand > 0 {
		text += ", " + inspect.Number(uint64(v.InHand)) + " in progress"
	}
	if v.Dead > 0 {
		text += ", " + inspect.Number(uint64(v.Dead)) + " on the shelf"
	}
	if v.DHTMessages > 0 {
		text += ", " + inspect.Number(uint64(v.DHTMessages)) + " over the DHT"
	}
	if v.Waiting > 0 {
		text += ", " + inspect.Number(uint64(v.Waiting)) + " wait for room"
	}
	return text
}
