package wirecheck

import (
	"bytes"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/rawpeer"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// changed is a claim of ours with something done to it.
type changed struct {
	name, rules, title string
	frame              func(p *probe) []byte
	since              protocol.Release // releases older than this do otherwise
}

// with changes a claim after it was signed.
func with(change func(c *rawpeer.Claim)) func(p *probe) []byte {
	return func(p *probe) []byte {
		c := p.claim()
		change(c)
		return c.Frame()
	}
}

// over signs other addresses.
func over(addresses ...string) func(p *probe) []byte {
	return func(p *probe) []byte {
		var all [][]byte
		for _, a := range addresses {
			all = append(all, []byte(a))
		}
		return p.claimOf(time.Now(), all...).Frame()
	}
}

func dated(ahead time.Duration) func(p *probe) []byte {
	return func(p *probe) []byte { return p.claimOf(time.Now().Add(ahead), ourAddress).Frame() }
}

// Addresses in binary form: spec: comms 2.5.
const (
	good      = "\x04\xcb\x00\x71\x07\x06\x47\x0d"
	noPort    = "\x04\xcb\x00\x71\x07"
	port0     = "\x04\xcb\x00\x71\x07\x06\x00\x00"
	trailing  = good + "\x06\x00\x01"
	loopback  = "\x04\x7f\x00\x00\x01\x06\x00\x01"
	slashName = "\x36\x03a/b\x06\x47\x0d"
	dnsName   = "\x35\x0bexample.com\x06\x47\x0d"
)

// everyRelease is since of what no release does otherwise.
const everyRelease = protocol.ReleaseRC5

// refused are claims that must end the connection.
func refused() []changed {
	six := make([]string, 6)
	for i := range six {
		six[i] = good[:len(good)-1] + string(rune('1'+i))
	}
	return []changed{
		{"version", "comms 48", "a frame of version 1", with(func(c *rawpeer.Claim) { c.Version = 1 }), everyRelease},
		{"too-long", "comms 48", "a length of 1025", func(*probe) []byte { return rawpeer.IdentityFrame(0, 1025, make([]byte, 1025)) }, everyRelease},
		{"undecodable", "comms 49", "a body that is no message", func(*probe) []byte { return rawpeer.IdentityFrame(0, 0, bytes.Repeat([]byte{0xff}, 64)) }, everyRelease},
		{"agent-no-utf8", "comms 49", "a user agent that is not UTF-8", with(func(c *rawpeer.Claim) { c.Agent = "\xff\xfe" }), everyRelease},
		{"protocols-21", "comms 50", "21 protocols", with(func(c *rawpeer.Claim) { c.Protocols = strings.Split(strings.Repeat("t/x/1 ", 20)+"t/x/1", " ") }), everyRelease},
		{"protocol-51", "comms 50", "a protocol of 51 bytes", with(func(c *rawpeer.Claim) { c.Protocols = []string{strings.Repeat("p", 51)} }), everyRelease},
		{"agent-51", "comms 50", "a user agent of 51 bytes", with(func(c *rawpeer.Claim) { c.Agent = strings.Repeat("u", 51) }), everyRelease},
		{"addresses-6", "comms 11, 50", "six addresses", over(six...), everyRelease},
		{"no-address", "comms 51", "an address that does not parse", over("none"), everyRelease},
		{"features", "comms 51", "unknown features", func(p *probe) []byte { return p.featured(4, time.Now(), ourAddress).Frame() }, everyRelease},
		{"unsigned", "comms 51", "no signature", with(func(c *rawpeer.Claim) { c.Signature = nil }), everyRelease},
		{"port-0", "comms 12", "an address with port 0", over(port0), everyRelease},
		{"no-port", "comms 12", "an address without tcp", over(noPort), everyRelease},
		{"trailing", "comms 12", "an address with more behind it", over(trailing), everyRelease},
		{"dns", "comms 12", "an address that begins with /dns", over(dnsName), everyRelease},
		{"dns-slash", "V 6", "a DNS name with a slash", over(slashName), protocol.Release6},
		{"signature", "comms 53", "a signature over another address", with(func(c *rawpeer.Claim) { c.Addresses = [][]byte{[]byte(six[0])} }), everyRelease},
		{"signed-features", "comms 53", "a signature over other features", with(func(c *rawpeer.Claim) { c.Features = 3 }), everyRelease},
		{"future", "comms 54", "a claim dated 25 h ahead", dated(25 * time.Hour), everyRelease},
	}
}

// taken are claims that are odd and allowed.
func taken() []changed {
	five := make([]string, 5)
	for i := range five {
		five[i] = good[:len(good)-1] + string(rune('1'+i))
	}
	return []changed{
		{"addresses-5", "comms 50", "five addresses", over(five...), everyRelease},
		{"addresses-0", "comms 50; V 5", "no address", over(), protocol.Release6},
		{"loopback", "comms 14; V 4", "a loopback address", over(loopback), protocol.Release17},
		{"protocols-20", "comms 50", "20 protocols", with(func(c *rawpeer.Claim) { c.Protocols = strings.Split(strings.Repeat("t/x/1 ", 19)+"t/x/1", " ") }), everyRelease},
		{"protocol-50", "comms 50", "a protocol of 50 bytes", with(func(c *rawpeer.Claim) { c.Protocols = []string{strings.Repeat("p", 50)} }), everyRelease},
		{"agent-50", "comms 50", "a user agent of 50 bytes", with(func(c *rawpeer.Claim) { c.Agent = strings.Repeat("u", 50) }), everyRelease},
		{"old", "comms 54", "a claim of 1970", func(p *probe) []byte { return p.claimOf(time.Unix(1, 0), ourAddress).Frame() }, everyRelease},
		{"soon", "comms 54", "a claim dated 23 h ahead", dated(23 * time.Hour), everyRelease},
		{"unknown-field", "comms 57", "a protobuf field that nobody knows", with(func(c *rawpeer.Claim) { c.Extra = rawpeer.AppendBytes(nil, 15, []byte("extra")) }), everyRelease},
	}
}

func refusalChecks() []Check {
	var checks []Check
	add := func(group, what string, list []changed, run func(p *probe, frame []byte) error) {
		for _, c := range list {
			checks = append(checks, Check{
				Name: group + "." + c.name, Rules: c.rules, Title: c.title + what, needs: needsSession,
				run: func(p *probe) error {
					if p.Release > c.since { // the zero value is the newest
						return inapplicable("release " + p.Release.String() + " does otherwise")
					}
					return run(p, c.frame(p))
				},
			})
		}
	}
	add("refused", ": the connection ends", refused(), refuses)
	add("taken", ": taken", taken(), takes)
	return checks
}

// refuses sends a frame, with a ping behind it, and expects the end and no pong.
func refuses(p *probe, frame []byte) error {
	_, c, err := p.secure()
	if err != nil {
		return err
	}
	// The node's own frame comes first: it is sent before ours is judged.
	if _, err := hear(c, patience); err != nil {
		return err
	}
	c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.Write(rawpeer.AppendHeader(frame, rawpeer.TypePing, rawpeer.SYN, 0, 1)); err != nil {
		return &setupError{"identity", err}
	}
	const where = "what it sent behind its identity frame"
	got, ended := drainUntil(c, patience)
	switch {
	case len(got) > 0:
		return differsAt(where, 0, "the end of the connection", "%s: it goes on", around(got, 0))
	case !ended:
		return differs("the end of the connection", "an open one after %v", patience)
	}
	return nil
}

// drainUntil is drain that returns soon after anything has come.
func drainUntil(c deadliner, d time.Duration) (got []byte, ended bool) {
	until := time.Now().Add(d)
	for len(got) == 0 && !ended && time.Now().Before(until) {
		got, ended = drain(c, min(quiet, time.Until(until)))
	}
	return got, ended
}

func takes(p *probe, frame []byte) error {
	_, c, err := p.secure()
	if err != nil {
		return err
	}
	s, err := p.start(c, frame)
	if err == nil {
		err = s.lives()
	}
	return err
}
