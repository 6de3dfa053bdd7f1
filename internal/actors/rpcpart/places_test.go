package rpcpart

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/share"
)

// TestPlaces runs testdata/places.txt. "enter KEY from IP" has a peer begin a session, for which
// others make way; sessions are numbered from 1 on.
//
// conforms: V 39
func TestPlaces(t *testing.T) {
	type session struct {
		occupant
		number int
		key    string
	}
	begin := time.Unix(0, 0)
	var p *places
	var all []*session
	var now time.Time
	serial := 0
	datadriven.RunTest(t, "testdata/places.txt", func(t *testing.T, d *datadriven.TestData) string {
		arg := func(name string) (value string) {
			if d.HasArg(name) {
				d.ScanArgs(t, name, &value)
			}
			return value
		}
		var out strings.Builder
		switch d.Cmd {
		case "new":
			most := 0
			d.ScanArgs(t, "most", &most)
			idle, err := time.ParseDuration(arg("idle"))
			if err != nil {
				t.Fatal(err)
			}
			p, all, now, serial = newPlaces(most, idle), nil, begin, 0
			fmt.Fprintf(&out, "rest %v", p.rest)
		case "wait":
			by, err := time.ParseDuration(d.CmdArgs[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(by)
			fmt.Fprintf(&out, "at %v", now.Sub(begin))
		case "enter":
			h := holder{Source: sourceOf(arg("from"))}
			key := d.CmdArgs[0].Key
			copy(h.Key[:], key)
			for full, _ := p.full(); full; full, _ = p.full() {
				states := make([]occupant, len(all))
				for i, s := range all {
					states[i] = s.occupant
				}
				i := p.way(now, h, states)
				if i < 0 {
					return out.String() + "refused"
				}
				fmt.Fprintf(&out, "%d of %s makes way\n", all[i].number, all[i].key)
				p.leave(all[i].holder, all[i].doing == silent)
				all = slices.Delete(all, i, i+1)
			}
			p.enter(h)
			serial++
			s := &session{occupant{h, silent, now, d.HasArg("last")}, serial, key}
			if all = append(all, s); !d.HasArg("silent") {
				p.accepted(h)
				s.doing = idle
			}
			fmt.Fprintf(&out, "%d entered", serial)
		default: // what sessions do
			for _, a := range d.CmdArgs {
				i := slices.IndexFunc(all, func(s *session) bool { return fmt.Sprint(s.number) == a.Key })
				switch s := all[i]; d.Cmd {
				case "busy":
					s.doing = busy
				case "idle":
					s.doing, s.since = idle, now
				case "accepted":
					p.accepted(s.holder)
					s.doing, s.since = idle, now
				case "ended":
					p.leave(s.holder, s.doing == silent)
					all = slices.Delete(all, i, i+1)
				default:
					t.Fatalf("unknown command %q", d.Cmd)
				}
			}
			fmt.Fprintf(&out, "%d sessions, %d handshakes", p.sessions, p.handshakes)
		}
		return out.String()
	})
}

func sourceOf(from string) share.Source {
	switch from {
	case "us":
		return share.None
	case "tor":
		return share.Exempt
	}
	return share.Of(netip.MustParseAddr(from))
}

// BenchmarkWay chooses among a thousand idle sessions of as many sources.
func BenchmarkWay(b *testing.B) {
	p := newPlaces(1000, 10*time.Minute)
	var all []occupant
	for i := range 1000 {
		h := holder{Source: share.Of(netip.AddrFrom4([4]byte{9, byte(i >> 4), byte(i), 1})), Key: identity.NodeID{byte(i), byte(i >> 8)}}
		p.enter(h)
		p.accepted(h)
		all = append(all, occupant{holder: h, doing: idle})
	}
	newcomer := holder{Source: share.Exempt}
	for b.Loop() {
		if p.way(time.Unix(1<<30, 0), newcomer, all) < 0 {
			b.Fatal("nobody makes way")
		}
	}
}
