package machines

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/tests/internal/tarinodes"
	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// tari is a Tari node on a machine.
type tari struct {
	t       *testing.T
	m       *bed.Machine
	process *bed.Process
	stdin   io.Writer
	key     string
	last    int
}

// startTari starts a Tari node on the port of nodes.
func startTari(t *testing.T, m *bed.Machine, release string) *tari {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	at := fmt.Sprintf("/ip4/%s/tcp/%d", m.Addr(), bed.Port)
	p := &tari{t: t, m: m, stdin: w, process: m.Start(r, tarinodes.Program(release), "--listen", at, "--public", at, "--dht", "true")}
	var id struct{ Key string }
	p.must("identity", nil, &id)
	p.key = id.Key
	return p
}

func (p *tari) line() string { return fmt.Sprintf("%s::/ip4/%s/tcp/%d", p.key, p.m.Addr(), bed.Port) }

// ask runs a command of the node and decodes its answer. It returns the error of the node.
func (p *tari) ask(cmd string, args map[string]any, result any) (trouble string) {
	p.t.Helper()
	p.last++
	command := map[string]any{"id": p.last, "cmd": cmd}
	maps.Copy(command, args)
	line, err := json.Marshal(command)
	if err == nil {
		_, err = p.stdin.Write(append(line, '\n'))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(connecting); time.Now().Before(end); time.Sleep(lookEvery / 10) {
		for line := range strings.Lines(p.process.Out()) {
			var answer struct {
				ID    int
				OK    json.RawMessage
				Error string
			}
			if json.Unmarshal([]byte(line), &answer) != nil || answer.ID != p.last {
				continue
			}
			if answer.Error != "" || result == nil {
				return answer.Error
			}
			if err := json.Unmarshal(answer.OK, result); err != nil {
				p.t.Fatal(err)
			}
			return ""
		}
	}
	p.t.Fatalf("Tari node on %s: %s: got no answer within %v", p.m.Name, cmd, connecting)
	return ""
}

// must is ask for commands that have to work.
func (p *tari) must(cmd string, args map[string]any, result any) {
	p.t.Helper()
	if trouble := p.ask(cmd, args, result); trouble != "" {
		p.t.Fatalf("Tari node on %s: %s: %s", p.m.Name, cmd, trouble)
	}
}

// heard returns the bodies of the messages that the node's DHT has delivered.
func (p *tari) heard() map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(p.process.Out()) {
		var d struct{ Event, Body string }
		if json.Unmarshal([]byte(line), &d) == nil && d.Event == "delivered" {
			body, _ := hex.DecodeString(d.Body)
			all[string(body)] = true
		}
	}
	return all
}

// send sends a message to the holder of a key, and reports whether it has gone to one peer.
func (p *tari) send(to, body string) bool {
	p.t.Helper()
	var got struct{ Copies []struct{ Ended string } }
	trouble := p.ask("dht_send", map[string]any{"to": "key", "peer": to, "seal": "signed", "type": 1225, "body": hex.EncodeToString([]byte(body))}, &got)
	return trouble == "" && len(got.Copies) == 1 && got.Copies[0].Ended == "sent"
}

// TestTari: a node among Tari nodes of both releases changes its address, and its cable is
// pulled and put in again. Nobody is banned, and all messages arrive.
//
// feature: an address change and a cable beside Tari nodes
func TestTari(t *testing.T) {
	if err := tarinodes.Missing(tarinodes.Releases...); err != nil {
		t.Fatal(err)
	}
	net := fresh(t)
	here := net.Machine("A")
	peers := []*tari{startTari(t, net.Machine("B"), tarinodes.Releases[0]), startTari(t, net.Machine("C"), tarinodes.Releases[1])}
	here.Node("--listen", bed.Listen, "--peer", peers[0].line(), "--peer", peers[1].line())
	key := here.Key()
	listen := here.Gamelan("listen", "--json")
	var sends []*bed.Process
	for _, p := range peers {
		net.Within(connecting, "connected with "+p.m.Name, func() bool { return here.Try("dial", p.line()).Code() == 0 })
		sends = append(sends, here.Shell(fmt.Sprintf(`i=0
			while [ ! -e stop ]; do
				i=$((i+1))
				until gamelan send --quiet --sign --to %s "message $i" >&2; do sleep 0.5; done
				sleep 0.2
			done
			echo $i`, p.key)))
	}
	theirs := 0 // messages of both
	// speak waits until both nodes have heard a message more, and we have heard one of each.
	speak := func(when string) {
		t.Helper()
		for _, p := range peers {
			before := len(p.heard())
			took := net.Within(connecting, p.m.Name+" hears us "+when, func() bool { return len(p.heard()) > before })
			t.Logf("%s: %s hears us after %v", when, p.m.Name, took)
		}
		for _, p := range peers {
			theirs++
			body := fmt.Sprintf("message %d, %s", theirs, when)
			begin := time.Now()
			net.Within(connecting, "we hear "+p.m.Name+" "+when, func() bool {
				return p.send(key, body) && strings.Contains(listen.Out(), body)
			})
			t.Logf("%s: we hear %s after %v", when, p.m.Name, time.Since(begin))
		}
		time.Sleep(3 * time.Second) // more messages
	}
	speak("before")
	here.ChangeAddress()
	speak("at the new address")
	here.Cut()
	time.Sleep(20 * time.Second)
	here.Mend()
	speak("after the cable")

	here.Start(nil, "touch", "stop").Code()
	for i, p := range peers {
		net.Within(connecting, "the sender to "+p.m.Name+" ends", sends[i].Ended)
		if code := sends[i].Code(); code != 0 {
			t.Errorf("sending to %s: got exit code %d:\n%s", p.m.Name, code, sends[i].Errs())
		}
		var sent int
		fmt.Sscan(sends[i].Out(), &sent)
		net.Within(connecting, "the last message arrives at "+p.m.Name, func() bool { return p.heard()[fmt.Sprintf("message %d", sent)] })
		heard := p.heard()
		for n := 1; n <= sent; n++ {
			if !heard[fmt.Sprintf("message %d", n)] {
				t.Errorf("message %d of %d has not arrived at %s", n, sent, p.m.Name)
			}
		}
		t.Logf("%d messages to %s", sent, p.m.Name)
		var we struct {
			Known, Banned bool
			BanReason     string `json:"ban_reason"`
			Addresses     []string
		}
		p.must("peer", map[string]any{"peer": key}, &we)
		if !we.Known || we.Banned || strings.Contains(p.process.Out(), `"event":"banned"`) {
			t.Errorf("%s thinks of us: %+v, want that it knows us, and no ban", p.m.Name, we)
		}
		if !strings.Contains(fmt.Sprint(we.Addresses), here.Addr().String()) {
			t.Errorf("%s knows us at %v, want also %v", p.m.Name, we.Addresses, here.Addr())
		}
	}
	var network struct{ Banned int }
	if err := here.Get("/v1/node", &network); err != nil || network.Banned != 0 {
		t.Errorf("we have banned %d nodes (%v), want none", network.Banned, err)
	}
}
