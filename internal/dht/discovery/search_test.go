package discovery_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/dht"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/discovery"
)

// searches is a machine and the names of a script.
type searches struct {
	*discovery.Searches[string]
	begin, now time.Time
	nonces     []uint64 // in the order of the Discoveries
}

const us = "Us"

// named returns the key that stands for a name of a script.
func named(name string) (key identity.PublicKey) {
	copy(key[:], name)
	return key
}

func nameOf(key identity.PublicKey) string { return strings.TrimRight(string(key[:]), "\x00") }

func newSearches() *searches {
	begin := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	return &searches{
		Searches: discovery.NewSearches[string](named(us), 0, rand.New(rand.NewPCG(1, 2))),
		begin:    begin, now: begin,
	}
}

// do applies an event and returns its effects as text.
func (s *searches) do(e discovery.SearchEvent) string { return texts(s, s.Step(s.now, e)) }

// texts returns effects as text. Nonces are numbered from 1 on.
func texts(s *searches, effects []discovery.SearchEffect) string {
	var out strings.Builder
	for _, effect := range effects {
		switch effect := effect.(type) {
		case discovery.AskLists:
			out.WriteString("ask for peer lists\n")
		case discovery.SendDiscovery:
			s.nonces = append(s.nonces, effect.Nonce)
			if key, ok := s.Asked(effect.Nonce); !ok || key != effect.Key {
				out.WriteString("the nonce is not remembered\n")
			}
			fmt.Fprintf(&out, "discovery %d of %s\n", len(s.nonces), nameOf(effect.Key))
		case discovery.Answer[string]:
			text := "found"
			if effect.Err != nil {
				text = effect.Err.Error()
			}
			fmt.Fprintf(&out, "%s: %s %s\n", effect.Waiter, nameOf(effect.Key), text)
		}
	}
	return cmp.Or(out.String(), "nothing")
}

func (s *searches) nonce(t *testing.T, d *datadriven.TestData) uint64 {
	var n int
	d.ScanArgs(t, "nonce", &n)
	if n == 0 {
		return 0
	}
	return s.nonces[n-1]
}

// TestSearches runs the scripts. "find WAITER key=K" asks for a peer, which is "known" or
// "banned", "for" so long; "clock 5s" sets the time and ticks; "stored K", "lists-ended",
// "sent nonce=N reached=M" and "bad nonce=N" are the other events. "abandon" ends all; "asked nonce=N" says
// whom a nonce searches; "running", "stats" and "next" show the state.
//
// conforms: dht 83, 88, 90
// conforms: V 22
func TestSearches(t *testing.T) {
	s := newSearches()
	datadriven.RunTest(t, "testdata/searches.txt", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "new":
			s = newSearches()
			return "ready"
		case "clock":
			offset, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			s.now = s.begin.Add(offset)
			return s.do(discovery.Tick{})
		case "find":
			e := discovery.Find[string]{Waiter: d.CmdArgs[0].Key, Until: s.now.Add(time.Hour)}
			var key, until string
			d.ScanArgs(t, "key", &key)
			if d.MaybeScanArgs(t, "for", &until); until != "" {
				limit, err := time.ParseDuration(until)
				if err != nil {
					t.Fatal(err)
				}
				e.Until = s.now.Add(limit)
			}
			e.Key = named(key)
			switch {
			case d.HasArg("known"):
				e.Peer = discovery.Known
			case d.HasArg("banned"):
				e.Peer = discovery.KnownBanned
			}
			return s.do(e)
		case "stored":
			return s.do(discovery.Stored{Key: named(d.CmdArgs[0].Key)})
		case "lists-ended":
			return s.do(discovery.ListsEnded{})
		case "sent":
			var reached int
			d.ScanArgs(t, "reached", &reached)
			return s.do(discovery.SendEnded{Nonce: s.nonce(t, d), Reached: reached})
		case "bad":
			return s.do(discovery.SearchFailed{Nonce: s.nonce(t, d), Err: errors.New("bad signature")})
		case "abandon":
			return texts(s, s.Abandon(errors.New("restarted")))
		case "asked":
			if key, ok := s.Asked(s.nonce(t, d)); ok {
				return nameOf(key)
			}
			return "nobody"
		case "running":
			var out strings.Builder
			for _, r := range s.Running() {
				fmt.Fprintf(&out, "%s: %v since %s, %d waiters\n", nameOf(r.Key), r.Stage, r.Since.Sub(s.begin), r.Waiters)
			}
			return cmp.Or(out.String(), "none")
		case "stats":
			return fmt.Sprintf("%+v", s.Stats())
		case "next":
			if s.Next().IsZero() {
				return "never"
			}
			return s.Next().Sub(s.begin).String()
		}
		t.Fatalf("unknown command %q", d.Cmd)
		return ""
	})
}

// TestSearchForOurselves is the only search that is refused without looking.
func TestSearchForOurselves(t *testing.T) {
	s := newSearches()
	effects := s.Step(s.now, discovery.Find[string]{Waiter: "w", Key: named(us), Until: s.now.Add(time.Hour)})
	if len(effects) != 1 || !errors.Is(effects[0].(discovery.Answer[string]).Err, dht.ErrSelf) {
		t.Errorf("got %+v, want ErrSelf", effects)
	}
}

// TestSearchLimits: neither searches nor their waiters grow without bound, and one search
// more is possible when one has ended.
func TestSearchLimits(t *testing.T) {
	s := newSearches()
	find := func(key string) (refused bool) {
		t.Helper()
		effects := s.Step(s.now, discovery.Find[string]{Waiter: "w", Key: named(key), Until: s.now.Add(time.Hour)})
		return slices.ContainsFunc(effects, func(e discovery.SearchEffect) bool {
			a, ok := e.(discovery.Answer[string])
			return ok && errors.Is(a.Err, discovery.ErrTooManySearches)
		})
	}
	for i := range discovery.MaxSearches {
		if find(fmt.Sprint("K", i)) {
			t.Fatalf("search %d was refused, want %d", i+1, discovery.MaxSearches)
		}
	}
	if !find("one more") {
		t.Error("a search above the limit was begun")
	}
	for i := range discovery.MaxWaiters - 1 {
		if find("K0") {
			t.Fatalf("waiter %d was refused, want %d", i+2, discovery.MaxWaiters)
		}
	}
	if !find("K0") {
		t.Error("a waiter above the limit was accepted")
	}
	s.Step(s.now, discovery.Stored{Key: named("K0")})
	if find("one more") {
		t.Error("there is no room after a search has ended")
	}
	if got := s.Stats().Refused; got != 2 {
		t.Errorf("got %d refused, want 2", got)
	}
}
