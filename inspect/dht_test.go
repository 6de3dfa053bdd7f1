package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect/models"
)

func TestLedgerIsFiltered(t *testing.T) {
	copies := func(outcome string, peers ...string) (all []models.Copy) {
		for _, p := range peers {
			all = append(all, models.Copy{Peer: p, Outcome: models.Outcome{Outcome: outcome}})
		}
		return all
	}
	// Of somebody who is away the node knows no record, only what it sent.
	nodeAway, awayKey := strings.Repeat("5e", 13), strings.Repeat("e5", 32)
	reports := []models.Report{
		{Tag: "000000000000000a", End: t0, Copies: append(copies(models.OutcomeConfirmed, nodeA), copies(models.OutcomeFailed, nodeC)...)},
		{Tag: "000000000000000b", End: t0, Copies: copies(models.OutcomeInDoubt, nodeC)},
		{Tag: "000000000000000c", End: t0, Reason: "peer not found"},
		{Tag: "000000000000000d", Copies: copies(models.OutcomeOpen, nodeA)},
		{Tag: "000000000000000e", End: t0, ToStore: true, Destination: awayKey, DestinationID: nodeAway, Copies: copies(models.OutcomeConfirmed, nodeA)},
	}
	var s Sections
	s.Section("ledger", func(context.Context) any { return models.Ledger{Accepted: 7, Ended: 3, Reports: reports} })
	s.Section("dht", func(context.Context) any { return models.DHT{On: true, Forwarding: true} })
	key := strings.Repeat("cd", 32)
	s.Section("peers", func(context.Context) any { return []models.Peer{{NodeID: nodeC, PublicKey: key}} })
	h := Handler(Options{Sections: &s})
	for query, want := range map[string]string{
		"": "abcde", "?state=open": "d", "?state=ended": "abce", "?state=failed": "bc",
		"?peer=" + nodeAway: "e", "?peer=" + nodeAway[:6]: "e", "?peer=" + awayKey: "e", "?peer=" + awayKey[:6]: "e",
		"?peer=" + nodeA: "ade", "?peer=" + strings.ToUpper(nodeC[:16]): "ab", "?peer=" + nodeC[:8]: "ab",
		"?peer=" + key: "ab", "?peer=" + strings.ToUpper(key[:8]): "ab", "?peer=ffff": "",
		"?tag=000000000000000C": "c", "?tag=000000000000000b&peer=" + nodeA: "",
		"?limit=2&offset=1": "bc",
	} {
		p := getJSON[ledgerPage](t, h, "/v1/ledger"+query)
		got := ""
		for _, r := range p.Items {
			got += r.Tag[15:]
		}
		if got != want || p.Accepted != 7 || p.Ended != 3 {
			t.Errorf("%s: got %q, %d accepted, %d ended, want %q, 7, 3", query, got, p.Accepted, p.Ended, want)
		}
	}
	reports[3].Copies = copies(models.OutcomeOpen, nodeC[:20]+"ffffff")
	if code, b := get(t, h, "/v1/ledger?peer="+nodeC[:20]); code != 400 || !strings.Contains(b, "2 peers begin with") {
		t.Errorf("the beginning of two: got %d %s, want 400 that names them", code, b)
	}
	if code, _ := get(t, h, "/v1/ledger?state=lost"); code != 400 {
		t.Errorf("a state that there is not: got %d, want 400", code)
	}
	if d := getJSON[models.DHT](t, h, "/v1/dht"); !d.On || !d.Forwarding {
		t.Errorf("dht: got %+v", d)
	}
	if code, _ := get(t, Handler(Options{}), "/v1/ledger"); code != 404 {
		t.Errorf("without a ledger: got %d, want 404", code)
	}
}

// fakeDHT keeps what it was asked to send and confirms it at one peer.
type fakeDHT struct {
	asked  DHTRequest
	bodies []string
	refuse error // Prepare
}

func (f *fakeDHT) Prepare(_ context.Context, r DHTRequest) (DHTSend, error) {
	f.asked = r
	return func(_ context.Context, body []byte) (func(context.Context) models.Report, error) {
		if string(body) == "no" {
			return nil, errors.New("the node is closing")
		}
		f.bodies = append(f.bodies, string(body))
		return func(context.Context) models.Report {
			return models.Report{Tag: "000000000000000a", End: t0, Copies: []models.Copy{{Peer: nodeA, Outcome: models.Outcome{Outcome: models.OutcomeConfirmed}}}}
		}, nil
	}, f.refuse
}

func TestMessagesOverTheDHTHaveOneReportEach(t *testing.T) {
	f := &fakeDHT{}
	c := mutating(t, Actions{DHT: f})
	res := post(t.Context(), t, c, "/v1/dht/messages?to=x&strategy=propagate&type=-7&encrypt=true&timeout=2s", "text/plain", strings.NewReader("one\nno\ntwo"))
	var got []models.SentReport
	for d := json.NewDecoder(res.Body); ; {
		var r models.SentReport
		if err := d.Decode(&r); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if a := f.asked; a.To != "x" || a.Strategy != "propagate" || a.Type == nil || *a.Type != -7 || !a.Encrypt || a.Sign || a.Timeout != 2*time.Second {
		t.Errorf("asked for %+v", a)
	}
	if len(got) != 3 || strings.Join(f.bodies, ",") != "one,two" {
		t.Fatalf("got %d reports, sent %q, want 3 and one,two", len(got), f.bodies)
	}
	for i, r := range got {
		if r.N != uint64(i+1) {
			t.Errorf("report %d: got number %d", i+1, r.N)
		}
	}
	if r := got[1]; r.Reason != "not accepted" || r.Detail != "the node is closing" || !r.Failed() || r.Summary != "failed: not accepted: the node is closing" {
		t.Errorf("not accepted: got %+v", r)
	}
	if r := got[2]; r.Failed() || r.Count(models.OutcomeConfirmed) != 1 || !r.End.Equal(t0) {
		t.Errorf("confirmed: got %+v", r)
	}
}

func TestWhatIsNotSentOverTheDHT(t *testing.T) {
	for name, c := range map[string]struct {
		query  string
		sender DHTSender
		status int
		want   string
	}{
		"no sender":       {"", nil, http.StatusNotFound, "over the DHT"},
		"type":            {"?type=2147483648", &fakeDHT{}, http.StatusBadRequest, "type cannot be"},
		"flag":            {"?encrypt=maybe", &fakeDHT{}, http.StatusBadRequest, "encrypt cannot be"},
		"parameter":       {"?peer=x", &fakeDHT{}, http.StatusBadRequest, "unknown parameter"},
		"timeout":         {"?timeout=0s", &fakeDHT{}, http.StatusBadRequest, "timeout cannot be"},
		"sentence":        {"", &fakeDHT{refuse: errors.New("there is no such strategy")}, http.StatusBadRequest, "there is no such strategy"},
		"error with code": {"", &fakeDHT{refuse: &Error{Code: CodeUnknownPeer, Message: "who is that", Hint: "add it"}}, http.StatusNotFound, "who is that"},
	} {
		a := Actions{}
		if c.sender != nil {
			a.DHT = c.sender
		}
		res := post(t.Context(), t, mutating(t, a), "/v1/dht/messages"+c.query, "text/plain", strings.NewReader("x"))
		b, _ := io.ReadAll(res.Body)
		if res.StatusCode != c.status || !strings.Contains(string(b), c.want) {
			t.Errorf("%s: got %d %s, want %d and %q", name, res.StatusCode, b, c.status, c.want)
		}
	}
}

func TestMessageOverTheDHTInJSON(t *testing.T) {
	m := models.Message{Seq: 1, At: t0, Peer: nodeA, Body: []byte("hi"), DHT: &models.DHTMessage{Type: 1225, Tag: "000000000000000a", Copies: 1}}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"dht":{"type":1225,"encrypted":false,"tag":"000000000000000a","copies":1}`; !strings.Contains(string(b), want) || strings.Contains(string(b), "from") {
		t.Errorf("got %s, want %s and no sender", b, want)
	}
	var back models.Message
	if err := json.Unmarshal(b, &back); err != nil || back.DHT == nil || *back.DHT != *m.DHT || !back.At.Equal(m.At) {
		t.Errorf("read back: got %+v, %v", back, err)
	}
}
