package render

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Network writes how well the node has found its network: in one sentence, then seeds,
// announcements, rounds, and the sets of peers as a table. The table fits 80 columns.
func Network(o *Output, n *models.Network, now time.Time) error {
	b := o.lines()
	if !b.head(networkText(n, now), n.On) {
		return b.print(o)
	}
	if !n.Automatic {
		b.about("looks", "only on request: connections.floor is 0")
	}
	b.about("seeds", seedLines(o, n, now)...)
	b.about("join", joinLines(&n.Join, now)...)
	b.about("rounds", roundLines(&n.Sync, now)...)
	b.about("searches", searchLines(o, &n.Searches, now)...)
	asked := fmt.Sprintf("%s of others: %s handed out", inspect.Count(n.Service.Served, "request"), inspect.Count(n.Service.Peers, "peer"))
	if n.Service.Refused > 0 {
		asked += "; " + inspect.Number(n.Service.Refused) + " refused"
	}
	b.about("asked by", asked)
	b.about("neighbours", setText(&n.Neighbour, n.Dialling))
	b.about("random", setText(&n.Random, 0))
	if err := b.print(o); err != nil {
		return err
	}
	if err := printSets(o, n); err != nil {
		return err
	}
	if next := networkNext(o, n); next != "" {
		return o.Say(inspect.Escape("Next: " + next))
	}
	return nil
}

// networkText returns the summary, and how old the answers of the seeds are.
func networkText(n *models.Network, now time.Time) string {
	var last time.Time
	for _, s := range n.Seeds {
		if s.AskedAt.After(last) {
			last = s.AskedAt
		}
	}
	if last.IsZero() {
		return n.Summary
	}
	return n.Summary + "; seeds were asked last " + ago(now, last)
}

// seedsAnswer reports whether each seed that was asked has answered, or is connected.
func seedsAnswer(n *models.Network) bool {
	return !slices.ContainsFunc(n.Seeds, func(s models.NetworkSeed) bool { return !s.AskedAt.IsZero() && !s.Answered && !s.Connected })
}

func ago(now, at time.Time) string { return long(now.Sub(at)) + " ago" }

// seedLines returns a line for each seed, and one for the names of seeds.
func seedLines(o *Output, n *models.Network, now time.Time) (lines []string) {
	for _, s := range n.Seeds {
		text := o.Who(s.NodeID) + " "
		switch {
		case s.AskedAt.IsZero():
			text += "was not asked yet"
		case s.Answered:
			text += fmt.Sprintf("answered %s: %s", ago(now, s.AskedAt), inspect.Count(uint64(s.Peers), "peer"))
		default:
			text += fmt.Sprintf("did not answer %s: %s", ago(now, s.AskedAt), orUnknown(withoutPeer(s.Error)))
		}
		if s.Connected {
			text += "; connected"
		}
		lines = append(lines, text)
	}
	names := &n.SeedNames
	if len(names.Names) > 0 {
		text := "named by " + strings.Join(names.Names, ", ")
		if names.BadRecords > 0 {
			text += fmt.Sprintf("; %s there cannot be read", inspect.Count(uint64(names.BadRecords), "record"))
		}
		if names.Error != "" {
			text += "; the last look-up failed: " + strings.TrimPrefix(names.Error, "look up "+names.Names[0]+": ")
		}
		lines = append(lines, text)
	}
	if len(lines) == 0 {
		lines = append(lines, "none; a seed is only needed to find the first nodes")
	}
	return lines
}

// dialledPeer matches the words about the peer before the error of a dial.
var dialledPeer = regexp.MustCompile(`^dial peer [0-9a-f]+: `)

// withoutPeer returns an error about a peer that the line names elsewhere.
func withoutPeer(text string) string { return dialledPeer.ReplaceAllString(text, "") }

func orUnknown(text string) string { return cmp.Or(text, "it did not say why") }

func haveIt(n int) string {
	if n == 1 {
		return "1 has it"
	}
	return inspect.Number(uint64(n)) + " have it"
}

func joinLines(j *models.NetworkJoin, now time.Time) (lines []string) {
	text := "not announced yet"
	switch {
	case j.LastAt.IsZero() && j.Error != "":
		text += ": " + j.Error
	case j.LastAt.IsZero() && j.NextAt.After(now):
		return []string{"being announced now"}
	case j.LastAt.IsZero():
	case j.Error != "":
		text = fmt.Sprintf("announced to nobody %s: %s", ago(now, j.LastAt), j.Error)
	default:
		text = fmt.Sprintf("announced %s to %s, %s", ago(now, j.LastAt), inspect.Count(uint64(j.Nodes), "node"), haveIt(j.Confirmed))
	}
	if j.NextAt.After(now) {
		text += "; again in " + shortAge(j.NextAt.Sub(now)) + " at the earliest"
	}
	lines = append(lines, text)
	if j.Heard > 0 {
		text := fmt.Sprintf("%s of others heard: %s stored, %s relayed", inspect.Count(j.Heard, "announcement"), inspect.Number(j.Stored), inspect.Number(j.Relayed))
		lines = append(lines, text+reasonsText(j.Refused))
	}
	return lines
}

// reasonsText returns the refused messages by reason, with "; " before them.
func reasonsText(refused map[string]uint64) string {
	total, parts := counted(refused)
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("; %s refused (%s)", inspect.Number(total), parts)
}

func roundLines(s *models.NetworkSync, now time.Time) (lines []string) {
	text := cmp.Or(s.Phase, "not begun yet")
	if s.NextAt.After(now) {
		text += "; next in " + shortAge(s.NextAt.Sub(now))
	}
	lines = append(lines, text)
	if !s.LastAt.IsZero() {
		lines = append(lines, fmt.Sprintf("last round %s: %d of %s answered; peers: %s", ago(now, s.LastAt), s.Answered, inspect.Count(uint64(s.Asked), "node"), learnedText(s.New, s.AlreadyKnown, s.Skipped)))
	}
	if !s.StarvedSince.IsZero() {
		lines = append(lines, fmt.Sprintf("too few outbound connections for %s; the node asks seeds and connected nodes again", shortAge(now.Sub(s.StarvedSince))))
	}
	if s.Rebootstraps > 0 {
		lines = append(lines, fmt.Sprintf("asked again %s because of too few connections", inspect.Count(uint64(s.Rebootstraps), "time")))
	}
	return lines
}

// learnedText returns "12 new, 130 known already, 2 not usable".
func learnedText(fresh, known, skipped int) string {
	text := fmt.Sprintf("%s new, %s known already", inspect.Number(uint64(fresh)), inspect.Number(uint64(known)))
	if skipped > 0 {
		text += fmt.Sprintf(", %s not usable", inspect.Number(uint64(skipped)))
	}
	return text
}

func searchLines(o *Output, s *models.NetworkSearches, now time.Time) (lines []string) {
	for _, r := range s.Running {
		lines = append(lines, fmt.Sprintf("%s: %s, for %s", o.WhoKey(r.Key), r.Stage, shortAge(now.Sub(r.Since))))
	}
	text := fmt.Sprintf("%s found, %s not found; %s of others answered", inspect.Number(s.Found), inspect.Number(s.Failed), inspect.Number(s.Answered))
	return append(lines, text+reasonsText(s.Refused))
}

func setText(s *models.NetworkSet, dialling int) string {
	text := fmt.Sprintf("%d of %d connected", connectedOf(s), len(s.Members))
	if len(s.Members) == 0 {
		text = "none yet"
	}
	if len(s.Members) < s.Target {
		text += fmt.Sprintf("; the node looks for up to %d", s.Target)
	}
	if dialling > 0 {
		text += fmt.Sprintf("; %s being dialled", inspect.Count(uint64(dialling), "node"))
	}
	return text
}

func connectedOf(s *models.NetworkSet) (n int) {
	for _, m := range s.Members {
		if m.Connected {
			n++
		}
	}
	return n
}

// printSets writes both sets side by side.
func printSets(o *Output, n *models.Network) error {
	rows := [][]string{{"NEIGHBOUR", "STATE", "RANDOM NODE", "STATE"}}
	for i := range max(len(n.Neighbour.Members), len(n.Random.Members)) {
		rows = append(rows, slices.Concat(memberCells(o, n.Neighbour.Members, i), memberCells(o, n.Random.Members, i)))
	}
	if len(rows) == 1 {
		return nil
	}
	return o.Table(rows)
}

func memberCells(o *Output, members []models.NetworkMember, i int) []string {
	switch {
	case i >= len(members):
		return []string{"", ""}
	case members[i].Connected:
		return []string{o.Who(members[i].NodeID), "connected"}
	}
	return []string{o.Who(members[i].NodeID), "not connected"}
}

// networkNext returns advice for a node that has not found its network, or "".
func networkNext(o *Output, n *models.Network) string {
	if connectedOf(&n.Neighbour)+connectedOf(&n.Random) > 0 {
		return ""
	}
	asked, answered := seedCounts(n)
	switch {
	case len(n.Seeds) == 0 && len(n.SeedNames.Names) > 0 && n.SeedNames.Error != "":
		return codes.SeedNames.Step + "."
	case len(n.Seeds) == 0 && n.Known == 0:
		return fmt.Sprintf("tell the node of another one with \"%s\", or name seeds under [node] in its settings.", o.Command("peers add KEY::ADDRESS"))
	case len(n.Seeds) > 0 && asked == len(n.Seeds) && answered == 0:
		return fmt.Sprintf("check that a seed runs and can be reached; \"%s\" shows how its dials ended.", o.Command("why "+n.Seeds[0].NodeID))
	}
	return ""
}

// seedCounts returns how many seeds were asked, and how many of these have answered.
func seedCounts(n *models.Network) (asked, answered int) {
	for _, s := range n.Seeds {
		if !s.AskedAt.IsZero() {
			asked++
		}
		if s.Answered {
			answered++
		}
	}
	return asked, answered
}

// Joined writes how the announcement of the node went. It returns an error if nobody has
// it.
func Joined(o *Output, r *models.Report) error {
	has := r.Count(models.OutcomeConfirmed)
	if len(r.Copies) == 0 {
		text, hint := "announced to nobody", api.ConnectHint
		if r.Detail != "" {
			detail, own, ok := strings.Cut(r.Detail, "; ")
			text += ": " + detail
			if ok {
				hint = own
			}
		}
		return failure.New(inspect.CodeFailed, hint, "%s", text)
	}
	if o.JSON {
		if err := o.PrintJSON(r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(o.Out, "announced to %s, %s\n", inspect.Count(uint64(len(r.Copies)), "node"), haveIt(has))
		there, away := o.present(r.Copies)
		for _, c := range there {
			if c.Outcome.Outcome != models.OutcomeConfirmed {
				_ = o.Say(inspect.Escape(o.Who(c.Peer)) + " " + o.outcomeText(c.Outcome))
			}
		}
		if away != "" {
			_ = o.Say(away)
		}
	}
	if has == 0 {
		return failure.New(inspect.CodeFailed, fmt.Sprintf("try again; \"%s\" shows the connections", o.Command("conns")), "nobody has the announcement")
	}
	return nil
}

// Discovered writes what was found about the holder of a key, and how to reach it.
func Discovered(o *Output, p *models.Peer) error {
	if o.JSON {
		return o.PrintJSON(p)
	}
	var b strings.Builder
	b.WriteString(o.keyLines(p.PublicKey, p.NodeID))
	for _, a := range p.Addresses {
		fmt.Fprintf(&b, "address     %s\n", inspect.Escape(a.Addr))
	}
	if len(p.Addresses) == 0 {
		fmt.Fprintf(&b, "address     none is known\n")
	}
	switch {
	case p.Connection != nil:
		fmt.Fprintf(&b, "Connected. Next: %s\n", o.Command("send --to "+p.PublicKey))
	default:
		fmt.Fprintf(&b, "Next: %s\n", o.Command("dial "+p.PublicKey))
	}
	_, err := fmt.Fprint(o.Out, b.String())
	return err
}

// Synced writes what each node gave. It returns an error if none has answered.
func Synced(o *Output, s *models.Synced) error {
	if o.JSON {
		if err := o.PrintJSON(s); err != nil {
			return err
		}
	} else if err := syncedTable(o, s); err != nil {
		return err
	}
	if s.Answered > 0 {
		return nil
	}
	return failure.New(inspect.CodeFailed, api.ConnectHint, "%s", nobodyAnswered(s))
}

func syncedTable(o *Output, s *models.Synced) error {
	fmt.Fprintf(o.Out, "%d of %s answered; peers: %s\n", s.Answered, inspect.Count(uint64(s.Asked), "node"), learnedText(s.New, s.AlreadyKnown, s.Skipped))
	if len(s.Nodes) == 0 {
		return nil
	}
	rows := [][]string{{"PEER", "SEED", "PEERS", "NEW", "ANSWER"}}
	for _, n := range s.Nodes {
		row := []string{o.Who(n.NodeID), "-", "-", "-", "none: " + shortWords(orUnknown(answerError(n.Error)), answerWidth-len("none: "))}
		if n.Seed {
			row[1] = "yes"
		}
		if n.Answered {
			row[2], row[3], row[4] = inspect.Number(uint64(n.Peers)), inspect.Number(uint64(n.New)), "complete"
			if n.Error != "" {
				row[4] = "in part: " + shortWords(n.Error, answerWidth-len("in part: "))
			}
		}
		rows = append(rows, row)
	}
	return o.Table(rows)
}

// answerError returns the cause of an error without the words about the dial.
func answerError(text string) string {
	return dialPreamble.ReplaceAllString(withoutPeer(text), "")
}

// answerWidth is the widest cell of an answer, so that the table fits 80 columns.
const answerWidth = 42

// nobodyAnswered returns "0 of 3 seeds answered: ID: connection refused; …".
func nobodyAnswered(s *models.Synced) string {
	seeds := 0
	for _, n := range s.Nodes {
		if n.Seed {
			seeds++
		}
	}
	text := "0 of " + inspect.Count(uint64(s.Asked), "node") + " answered"
	if seeds == s.Asked {
		text = "0 of " + inspect.Count(uint64(seeds), "seed") + " answered"
	}
	var parts []string
	for _, n := range s.Nodes {
		parts = append(parts, inspect.ShortName(n.NodeID)+": "+shortWords(orUnknown(answerError(n.Error)), 80))
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// Searching returns a sentence on the search for a key, or "" if there is none.
func (o *Output) Searching(n *models.Network, key string) string {
	for _, r := range n.Searches.Running {
		if r.Key == key {
			return fmt.Sprintf("Searching for %s: %s.", o.WhoKey(key), r.Stage)
		}
	}
	return ""
}

// Asking returns a sentence on the round that is under way, or "" if none is.
func Asking(n *models.Network) string {
	if !strings.HasPrefix(n.Sync.Phase, "asks ") {
		return ""
	}
	return "The node " + n.Sync.Phase + "…"
}

// NotReached returns a sentence on a peer that a search has found, while it goes on.
func (o *Output) NotReached(p *models.Peer) string {
	return "It was found at " + bestAddress(*p) + ", and not reached there so far."
}

// Found returns a sentence on a peer that a search has found.
func (o *Output) Found(p *models.Peer) string {
	text := "Found " + o.whoIs(p)
	if addr := bestAddress(*p); addr != "-" {
		text += " at " + addr
	}
	return text + "."
}
