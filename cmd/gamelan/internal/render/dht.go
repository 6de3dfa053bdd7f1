package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// DHT writes the state of the node's DHT. It fits on one screen.
func DHT(o *Output, d *models.DHT, now time.Time) error {
	b := o.lines()
	line := b.aboutf
	if !d.On {
		line("dht", "%s", dhtText(d))
		return b.print(o)
	}
	plain := "; there are no other messages"
	if d.PlainProtocol != "" {
		plain = "; messages to connected peers have " + d.PlainProtocol
	}
	line("dht", "on, with the protocol %s%s", d.Protocol, plain)
	if d.Forwarding {
		line("forwarding", "messages for others are relayed")
	} else {
		line("forwarding", "of Joins only: other messages for others are dropped")
	}
	line("types", "%s", typesText(d.Types))
	b.about("received", receivedLines(o, d.Inbound, now)...)
	b.about("limits", limitLines(d)...)
	if o := d.Outbound; o != nil {
		sent := Tally{confirmed: o.Confirmed, inDoubt: o.InDoubt, failed: o.Failed}
		text := inspect.Count(o.Sends, "message")
		if o.Copies > 0 {
			text += ", " + copiesText(o.Copies)
		}
		if sent.total() > 0 {
			text += ": " + sent.counts()
		}
		line("sent", "%s", text)
		line("under way", "%s, %s without an outcome", inspect.Count(uint64(o.OpenSends), "message"), copiesText(uint64(o.OpenCopies)))
		line("relayed", "%s", relayedText(o))
		if text := lostText(o); text != "" {
			line("", "%s", text)
		}
		line("pace", "%s had to wait, %s sent again", copiesText(o.Paced), inspect.Number(o.Resent))
		line("memory", "%s being sent, at most %s", Bytes(o.Credit.Used), Bytes(o.Credit.Limit))
		if o.LastError != "" {
			line("last error", "%s", o.LastError)
		}
	} else {
		line("sent", "unknown: the outbound actor does not answer")
	}
	line("dedup", "%s of %s messages remembered, %s seen again", inspect.Number(uint64(d.Dedup.Messages)), inspect.Number(uint64(d.Dedup.Capacity)), inspect.Number(d.Dedup.Repeats))
	if d.Dedup.Fingerprints > 0 || d.Dedup.Early > 0 {
		line("", "%s more known by fingerprints, %s forgotten early", inspect.Number(uint64(d.Dedup.Fingerprints)), inspect.Number(d.Dedup.Early))
	}
	return b.print(o)
}

// limitLines returns lines on the limits for peers, and on the messages above them.
func limitLines(d *models.DHT) (lines []string) {
	if f := d.Flood; f != nil {
		text := inspect.Number(uint64(f.Limit)) + " messages of a peer in a minute that nobody here takes"
		if f.Held > 0 || f.Unread > 0 {
			text += fmt.Sprintf(": %s held at it now, %s dropped unread", inspect.Count(uint64(f.Held), "peer"), inspect.Number(f.Unread))
		}
		lines = append(lines, text)
	}
	if r := d.Relayed; r != nil {
		text := Bytes(r.Limit) + " for others of a source in a minute"
		if r.Refused > 0 {
			text += fmt.Sprintf(": %s more were not relayed", Bytes(int64(r.Refused)))
		}
		lines = append(lines, text)
	}
	return lines
}

// relayedText returns the numbers of other nodes' messages that were relayed and that were
// not, with the reasons.
func relayedText(o *models.DHTOutbound) string {
	text := inspect.Count(o.Relayed, "message") + " of others, " + copiesText(o.RelayedTo)
	if o.Dropped == 0 {
		return text
	}
	text += "; " + inspect.Number(o.Dropped) + " dropped: "
	switch busy := o.Dropped - o.Nobody; {
	case busy == 0:
		return text + "there was no peer to relay them to"
	case o.Nobody == 0:
		return text + "too much was under way"
	default:
		return text + inspect.Number(o.Nobody) + " without a peer to relay them to, " + inspect.Number(busy) + " while too much was under way"
	}
}

// lostText returns a line on the copies of other nodes' messages that have failed, or ""
// if none has.
func lostText(o *models.DHTOutbound) string {
	var total uint64
	var parts []string
	for _, l := range o.Lost {
		total += l.Count
		parts = append(parts, inspect.Number(l.Count)+" "+l.Reason)
	}
	if total == 0 {
		return ""
	}
	return copiesText(total) + " not confirmed: " + strings.Join(parts, ", ") + "; later copies of " + inspect.Count(uint64(o.Unreached), "message") + " go to the peers that these missed"
}

func copiesText(n uint64) string {
	if n == 1 {
		return "1 copy"
	}
	return inspect.Number(n) + " copies"
}

func typesText(types []int32) string {
	if len(types) == 0 {
		return "none: nobody here hears messages over the DHT"
	}
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = strings.TrimPrefix(typeText(t), "type ")
	}
	return strings.Join(texts, ", ")
}

// receivedLines returns the sums of received messages, and why the last one of each kind
// was dropped.
func receivedLines(o *Output, counts []models.DHTCount, now time.Time) []string {
	var total uint64
	var parts, why []string
	for _, c := range counts {
		total += c.Count
		parts = append(parts, inspect.Number(c.Count)+" "+c.Reason)
		if c.LastError != "" {
			why = append(why, fmt.Sprintf("%s %s ago from %s: %s", c.Reason, long(now.Sub(c.LastAt)), o.Who(c.LastPeer), c.LastError))
		}
	}
	text := inspect.Count(total, "message")
	if total > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return append([]string{text}, why...)
}

// dhtText returns the state of the DHT in one line.
func dhtText(d *models.DHT) string {
	if !d.On {
		return "off: see gamelan config explain dht.enabled"
	}
	var in uint64
	for _, c := range d.Inbound {
		in += c.Count
	}
	text := "on: " + inspect.Count(in, "message") + " received"
	if o := d.Outbound; o != nil {
		text += ", " + inspect.Number(o.Sends) + " sent, " + inspect.Number(o.Relayed) + " relayed"
		if o.OpenSends > 0 {
			text += ", " + inspect.Number(uint64(o.OpenSends)) + " under way"
		}
	}
	return text
}
