package netsync_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/dht/wire"
	"github.com/gamelan-p2p/gamelan/identity"
	"github.com/gamelan-p2p/gamelan/internal/dht/netsync"
	"github.com/gamelan-p2p/gamelan/internal/protocol/onecall"
	"github.com/gamelan-p2p/gamelan/protocol/rpc"
)

// recording is a call between a live node of a release and a node of ours.
type recording struct {
	name  string
	Bytes struct {
		Request   string
		Responses []string
	}
	Expect struct{ Claims map[string]int }
	Inputs struct {
		Caller string
		Time   int64 `json:"unix_time"`
	}

	request onecall.Request
	items   [][]byte
	end     []byte
}

func recordings(t *testing.T, kind string) (list []*recording) {
	t.Helper()
	files, err := filepath.Glob("../../../tests/vectors/dht/" + kind + "-*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("got %d files of %s, %v", len(files), kind, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v := &recording{name: filepath.Base(file)}
		if err := json.Unmarshal(text, v); err != nil {
			t.Fatal(err)
		}
		if v.request, err = onecall.DecodeRequest(unhex(t, v.Bytes.Request)); err != nil {
			t.Fatal(err)
		}
		for _, s := range v.Bytes.Responses {
			r, err := onecall.DecodeResponse(unhex(t, s))
			if err != nil || r.Status != rpc.OK || r.ID != v.request.ID {
				t.Fatalf("%s: got response %+v, %v", v.name, r, err)
			}
			if r.Flags == onecall.FIN {
				v.end = r.Payload
				continue
			}
			v.items = append(v.items, r.Payload)
		}
		list = append(list, v)
	}
	return list
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read reads all recorded items.
func (v *recording) read(t *testing.T) (claims []identity.Claim) {
	t.Helper()
	a := asking(500)
	a.Rules.TestAddresses = true
	r := netsync.NewReading(a)
	r.Opened()
	for i, b := range v.items {
		c, got, err := r.Item(time.Unix(v.Inputs.Time, 0), b)
		if err != nil || got != netsync.New {
			t.Fatalf("%s: item %d: got %v, %v, want a new peer", v.name, i, got, err)
		}
		claims = append(claims, c)
	}
	return claims
}

// candidates returns peers with these claims, reached at the time of the recording.
func (v *recording) candidates(claims []identity.Claim) (list []netsync.Candidate) {
	for i := range claims {
		c := &claims[i]
		list = append(list, netsync.Candidate{ID: c.Key.NodeID(), Features: c.Features, Reached: time.Unix(v.Inputs.Time, 0), Claim: c})
	}
	return list
}

// oneClaim returns the recorded item with each claim once (spec: dht Q12).
func oneClaim(t *testing.T, b []byte) []byte {
	t.Helper()
	p, err := wire.DecodePeerInfo(b)
	if err != nil {
		t.Fatal(err)
	}
	p.Claims = p.Claims[:1]
	return p.Append(nil)
}

// TestRecordedGetPeers reads the answers of Rust servers, and the answers that Rust clients
// accepted. Then it answers the recorded requests from the same peers, with the same items.
//
// conforms: dht 111, 117
func TestRecordedGetPeers(t *testing.T) {
	rules := netsync.Rules{TestAddresses: true}
	for _, kind := range []string{"rpc-getpeers-served", "rpc-getpeers-called"} {
		for _, v := range recordings(t, kind) {
			claims := v.read(t)
			q, err := wire.DecodeGetPeers(v.request.Payload)
			if err != nil || v.request.Method != netsync.MethodGetPeers || len(claims) == 0 || len(v.end) != 0 {
				t.Fatalf("%s: got method %d, %d claims, %v", v.name, v.request.Method, len(claims), err)
			}
			caller, err := identity.ParsePublicKey(v.Inputs.Caller)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Unix(v.Inputs.Time, 0)
			got, err := rules.Peers(now, caller.NodeID(), q, slices.Values(v.candidates(claims)), rand.New(rand.NewPCG(1, 1)))
			if err != nil || len(got) != len(claims) {
				t.Fatalf("%s: got %d peers, %v, want %d", v.name, len(got), err, len(claims))
			}
			for _, want := range v.items {
				want = oneClaim(t, want)
				if !slices.ContainsFunc(got, func(c *identity.Claim) bool { return bytes.Equal(item(*c), want) }) {
					t.Errorf("%s: got no item %x", v.name, want)
				}
			}
		}
	}
}

// TestRecordedGetCloserPeers gives the peers of a Rust server, in its order.
//
// conforms: dht 111, 114
func TestRecordedGetCloserPeers(t *testing.T) {
	rules := netsync.Rules{TestAddresses: true}
	for _, v := range recordings(t, "rpc-getcloserpeers-served") {
		claims := v.read(t)
		q, err := wire.DecodeGetCloserPeers(v.request.Payload)
		if err != nil || v.request.Method != netsync.MethodGetCloserPeers || len(claims) < 3 || len(v.end) != 0 {
			t.Fatalf("%s: got method %d, %d claims, %v", v.name, v.request.Method, len(claims), err)
		}
		caller, err := identity.ParsePublicKey(v.Inputs.Caller)
		if err != nil {
			t.Fatal(err)
		}
		known := v.candidates(claims)
		slices.SortFunc(known, func(a, b netsync.Candidate) int { return a.ID.Compare(b.ID) })
		got, err := rules.CloserPeers(time.Unix(v.Inputs.Time, 0), caller.NodeID(), q, slices.Values(known))
		if err != nil || len(got) != len(claims) {
			t.Fatalf("%s: got %d peers, %v, want %d", v.name, len(got), err, len(claims))
		}
		for i, c := range got {
			if want := oneClaim(t, v.items[i]); !bytes.Equal(item(*c), want) {
				t.Errorf("%s: item %d: got %x, want %x", v.name, i, item(*c), want)
			}
		}
	}
	for _, v := range recordings(t, "rpc-getcloserpeers-called") {
		q, err := wire.DecodeGetCloserPeers(v.request.Payload)
		if err != nil || v.request.Method != netsync.MethodGetCloserPeers {
			t.Fatalf("%s: got method %d, %v", v.name, v.request.Method, err)
		}
		if got, err := rules.CloserPeers(wall, nobody, q, crowd(t, 10)); err != nil || len(got) != 3 {
			t.Errorf("%s: got %d peers, %v, want 3", v.name, len(got), err)
		}
	}
}
