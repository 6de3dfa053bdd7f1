package render

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Kad writes the state of the clients of the key-value DHT.
func Kad(o *Output, v *models.Kad) error {
	b := o.lines()
	b.sentence(v.Summary)
	if len(v.Clients) == 0 {
		b.sentence("Next: " + api.NoKadHint + ".")
	}
	alone := false
	for i := range v.Clients {
		fmt.Fprintln(b)
		kadClientLines(b, &v.Clients[i])
		alone = alone || v.Clients[i].Contacts == 0 && v.Clients[i].Overlay == "native"
	}
	if alone {
		fmt.Fprintln(b)
		b.sentence("Next: " + api.KadConnectHint + ".")
	}
	return b.print(o)
}

// KadText returns the state of the clients in a few words.
func KadText(v *models.Kad) string {
	parts := make([]string, len(v.Clients))
	for i := range v.Clients {
		c := &v.Clients[i]
		records := kadSilent
		if c.Records != nil && c.Own != nil {
			records = fmt.Sprintf("stores %s, publishes %s", inspect.Count(uint64(*c.Records), "record"), inspect.Number(uint64(*c.Own)))
		}
		parts[i] = fmt.Sprintf("%s %s, %s, %s", c.Name, c.State, inspect.Count(uint64(c.Contacts), "contact"), records)
		if c.Trouble != "" {
			parts[i] += ", cannot write to the disk"
		}
	}
	return "key-value DHT: " + strings.Join(parts, "; ")
}

// kadSilent stands for the numbers of records that are not known.
const kadSilent = "its store has not answered"

func kadClientLines(b *lines, c *models.KadClient) {
	var all models.KadRequests
	for _, r := range c.Requests {
		all = models.KadRequests{ // Took is shown with --json only
			Sent: all.Sent + r.Sent, Resent: all.Resent + r.Resent, Answered: all.Answered + r.Answered, Lost: all.Lost + r.Lost, Served: all.Served + r.Served,
		}
	}
	number := inspect.Number
	b.about("client", fmt.Sprintf("%s, overlay %s, mode %s", c.Name, c.Overlay, c.Mode))
	b.about("state", c.State)
	if c.Trouble != "" {
		b.about("disk", "stores nothing for others: "+c.Trouble)
	}
	b.about("id", c.ID)
	b.about("over", c.Networks...)
	b.about("addresses", c.Addresses...)
	b.about("contacts", fmt.Sprintf("%s in %s", number(uint64(c.Contacts)), inspect.Count(uint64(c.Buckets), "bucket")))
	stores, own := "not known: "+kadSilent, "not known"
	if c.Records != nil && c.Bytes != nil {
		stores = fmt.Sprintf("%s for others, %s", inspect.Count(uint64(*c.Records), "record"), Bytes(int64(*c.Bytes)))
	}
	if c.Cached != nil && *c.Cached > 0 {
		stores += fmt.Sprintf(", %s of them cached", number(uint64(*c.Cached)))
	}
	if c.Own != nil {
		own = inspect.Count(uint64(*c.Own), "record")
	}
	b.about("stores", stores)
	b.about("publishes", fmt.Sprintf("%s; %s, %s of them at too few nodes", own, inspect.Count(c.Puts, "put"), number(c.Partial)))
	b.about("lookups", fmt.Sprintf("%s, %s found a value, %s failed", number(c.Lookups), number(c.Found), number(c.Failed)))
	b.about("asked", fmt.Sprintf("%s, %s answered, %s lost", inspect.Count(all.Sent, "request"), number(all.Answered), number(all.Lost)))
	b.about("asked by", fmt.Sprintf("%s; refused %s", inspect.Count(all.Served, "request"), countsText(c.Refused, "none")))
	if c.Malformed+c.Busy+c.Unsolicited > 0 {
		b.about("dropped", fmt.Sprintf("%s malformed, %s while busy, %s answers to no request", number(c.Malformed), number(c.Busy), number(c.Unsolicited)))
	}
	if c.Damaged > 0 {
		b.about("damaged", inspect.Count(c.Damaged, "record")+" of the disk could not be read")
	}
}

// KadContacts writes the contacts of the clients.
func KadContacts(o *Output, list []models.KadContacts, now time.Time) error {
	if o.JSON {
		return Each(o, list)
	}
	rows := [][]string{{"ID", "BUCKET", "STATE", "RTT", "ANSWERED", "ADDRESS"}}
	for _, c := range list {
		for i := range c.Contacts {
			x := &c.Contacts[i]
			state, rtt, at := "live", "-", "-"
			if x.Failures > 0 {
				state = "doubtful"
			}
			if x.RTT > 0 {
				rtt = milliseconds(x.RTT)
			}
			if len(x.Addresses) > 0 {
				at = x.Addresses[0]
			}
			rows = append(rows, []string{shortKey(x.ID), fmt.Sprint(x.Bucket), state, rtt, shortSince(x.AnsweredAt, now), at})
		}
	}
	if len(rows) == 1 {
		o.Note("no contacts")
		return nil
	}
	return o.Table(rows)
}

func milliseconds(s float64) string { return fmt.Sprintf("%.0fms", s*1000) }

// shortKey returns the beginning of a key or id.
func shortKey(id string) string { return id[:min(len(id), 16)] }

// kadBucket counts the contacts of one bucket.
type kadBucket struct {
	Client   string `json:"client"`
	Bucket   int    `json:"bucket"`
	Contacts int    `json:"contacts"`
	Doubtful int    `json:"doubtful"`
}

// KadBuckets writes how many contacts each bucket has.
func KadBuckets(o *Output, list []models.KadContacts) error {
	buckets := []kadBucket{}
	for _, c := range list {
		for i := range c.Contacts {
			x := &c.Contacts[i]
			at := slices.IndexFunc(buckets, func(b kadBucket) bool { return b.Client == c.Client && b.Bucket == x.Bucket })
			if at < 0 {
				at = len(buckets)
				buckets = append(buckets, kadBucket{Client: c.Client, Bucket: x.Bucket})
			}
			buckets[at].Contacts++
			if x.Failures > 0 {
				buckets[at].Doubtful++
			}
		}
	}
	if o.JSON {
		return Each(o, buckets)
	}
	rows := [][]string{{"CLIENT", "BUCKET", "CONTACTS", "DOUBTFUL"}}
	for _, b := range buckets {
		rows = append(rows, []string{b.Client, fmt.Sprint(b.Bucket), fmt.Sprint(b.Contacts), fmt.Sprint(b.Doubtful)})
	}
	return o.Table(rows)
}

// KadOwn writes what the clients publish.
func KadOwn(o *Output, list []models.KadPublications, now time.Time) error {
	if o.JSON {
		return Each(o, list)
	}
	rows := [][]string{{"KEY", "KIND", "BYTES", "SEQ", "AGAIN IN"}}
	silent := false
	for _, c := range list {
		if c.Error != "" {
			silent = true
			o.Note("gamelan: what the client %s publishes is not known: %s", inspect.Escape(c.Client), inspect.Escape(c.Error))
		}
		for i := range c.Publications {
			p := &c.Publications[i]
			kind, due := p.Kind, "-"
			if p.Deleted {
				kind = "deleted"
			}
			if !p.DueAt.IsZero() {
				due = shortAge(max(0, p.DueAt.Sub(now)))
			}
			rows = append(rows, []string{p.Key, kind, fmt.Sprint(p.Bytes), fmt.Sprint(p.Seq), due})
		}
	}
	if len(rows) == 1 {
		if !silent {
			o.Note("nothing is published")
		}
		return nil
	}
	return o.Table(rows)
}

// KadConnected writes which node has answered.
func KadConnected(o *Output, v *models.KadConnected) error {
	_, err := fmt.Fprintf(o.Out, "%s answers\n", v.ID)
	return err
}

// KadForgotten writes that a record is not published any more.
func KadForgotten(o *Output, v *models.KadForgotten) error {
	_, err := fmt.Fprintf(o.Out, "%s is published no more\n", v.Key)
	return err
}

// KadReport writes the key of what was published to standard output, and what became of
// it to standard error.
func KadReport(o *Output, r *models.KadReport) error {
	if o.JSON {
		return o.PrintJSON(r)
	}
	if _, err := fmt.Fprintln(o.Out, r.Key); err != nil {
		return err
	}
	seq := ""
	if r.Seq > 0 {
		seq = ", seq " + inspect.Number(r.Seq)
	}
	o.Note("%d of %d asked nodes store it%s", r.Accepted, len(r.Outcomes), seq)
	for i := range r.Outcomes {
		if x := &r.Outcomes[i]; x.State != "stored" && x.State != "sent" {
			text := x.State
			if x.Why != "" {
				text += ": " + x.Why
			}
			o.Note("%s  %s", shortKey(x.ID), inspect.Escape(text))
		}
	}
	if r.Error != "" {
		o.Note("gamelan: %s", inspect.Escape(r.Error))
	}
	return nil
}

// KadRecord writes the value of a record as it is, unless to a [Terminal].
func KadRecord(o *Output, r *models.KadRecord) error {
	_, err := o.Out.Write(r.Value)
	return err
}

// KadTrace writes the steps of a lookup as they come.
type KadTrace struct {
	o     *Output
	find  bool
	found bool
}

// NewKadTrace returns a KadTrace of a lookup of nodes (find), or of a value.
func NewKadTrace(o *Output, find bool) *KadTrace { return &KadTrace{o: o, find: find} }

// Found reports whether the lookup has found what it looked for.
func (t *KadTrace) Found() bool { return t.found }

// Step writes one step, or the end.
func (t *KadTrace) Step(s *models.KadStep) error {
	if s.End != nil {
		t.found = t.find || s.End.Record != nil
	}
	if t.o.JSON {
		return t.o.PrintJSON(s)
	}
	switch {
	case s.Step != nil:
		return t.hop(s.Step)
	case s.End != nil:
		return t.end(s.End)
	}
	return nil
}

func (t *KadTrace) hop(h *models.KadHop) error {
	at := "-"
	if len(h.Addresses) > 0 {
		at = h.Addresses[0]
	}
	what := h.State
	if h.Record {
		what = "VALUE"
	}
	text := fmt.Sprintf("+%.3fs  h%d #%-3d %s  %-28s %-9s", h.AtSeconds, h.Hop, h.Rank, shortKey(h.ID), inspect.Escape(at), what)
	if h.TookSeconds > 0 {
		text += fmt.Sprintf(" %5s", milliseconds(h.TookSeconds))
	}
	if h.Gained > 0 {
		text += fmt.Sprintf("  +%d closer", h.Gained)
	}
	if h.Best > h.BestBefore {
		text += fmt.Sprintf(" (best cpl %d -> %d)", h.BestBefore, h.Best)
	}
	_, err := fmt.Fprintln(t.o.Out, strings.TrimRight(text, " "))
	return err
}

func (t *KadTrace) end(e *models.KadEnd) error {
	_, err := fmt.Fprintf(t.o.Out, "done: %s, %s, %s, %d answered, %d failed, %d slow, %s in, %s\n", e.Reason, inspect.Count(uint64(e.Hops), "hop"),
		inspect.Count(uint64(e.Asked), "request"), e.Answers, e.Failures, e.Slowed, Bytes(int64(e.Bytes)), milliseconds(e.TookSeconds))
	if err != nil || e.Record == nil {
		for _, n := range e.Nearest {
			if err == nil {
				_, err = fmt.Fprintf(t.o.Out, "  %s  %s\n", n.ID, inspect.Escape(strings.Join(n.Addresses, " ")))
			}
		}
		return err
	}
	text := e.Record.Kind
	if e.Record.Seq > 0 {
		text += fmt.Sprintf(", seq %d", e.Record.Seq)
	}
	_, err = fmt.Fprintf(t.o.Out, "value: %s, %s\n", Bytes(int64(len(e.Record.Value))), text)
	return err
}
