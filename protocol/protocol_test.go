package protocol_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// conforms: comms 28, V 1
func TestWireBytes(t *testing.T) {
	for _, c := range []struct {
		name              string
		network           protocol.Network
		release6, r17, r5 byte
	}{
		{"mainnet", protocol.MainNet, 0x00, 0x00, 0x00},
		{"stagenet", protocol.StageNet, 0x01, 0x01, 0x01},
		{"nextnet", protocol.NextNet, 0x52, 0x50, 0x02},
		{"localnet", protocol.LocalNet, 0x10, 0x10, 0x10},
		{"igor", protocol.Igor, 0x24, 0x24, 0x24},
		{"esmeralda", protocol.Esmeralda, 0xCA, 0xC9, 0x26},
	} {
		n, err := protocol.ParseNetwork(c.name)
		if err != nil || n != c.network || n.String() != c.name {
			t.Errorf("parse %s: got %v, %v, want %v", c.name, n, err, c.network)
		}
		if n, err := protocol.ParseNetwork(strings.ToUpper(c.name)); err != nil || n != c.network {
			t.Errorf("parse %s in upper case: got %v, %v, want %v", c.name, n, err, c.network)
		}
		for release, want := range map[string]byte{"6.2": c.release6, "1.7": c.r17, "rc5": c.r5} {
			r, err := protocol.ParseRelease(release)
			if err != nil || r.String() != release {
				t.Errorf("parse %s: got %v, %v", release, r, err)
			}
			if got := n.WireByte(r); got != want {
				t.Errorf("%s of %s: got %#x, want %#x", c.name, release, got, want)
			}
		}
		p := protocol.Tari(n)
		if p.WireByte != c.release6 {
			t.Errorf("%s by default: got %#x, want %#x", c.name, p.WireByte, c.release6)
		}
		// conforms: V 3
		if want := n == protocol.LocalNet; p.TestAddresses != want || n.TestAddresses() != want {
			t.Errorf("%s allows test addresses: got %v, want %v", c.name, p.TestAddresses, want)
		}
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
	}
	if n, err := protocol.ParseNetwork("esme"); err != nil || n != protocol.Esmeralda {
		t.Errorf("esme: got %v, %v, want esmeralda", n, err)
	}
	if _, err := protocol.ParseNetwork("testnet"); !errors.Is(err, protocol.ErrUnknownNetwork) {
		t.Errorf("testnet: got %v, want ErrUnknownNetwork", err)
	}
	if _, err := protocol.ParseRelease("7"); !errors.Is(err, protocol.ErrUnknownRelease) {
		t.Errorf("release 7: got %v, want ErrUnknownRelease", err)
	}
}

func TestTariProfile(t *testing.T) {
	p := protocol.Tari(protocol.LocalNet)
	if p.Pattern != protocol.XX || p.Prologue != "com.tari.comms.noise.prologue" || p.IdentityVersion != 0 || p.IdentityID != "" {
		t.Errorf("got %+v", p)
	}
	// conforms: comms 81
	if p.MessagingID != "t/msg/0.1" {
		t.Errorf("messaging: got %v, want t/msg/0.1", p.MessagingID)
	}
	want := []protocol.Step{protocol.StepWireByte, protocol.StepNoise, protocol.StepIdentity, protocol.StepMux}
	if !slices.Equal(p.Steps, want) {
		t.Errorf("steps: got %v, want %v", p.Steps, want)
	}
	limits := protocol.Limits{
		FirstByte: 6 * time.Second, NoiseMessage: 6 * time.Second, Identity: 10 * time.Second,
		Negotiation: 10 * time.Second, Setup: 15 * time.Second, Dial: 30 * time.Second,
		IdentityBody: 1024, Addresses: 5, Protocols: 20, ProtocolID: 50, UserAgent: 50, MessageBody: 8388608,
		NegotiationRounds: 5, ClaimSkew: 24 * time.Hour, Streams: 100, InboundStreams: 80,
	}
	if p.Limits != limits {
		t.Errorf("limits: got %+v, want %+v", p.Limits, limits)
	}
}

func TestLessonProfile(t *testing.T) {
	p, tari := protocol.Lesson2020(), protocol.Tari(protocol.LocalNet)
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
	if p.Pattern != protocol.IX || p.IdentityID != "/tari/identity/1.0.0" || len(p.IdentityID) != 20 ||
		p.MessagingID != "/tari/messaging/0.1.0" || len(p.MessagingID) != 21 {
		t.Errorf("got %+v", p)
	}
	want := []protocol.Step{protocol.StepWireByte, protocol.StepNoise, protocol.StepMux, protocol.StepIdentitySubstream}
	if !slices.Equal(p.Steps, want) {
		t.Errorf("steps: got %v, want %v", p.Steps, want)
	}
	// All else as tari.
	if p.WireByte != tari.WireByte || p.Prologue != tari.Prologue || p.Limits != tari.Limits || p.IdentityVersion != tari.IdentityVersion {
		t.Errorf("got %+v, want the rest of %+v", p, tari)
	}
	// A profile is a value: changing one changes no other.
	p.Steps[0] = protocol.StepMux
	if got := protocol.Lesson2020().Steps[0]; got != protocol.StepWireByte {
		t.Errorf("a second profile: got %v first, want the wire byte", got)
	}
}

func TestProfilesThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(*protocol.Profile){
		// conforms: comms 24
		"the liveness byte":     func(p *protocol.Profile) { p.WireByte = 0xA7 },
		"no steps":              func(p *protocol.Profile) { p.Steps = nil },
		"no identity":           func(p *protocol.Profile) { p.Steps = p.Steps[:2] },
		"steps out of order":    func(p *protocol.Profile) { slices.Reverse(p.Steps) },
		"unknown pattern":       func(p *protocol.Profile) { p.Pattern = 9 },
		"no messaging id":       func(p *protocol.Profile) { p.MessagingID = "" },
		"long messaging id":     func(p *protocol.Profile) { p.MessagingID = protocol.ID(strings.Repeat("x", 51)) },
		"identity id without":   func(p *protocol.Profile) { p.IdentityID = "x" },
		"no time":               func(p *protocol.Profile) { p.Limits.Identity = 0 },
		"negative time":         func(p *protocol.Profile) { p.Limits.Dial = -1 },
		"no skew":               func(p *protocol.Profile) { p.Limits.ClaimSkew = 0 },
		"body above 16 bits":    func(p *protocol.Profile) { p.Limits.IdentityBody = 1 << 16 },
		"id above 8 bits":       func(p *protocol.Profile) { p.Limits.ProtocolID = 256 },
		"no rounds":             func(p *protocol.Profile) { p.Limits.NegotiationRounds = 0 },
		"more inbound than all": func(p *protocol.Profile) { p.Limits.InboundStreams = 101 },
		"no limits":             func(p *protocol.Profile) { p.Limits = protocol.Limits{} },
	} {
		p := protocol.Tari(protocol.LocalNet)
		change(&p)
		if err := p.Validate(); !errors.Is(err, protocol.ErrBadProfile) {
			t.Errorf("%s: got %v, want ErrBadProfile", name, err)
		}
	}
	lesson := protocol.Lesson2020()
	lesson.IdentityID = ""
	if err := lesson.Validate(); !errors.Is(err, protocol.ErrBadProfile) || !errors.Is(err, protocol.ErrBadID) {
		t.Errorf("lesson without identity id: got %v, want ErrBadProfile and ErrBadID", err)
	}
	lesson.IdentityID = lesson.MessagingID
	if err := lesson.Validate(); !errors.Is(err, protocol.ErrBadProfile) {
		t.Errorf("one id for both: got %v, want ErrBadProfile", err)
	}
	// 0xA6 was another release's liveness byte; as a wire byte it is allowed.
	p := protocol.Tari(protocol.LocalNet)
	p.WireByte = 0xA6
	if err := p.Validate(); err != nil {
		t.Errorf("0xA6: got %v, want none", err)
	}
}

// Each limit may be at its bounds.
func TestLimitsAtTheirBounds(t *testing.T) {
	for name, change := range map[string]func(*protocol.Limits){
		"body of 16 bits":     func(l *protocol.Limits) { l.IdentityBody = 1<<16 - 1 },
		"id of 8 bits":        func(l *protocol.Limits) { l.ProtocolID = 255 },
		"as many inbound":     func(l *protocol.Limits) { l.InboundStreams = l.Streams },
		"one of all":          func(l *protocol.Limits) { l.Streams, l.InboundStreams = 1, 1 },
		"one round":           func(l *protocol.Limits) { l.NegotiationRounds = 1 },
		"messages of a byte":  func(l *protocol.Limits) { l.MessageBody = 1 },
		"messages of 2^31−1":  func(l *protocol.Limits) { l.MessageBody = 1<<31 - 1 },
		"a nanosecond's time": func(l *protocol.Limits) { l.FirstByte = 1 },
	} {
		p := protocol.Tari(protocol.LocalNet)
		change(&p.Limits)
		if err := p.Validate(); err != nil {
			t.Errorf("%s: got %v, want none", name, err)
		}
	}
}

// conforms: V 7
func TestIDsThatMayBeRegistered(t *testing.T) {
	for id, ok := range map[protocol.ID]bool{
		"t/msg/0.1":                             true,
		"a":                                     true,
		" ~":                                    true,
		protocol.ID(strings.Repeat("x", 50)):    true,
		protocol.ID(strings.Repeat("x", 51)):    false,
		"":                                      false,
		"a,b":                                   false,
		"tab\t":                                 false,
		"del\x7f":                               false,
		"nul\x00":                               false,
		"ü":                                     false,
		"\xff":                                  false,
		protocol.ID("line\nbreak"):              false,
		protocol.ID(strings.Repeat("x", 1<<16)): false,
	} {
		err := id.Validate()
		if (err == nil) != ok || err != nil && !errors.Is(err, protocol.ErrBadID) {
			t.Errorf("%.60q: got %v, want accepted %v", string(id), err, ok)
		}
	}
}

// conforms: V 7
func TestTextOfPeersIsEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"t/msg/0.1":    "t/msg/0.1",
		"":             "",
		"a\x1b[31mred": `"a\x1b[31mred"`,
		"line\nbreak":  `"line\nbreak"`,
		"ü":            `"\u00fc"`,
		"\xff":         `"\xff"`,
		"\u202egnirts": `"\u202egnirts"`,
	} {
		if got := protocol.Printable(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if got := protocol.ID(text).String(); got != want {
			t.Errorf("id %q: got %s, want %s", text, got, want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	refused := errors.New("connection refused")
	for want, o := range map[string]protocol.Outcome{
		"open":                      {},
		"confirmed":                 {Kind: protocol.Confirmed},
		"in doubt: connection lost": {Kind: protocol.InDoubt, Reason: protocol.ConnectionLost},
		"in doubt: expired":         {Kind: protocol.InDoubt, Reason: protocol.Expired},
		"failed: dial failed: connection refused": {Kind: protocol.Failed, Reason: protocol.DialFailed, Err: refused},
		"failed: no peer":                         {Kind: protocol.Failed, Reason: protocol.NoPeer},
		"failed: banned":                          {Kind: protocol.Failed, Reason: protocol.Banned},
		"failed: refused":                         {Kind: protocol.Failed, Reason: protocol.Refused},
		"failed: too long":                        {Kind: protocol.Failed, Reason: protocol.TooLong},
		"failed: overloaded":                      {Kind: protocol.Failed, Reason: protocol.Overloaded},
		"failed: closed":                          {Kind: protocol.Failed, Reason: protocol.Closed},
		"failed: reason 99":                       {Kind: protocol.Failed, Reason: 99},
		"outcome 9":                               {Kind: 9},
	} {
		if got := o.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestViolations(t *testing.T) {
	for ban, severity := range map[time.Duration]protocol.Severity{
		protocol.BanLong: protocol.High, protocol.BanMedium: protocol.Medium, protocol.BanShort: protocol.Low, 0: protocol.Low,
	} {
		var err error = protocol.Violated("identity", ban, io.ErrUnexpectedEOF)
		var v *protocol.Violation
		if !errors.Is(err, protocol.ErrViolation) || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &v) {
			t.Fatalf("got %v, want a violation with its cause", err)
		}
		if v.Ban != ban || v.Severity != severity || v.Stage != "identity" {
			t.Errorf("ban %v: got %+v, want %v", ban, v, severity)
		}
		if got, want := err.Error(), "protocol: violation at identity: unexpected EOF"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if errors.Is(&protocol.Violation{Stage: "x"}, context.Canceled) {
		t.Error("a violation without cause matches any error")
	}
	if protocol.BanShort != 120*time.Second || protocol.BanMedium != 600*time.Second || protocol.BanLong != 7200*time.Second {
		t.Error("got other durations of bans than 2 min, 10 min and 2 h")
	}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		protocol.Inbound.String():               "inbound",
		protocol.Outbound.String():              "outbound",
		protocol.Direction(7).String():          "direction 7",
		protocol.Inbound.Opposite().String():    "outbound",
		protocol.Outbound.Opposite().String():   "inbound",
		protocol.XX.String():                    "XX",
		protocol.IX.String():                    "IX",
		protocol.Pattern(7).String():            "pattern 7",
		protocol.Low.String():                   "low",
		protocol.Medium.String():                "medium",
		protocol.High.String():                  "high",
		protocol.Severity(7).String():           "severity 7",
		protocol.Network(0x99).String():         "network 0x99",
		protocol.Release(7).String():            "release 7",
		protocol.StepWireByte.String():          "wire byte",
		protocol.StepNoise.String():             "noise",
		protocol.StepIdentity.String():          "identity",
		protocol.StepMux.String():               "mux",
		protocol.StepIdentitySubstream.String(): "identity substream",
		protocol.Step(9).String():               "step 9",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, m := range []interface{ MarshalText() ([]byte, error) }{protocol.Inbound, protocol.Confirmed, protocol.DialFailed} {
		text, err := m.MarshalText()
		if err != nil || string(text) != m.(interface{ String() string }).String() {
			t.Errorf("got %s, %v, want %v", text, err, m)
		}
	}
}
