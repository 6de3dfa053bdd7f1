package saf_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/saf"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// clientScript is a client and the clocks of a script.
type clientScript struct {
	*saf.Client[string]
	begin, now time.Time
	step       time.Duration // of the wall clock
	ids        map[uint32]bool
	opened     map[identity.NodeID]int
	asks       map[identity.NodeID][]uint32
	conns      map[identity.NodeID]uint64 // the last connection
}

func newClientScript(o saf.ClientOptions) *clientScript {
	if o.Random == nil {
		o.Random = rand.New(rand.NewPCG(1, 2))
	}
	return &clientScript{
		Client: saf.NewClient[string](o), begin: wall, now: wall,
		ids: make(map[uint32]bool), opened: make(map[identity.NodeID]int),
		asks: make(map[identity.NodeID][]uint32), conns: make(map[identity.NodeID]uint64),
	}
}

func (s *clientScript) wall() time.Time { return s.now.Add(s.step) }

// peerNamed returns the peer of a name, whose letters are its distance from us.
func peerNamed(name string) (id identity.NodeID) {
	copy(id[:], name)
	return id
}

func nameOf(id identity.NodeID) string { return strings.TrimRight(string(id[:]), "\x00") }

// TestClient runs testdata/client/*.txt. A command is an event, and the lines below it are
// its effects.
//
//	new [no-requests] [since-last] [minimise=N]   makes a client
//	connect A [client], disconnect A [late], online N
//	                             each connection is a new one; late: the one before it has ended
//	fetch WAITER [A B], gave-up WAITER
//	not-sent A [late]            the last request; late: the one before it
//	missed
//	at TIME [quietly]            moves the clock to a time since the beginning, and is due
//	set-clock TIME               sets the wall clock so far ahead of the other one
//	open A [stranger]            a response comes; it has no number, or one that no request has
//	answer A new=1-50 old=1-9 refused=3 hand=4 damaged=5 bytes=N stored=TIME [ahead] err=TEXT [offence]
//	                             the response has these messages; opens it if it is not open
//	servers, asked, stats, next, watermarks, abandon
//
// conforms: dht 96, 97, 101, 102, 107, 110; V 21
func TestClient(t *testing.T) {
	datadriven.Walk(t, "testdata/client", func(t *testing.T, path string) {
		var s *clientScript
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "new" {
				o := saf.ClientOptions{NoRequests: d.HasArg("no-requests"), SinceLast: d.HasArg("since-last")}
				d.MaybeScanArgs(t, "minimise", &o.Minimise)
				s = newClientScript(o)
				return "ready"
			}
			return s.run(t, d)
		})
	})
}

func (s *clientScript) run(t *testing.T, d *datadriven.TestData) string {
	first := ""
	if len(d.CmdArgs) > 0 {
		first = d.CmdArgs[0].Key
	}
	var e saf.ClientEvent
	switch d.Cmd {
	case "connect":
		s.conns[peerNamed(first)]++
		e = saf.Connected{Peer: peerNamed(first), Conn: s.conns[peerNamed(first)], Serves: !d.HasArg("client")}
	case "disconnect":
		conn := s.conns[peerNamed(first)]
		if d.HasArg("late") {
			conn--
		}
		e = saf.Disconnected{Peer: peerNamed(first), Conn: conn}
	case "online":
		n, _ := strconv.Atoi(first)
		e = saf.Online{Peers: n}
	case "fetch":
		f := saf.Fetch[string]{Waiter: first}
		for _, a := range d.CmdArgs[1:] {
			f.Servers = append(f.Servers, peerNamed(a.Key))
		}
		e = f
	case "gave-up":
		e = saf.GaveUp[string]{Waiter: first}
	case "not-sent":
		n := saf.NotSent{Peer: peerNamed(first), Err: errors.New("no room")}
		list := s.asks[n.Peer]
		if d.HasArg("late") {
			list = list[:len(list)-1]
		}
		if len(list) > 0 {
			n.ID = list[len(list)-1]
		}
		e = n
	case "missed":
		e = saf.Missed{}
	case "set-clock":
		s.step = duration(t, first)
		return "ready"
	case "at":
		s.now = s.begin.Add(duration(t, first))
		if d.HasArg("quietly") {
			return "ready"
		}
		e = saf.Due{}
	case "open":
		return s.open(peerNamed(first), d.HasArg("stranger"))
	case "answer":
		if s.opened[peerNamed(first)] == 0 {
			if text := s.open(peerNamed(first), false); text != "taken" {
				return text
			}
		}
		s.opened[peerNamed(first)]--
		e = s.answer(t, d, peerNamed(first))
	case "abandon":
		return s.texts(s.Abandon(s.now, s.wall(), errors.New("restarted")))
	default:
		return s.state(t, d)
	}
	return s.texts(s.Step(s.now, s.wall(), e))
}

func (s *clientScript) open(peer identity.NodeID, stranger bool) string {
	id := uint32(0)
	for stranger && (id == 0 || s.ids[id]) {
		id++
	}
	if !s.Open(s.now, peer, id) {
		return "unrequested"
	}
	s.opened[peer]++
	return "taken"
}

// answer returns the end of a response.
func (s *clientScript) answer(t *testing.T, d *datadriven.TestData, peer identity.NodeID) saf.Answered {
	e := saf.Answered{Peer: peer}
	stored := ""
	d.MaybeScanArgs(t, "stored", &stored)
	at := uint64(s.wall().Add(-time.Minute).Unix())
	if stored != "" {
		at = uint64(s.begin.Add(duration(t, stored)).Unix())
	}
	for _, kind := range []string{"new", "old", "refused", "hand", "damaged"} {
		for _, n := range numbers(t, d, kind) {
			e.Messages++
			h := wire.Hash{byte(n), byte(n >> 8), byte(n >> 16)}
			e.Hashes = append(e.Hashes, h)
			switch kind {
			case "old":
				e.Skipped[saf.SkipDuplicate]++
				continue
			case "damaged":
				e.Skipped[saf.SkipUndecryptable]++
				continue
			case "hand":
				e.Deliveries = append(e.Deliveries, saf.InHand)
			case "new":
				e.Deliveries = append(e.Deliveries, saf.Delivered)
			case "refused":
				e.Deliveries = append(e.Deliveries, saf.Refused)
			}
			e.Letters = append(e.Letters, saf.Letter{Hash: h, StoredAt: at})
		}
	}
	switch {
	case d.HasArg("ahead"):
		e.Ahead = len(e.Letters)
	case e.Messages > 0:
		e.Newest = at
	}
	d.MaybeScanArgs(t, "bytes", &e.Bytes)
	var text string
	if d.MaybeScanArgs(t, "err", &text); text != "" {
		e.Err = errors.New(text)
	}
	if d.HasArg("offence") {
		e.Violation = protocol.Violated("dht", protocol.BanLong, e.Err)
	}
	return e
}

// numbers returns the numbers of an argument such as new=1-50.
func numbers(t *testing.T, d *datadriven.TestData, name string) (list []int) {
	var text string
	if d.MaybeScanArgs(t, name, &text); text == "" {
		return nil
	}
	from, to, found := strings.Cut(text, "-")
	if !found {
		to = from
	}
	a, err := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	if err != nil || err2 != nil {
		t.Fatalf("no numbers: %q", text)
	}
	for ; a <= b; a++ {
		list = append(list, a)
	}
	return list
}

// texts returns effects as text. Two requests with one number would be noted there.
func (s *clientScript) texts(effects []saf.ClientEffect) string {
	var b strings.Builder
	for _, effect := range effects {
		switch f := effect.(type) {
		case saf.Ask:
			fmt.Fprintf(&b, "ask %s for %d since %s\n", nameOf(f.Peer), f.Request.Limit, s.unix(f.Request.Since))
			if s.ids[f.Request.RequestID] {
				b.WriteString("the number is not new\n")
			}
			s.ids[f.Request.RequestID] = true
			s.asks[f.Peer] = append(s.asks[f.Peer], f.Request.RequestID)
		case saf.Done[string]:
			fmt.Fprintf(&b, "%s:", f.Waiter)
			if f.Err != nil {
				fmt.Fprintf(&b, " %v\n", f.Err)
				continue
			}
			fmt.Fprintf(&b, " %d delivered", f.Delivered())
			if f.Complete() {
				b.WriteString(", complete")
			}
			b.WriteString("\n")
			for _, r := range f.Servers {
				fmt.Fprintf(&b, "  %s\n", resultText(r))
			}
		case saf.Save:
			fmt.Fprintf(&b, "save %s until %s\n", nameOf(f.Server), s.unix(f.Stored))
		case saf.Silent:
			fmt.Fprintf(&b, "%s is silent till %v\n", nameOf(f.Peer), f.Till.Sub(s.begin))
		case saf.Received:
			fmt.Fprintf(&b, "received after %d responses\n", f.Responses)
		default:
			fmt.Fprintf(&b, "%T\n", f)
		}
	}
	return cmp.Or(b.String(), "nothing")
}

func resultText(r dht.FetchResult) string {
	text := fmt.Sprintf("%s: %d answers, %d messages: %d delivered, %d duplicates, %d refused, %d skipped",
		nameOf(r.Server), r.Answers, r.Messages, r.Delivered, r.Duplicates, r.Refused, r.Skipped)
	if r.Ahead > 0 {
		text += fmt.Sprintf(", %d ahead", r.Ahead)
	}
	if r.Err != nil {
		text += "; " + r.Err.Error()
	}
	return text
}

// unix returns a Unix time as the time since the beginning.
func (s *clientScript) unix(at uint64) string {
	if at == 0 {
		return "ever"
	}
	return time.Unix(int64(at), 0).Sub(s.begin).String()
}

func (s *clientScript) state(t *testing.T, d *datadriven.TestData) string {
	var b strings.Builder
	switch d.Cmd {
	case "servers":
		for _, r := range s.Servers(s.now) {
			fmt.Fprintf(&b, "%s: connected %v, serves %v, in flight %d, unanswered %d", nameOf(r.Peer), r.Connected, r.Serves, r.InFlight, r.Unanswered)
			if !r.SilentTill.IsZero() {
				fmt.Fprintf(&b, ", silent till %v", r.SilentTill.Sub(s.begin))
			}
			if !r.NextAt.IsZero() {
				fmt.Fprintf(&b, ", next %v", r.NextAt.Sub(s.begin))
			}
			if !r.LastAt.IsZero() {
				fmt.Fprintf(&b, ", last %v %s", r.LastAt.Sub(s.begin), resultText(r.Last))
			}
			if r.Running != nil {
				fmt.Fprintf(&b, ", %v, automatic %v, %d answers", r.Running.Stage, r.Running.Automatic, r.Running.Result.Answers)
			}
			b.WriteString("\n")
		}
	case "asked":
		for _, id := range s.Asked() {
			fmt.Fprintf(&b, "%s\n", nameOf(id))
		}
	case "stats":
		fmt.Fprintf(&b, "%+v", s.Stats())
	case "next":
		if next := s.Next(); !next.IsZero() {
			return next.Sub(s.begin).String()
		}
		return "never"
	case "watermarks":
		for _, m := range s.Watermarks() {
			fmt.Fprintf(&b, "%s until %s, at %v\n", nameOf(m.Server), s.unix(m.Stored), time.Unix(m.At, 0).Sub(s.begin))
		}
	default:
		t.Fatalf("unknown command %q", d.Cmd)
	}
	return cmp.Or(b.String(), "none")
}

func duration(t testing.TB, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
