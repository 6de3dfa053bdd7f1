package wirecheck

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/gamelantest"
)

// faults lists, for each fault of a double, the checks that must find it. What
// else fails because of it is not said.
var faults = map[string]string{
	"answers the first byte":      "first-byte.right",
	"has another wire byte":       "first-byte.right",
	"takes any first byte":        "first-byte.wrong",
	"answers liveness with noise": "first-byte.liveness",
	"hurries the first byte":      "first-byte.silence",
	"waits for the first byte":    "first-byte.silence",

	"writes the length of message 2 little-endian": "noise.frames noise.handshake",
	"writes more than message 2":                   "noise.frames",
	"damages message 2":                            "noise.handshake",
	"has another key":                              "noise.key",
	"keeps failed handshakes":                      "noise.bad-ephemeral noise.payload noise.damaged-message noise.silence-1 noise.silence-3",
	"hurries the handshake":                        "noise.silence-1 noise.silence-3",
	"waits for the handshake":                      "noise.silence-1 noise.silence-3",
	"chokes on frames of length 0":                 "noise.zero-length",
	"stays after a damaged frame":                  "noise.damaged-frame",
	"sends empty frames":                           "noise.own-frames",
	"chokes on long frames":                        "noise.longest-frame",

	"waits for our identity":                  "identity.unasked",
	"is version 1":                            "identity.header",
	"writes the identity's length big-endian": "identity.header",
	"has a long identity":                     "identity.header",
	"has a message of odds and ends":          "identity.message",
	"lists 21 protocols":                      "identity.protocols",
	"lists a long protocol":                   "identity.protocols identity.printable",
	"has a long user agent":                   "identity.user-agent",
	"has a user agent in colour":              "identity.printable",
	"lists a protocol with a comma":           "identity.printable",
	"claims six addresses":                    "identity.addresses",
	"claims port 0":                           "identity.addresses",
	"has unknown features":                    "identity.features identity.signature",
	"signs other features":                    "identity.signature",
	"does not sign":                           "identity.message identity.signature",
	"dates its claim ahead":                   "identity.date",
	"reads the identity in one piece":         "identity.joined identity.in-pieces",
	"hurries the identity":                    "identity.silence",
	"waits for the identity":                  "identity.silence",
	"takes every claim":                       "refused",
	"refuses odd claims":                      "taken",

	"answers pings with SYN":              "mux.ping",
	"answers the second ping only":        "mux.ping",
	"answers pings twice":                 "mux.unasked",
	"sends a pong unasked":                "mux.unasked",
	"opens odd substreams":                "mux.own-ids",
	"takes even ids":                      "mux.parity",
	"does not know SYN on window updates": "mux.syn-forms",
	"does not answer FIN":                 "mux.half-close mux.fin-form mux.fin-window messaging.after-end messaging.silent",
	"sends FIN on a window update":        "mux.fin-form",
	"does not know FIN on window updates": "mux.fin-window",
	"ends after a substream":              "mux.half-close messaging.after-end",
	"ends at a reset":                     "mux.reset",
	"ends at unknown substreams":          "mux.unknown-stream",
	"stays after GoAway":                  "mux.goaway",
	"stays after the end of our half":     "mux.eof",

	"accepts without the id":         "negotiate.accepted negotiate.second negotiate.flag-04 negotiate.in-pieces mux.syn-forms messaging.accepted",
	"accepts one id only":            "negotiate.second",
	"resets what it accepts":         "negotiate.accepted messaging.accepted",
	"never ends refusing":            "negotiate.refused",
	"refuses flag 04":                "negotiate.flag-04",
	"resets empty ids":               "negotiate.empty",
	"resets long ids":                "negotiate.longest",
	"wants negotiation in one piece": "negotiate.in-pieces negotiate.unfinished",
	"answers optimistic ids":         "negotiate.optimistic negotiate.flag-01 negotiate.optimistic-unknown messaging.joined messaging.silent",
	"wants flags 03":                 "negotiate.flag-01",
	"takes unknown optimistic ids":   "negotiate.optimistic-unknown",
	"answers 00 02":                  "negotiate.terminate",
	"hurries negotiation":            "negotiate.unfinished",
	"waits for negotiation":          "negotiate.unfinished",
	"ignores flag 08":                "negotiate.flags-08 negotiate.flags-09",
	"ignores flag 80":                "negotiate.flags-80",

	"refuses messages":                   "messaging.accepted",
	"refuses empty messages":             "messaging.sizes",
	"takes short messages only":          "messaging.sizes messaging.longest",
	"wants messages in one piece":        "messaging.in-pieces",
	"acknowledges messages":              "messaging.silent messaging.joined messaging.after-end",
	"says goodbye on substreams":         "messaging.silent",
	"takes messages below 8 MiB only":    "messaging.longest messaging.large",
	"takes messages of any length":       "messaging.too-long",
	"keeps two":                          "messaging.second",
	"resets both of two":                 "messaging.second",
	"takes one messaging substream only": "messaging.after-end",
	"never gives credit":                 "messaging.large",
	"ends at every message of the DHT":   "join.taken join.relayed discovery.answered response.unasked",
	"takes every announcement":           "join.unsigned join.undecodable join.other-key join.forged discovery.unsigned discovery.undecodable response.unsigned response.other-key",
	"alters relayed Joins":               "join.relayed",
	"sends Joins back":                   "join.relayed",
	"answers no Discovery":               "discovery.answered discovery.clear discovery.again discovery.claim",
	"answers a nonce once":               "discovery.again",
	"answers with another nonce":         "discovery.answered discovery.clear",
	"answers with a destination":         "discovery.answered",
	"answers for others":                 "discovery.answered",
	"answers unsigned":                   "discovery.answered",
	"answers with a bad address":         "discovery.claim",
	"answers with a forged claim":        "discovery.claim",
	"ends at unasked responses":          "response.unasked",
	"rejects sessions":                   "peers.session peers.listed",
	"never ends lists":                   "peers.listed peers.limits",
	"lists bad addresses":                "peers.listed",
	"lists forged claims":                "peers.listed peers.closer",
	"lists peers twice":                  "peers.listed",
	"lists who asks":                     "peers.listed",
	"lists peers without claims":         "peers.listed",
	"lists six claims":                   "peers.listed",
	"lists nothing but bytes":            "peers.listed",
	"lists clients unasked":              "peers.nodes",
	"lists more than were asked for":     "peers.few",
	"takes bad limits":                   "peers.limits",
	"takes bad ids":                      "peers.closer",
	"lists the farthest first":           "peers.closer",
	"answers unknown methods":            "peers.method",

	"answers with another request id":       "stored.answered stored.encrypted",
	"answers with type 1":                   "stored.answered",
	"answers requests signed":               "stored.answered",
	"names who asks":                        "stored.answered",
	"opens no requests":                     "stored.encrypted",
	"ends at malformed requests":            "stored.malformed",
	"answers malformed requests":            "stored.malformed",
	"takes answers that it did not ask for": "stored.unasked",
	"alters stored messages":                "stored.owner stored.limit stored.order stored.kinds stored.since",
	"stores ahead of time":                  "stored.owner",
	"gives stored messages to anybody":      "stored.others",
	"gives more than was asked for":         "stored.limit",
	"lists the oldest message first":        "stored.order",
	"stores what is clear":                  "stored.kinds",
	"stores what has expired":               "stored.kinds",
	"deletes what is older":                 "stored.since",
	"asks signed":                           "stored.asks",
	"asks with a destination":               "stored.asks",
	"asks without a limit":                  "stored.asks",
	"ends at empty answers":                 "stored.empty",
	"bans clocks that are ahead":            "stored.skew",
	"takes every answer":                    "stored.too-many stored.join stored.foreign stored.future stored.no-body stored.no-header stored.signature",

	"sends frames of type 9":           "mux.ping",
	"does not answer pings":            "mux.ping",
	"answers pings with another value": "mux.ping",
}

// TestDoubleWithoutFault: a double that keeps the rules passes every check.
func TestDoubleWithoutFault(t *testing.T) {
	for _, harmless := range []string{"", "answers FIN with a reset", "only resets long messages", "claims no address", "has no DHT", "does not serve method 1", "proposes what nobody knows", "relays no Join", "relays each third Join", "answers no requests", "stores nothing", "asks nobody", "counts peers as connected late"} {
		gamelantest.Bubble(t, func(t *testing.T) {
			d := startDouble(t, harmless)
			results, blocked, err := Run(t.Context(), d.target, Checks(), Options{Large: true})
			if err != nil || blocked != nil {
				t.Fatalf("%q: got %v, %v, want a run", harmless, blocked, err)
			}
			for _, r := range results {
				if want := statusOf(r.Name, harmless); r.Status != want {
					t.Errorf("%q: %s: got %s, want %s (%+v)", harmless, r.Name, r.Status, want, r)
				}
			}
		})
	}
}

var (
	answersRequests = []string{"stored.answered", "stored.encrypted", "stored.malformed"}
	storesMessages  = []string{"stored.owner", "stored.others", "stored.limit", "stored.order", "stored.kinds", "stored.since"}
)

// inapplicableTo lists the checks that do not apply to doubles that keep the rules and do
// less than others.
var inapplicableTo = map[string][]string{
	"answers FIN with a reset": {"mux.fin-form"},
	"relays no Join":           {"join.relayed"},
	"answers no requests":      slices.Concat(answersRequests, storesMessages),
	"claims no address":        slices.Concat(answersRequests, storesMessages), // a client
	"stores nothing":           storesMessages,
	"asks nobody": {
		"stored.asks", "stored.empty", "stored.skew", "stored.too-many", "stored.join", "stored.foreign", "stored.future",
		"stored.no-body", "stored.no-header", "stored.signature",
	},
}

// statusOf is what a check says of a double that keeps the rules.
func statusOf(name, harmless string) Status {
	if name == "mux.own-ids" || slices.Contains(inapplicableTo[harmless], name) {
		return NotApplicable
	}
	if harmless == "has no DHT" && ofDHT(name) {
		return NotApplicable
	}
	return Pass
}

// TestEveryFault: each fault of a double is found by the checks that are meant
// for it, and each check finds a fault.
func TestEveryFault(t *testing.T) {
	finds := map[string]bool{}
	for fault, list := range faults {
		t.Run(fault, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				d := startDouble(t, fault)
				wanted, err := Select(Checks(), strings.Fields(list))
				if err != nil {
					t.Fatal(err)
				}
				results, blocked, err := Run(t.Context(), d.target, wanted, Options{Large: true})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range results {
					if r.Status != Fail || r.Expected == "" || r.Got == "" {
						t.Errorf("%s: got %+v, want a failure that says what was expected and what came", r.Name, r)
					}
					finds[r.Name] = true
				}
				if NewReport("", d.target, results, blocked, 0).OK() {
					t.Error("got a node that has passed, want one that has not")
				}
			})
		})
	}
	for _, c := range Checks() {
		if !finds[c.Name] {
			t.Errorf("%s: finds no fault, want one at least", c.Name)
		}
	}
}

// TestOffsets: a failure names the first wrong byte.
func TestOffsets(t *testing.T) {
	for _, c := range []struct {
		fault, check, where string
		offset              int
	}{
		{"answers the first byte", "first-byte.right", "what it sent", 0},
		{"writes the length of message 2 little-endian", "noise.frames", "its answer to message 1", 0},
		{"writes more than message 2", "noise.frames", "its answer to message 1", 98},
		{"is version 1", "identity.header", identityFrame, 0},
		{"writes the identity's length big-endian", "identity.header", identityFrame, 1},
		// 3 of the header, 2 + 8 of the address, 2 of the features, 2 and the first id's bytes.
		{"lists a protocol with a comma", "identity.printable", identityFrame, 3 + 10 + 2 + 2 + 9},
		{"claims port 0", "identity.addresses", identityFrame, 3 + 10 + 2},
		{"sends FIN on a window update", "mux.fin-form", "the frame with FIN", 1},
		{"accepts without the id", "negotiate.accepted", "what it wrote on substream 1", 0},
		{"never ends refusing", "negotiate.refused", "what it wrote on substream 1", 9},
		{"acknowledges messages", "messaging.silent", "what it wrote on substream 1", 0},
	} {
		t.Run(c.fault, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				d := startDouble(t, c.fault)
				only, err := Select(Checks(), []string{c.check})
				if err != nil {
					t.Fatal(err)
				}
				results, _, err := Run(t.Context(), d.target, only, Options{})
				if err != nil {
					t.Fatal(err)
				}
				r := results[0]
				if r.Status != Fail || r.Offset == nil || *r.Offset != c.offset || r.Where != c.where {
					t.Errorf("got %+v (offset %v), want a failure at byte %d of %s", r, r.Offset, c.offset, c.where)
				}
			})
		})
	}
}

// TestBlocked: what a connection does not get far enough for has not passed,
// nor has the node, even if that is all that was asked for.
func TestBlocked(t *testing.T) {
	for _, c := range []struct{ fault, why string }{
		{"has another wire byte", "another network"},
		{"damages message 2", "message 2"},
		{"has another key", "another key"},
		{"writes the identity's length big-endian", "identity"},
		{"does not answer pings", "pong"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			gamelantest.Bubble(t, func(t *testing.T) {
				d := startDouble(t, c.fault)
				only, err := Select(Checks(), []string{"messaging", "taken"})
				if err != nil {
					t.Fatal(err)
				}
				results, blocked, err := Run(t.Context(), d.target, only, Options{})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range results {
					if r.Status != NotApplicable {
						t.Errorf("%s: got %s, want %s", r.Name, r.Status, NotApplicable)
					}
				}
				report := NewReport("", d.target, results, blocked, 0)
				if report.OK() || !strings.Contains(report.Text(), c.why) {
					t.Errorf("got passed %v and\n%s, want a failure and %q in it", report.OK(), report.Text(), c.why)
				}
			})
		})
	}
}

// TestTime: what waits for a node's limits waits side by side.
func TestTime(t *testing.T) {
	gamelantest.Bubble(t, func(t *testing.T) {
		d := startDouble(t, "")
		began := time.Now()
		if _, _, err := Run(t.Context(), d.target, Checks(), Options{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 45*time.Second {
			t.Errorf("a run without faults: got %v, want less than 45 s", took)
		}
	})
}
