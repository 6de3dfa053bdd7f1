package transporttest

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
)

// ControlPort is a control port of Tor on loopback for tests of what talks to one. It takes any
// authentication and has one onion service, which it calls published as soon as it is added. A
// [ControlBehaviour] makes it hostile.
type ControlPort struct {
	// Cookie is the file with the cookie that it proves to know; empty: it offers NULL alone.
	Cookie string
	// Service is the service that ADD_ONION makes of every key.
	Service string
	// Socks is the SOCKS port that it names, host and port; empty: none.
	Socks string

	mu        sync.Mutex
	behaviour ControlBehaviour
	conns     map[net.Conn]bool
	heard     []string
}

// ControlBehaviour answers one line, or, for an empty one, a connection that begins. It
// returns what to write, and whether to keep the connection.
type ControlBehaviour func(line string) (text string, keep bool)

// Start begins to serve until the test ends, and returns host and port.
func (p *ControlPort) Start(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.conns = make(map[net.Conn]bool)
	if p.behaviour == nil {
		p.behaviour = p.Works
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns[c] = true
			p.mu.Unlock()
			open.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.Drop()
		open.Wait()
	})
	return l.Addr().String()
}

// Behave changes the behaviour. Connections stay open; see [ControlPort.Drop].
func (p *ControlPort) Behave(b ControlBehaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaviour = b
}

// Drop closes all connections.
func (p *ControlPort) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// Say writes to all connections.
func (p *ControlPort) Say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_, _ = c.Write([]byte(text)) // one that does not read has gone
	}
}

// Heard returns the lines so far that begin with prefix.
func (p *ControlPort) Heard(prefix string) (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.heard {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Works is the behaviour of a Tor that works.
func (p *ControlPort) Works(line string) (text string, keep bool) {
	const ok = "250 OK\r\n"
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "":
		return "", true
	case "PROTOCOLINFO":
		methods := "NULL"
		if p.Cookie != "" {
			methods = fmt.Sprintf("COOKIE,SAFECOOKIE COOKIEFILE=%q", p.Cookie)
		}
		return "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=" + methods + "\r\n250-VERSION Tor=\"0.4.9.11\"\r\n" + ok, true
	case "AUTHCHALLENGE":
		return p.challenged(strings.TrimPrefix(rest, "SAFECOOKIE ")), true
	case "GETINFO":
		var b strings.Builder
		for key := range strings.FieldsSeq(rest) {
			value := map[string]string{
				"version": "0.4.9.11", "status/circuit-established": "1", "network-liveness": "up",
				"status/bootstrap-phase": `NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"`,
			}[key]
			if key == "net/listeners/socks" && p.Socks != "" {
				value = fmt.Sprintf("%q", p.Socks)
			}
			fmt.Fprintf(&b, "250-%s=%s\r\n", key, value)
		}
		return b.String() + ok, true
	case "ADD_ONION":
		return fmt.Sprintf("250-ServiceID=%s\r\n%s%s", p.Service, ok, p.Uploaded()), true
	case "QUIT":
		return "250 closing connection\r\n", false
	}
	return ok, true
}

// challenged proves that p knows the cookie.
func (p *ControlPort) challenged(nonce string) string {
	ours, _ := hex.DecodeString(nonce)
	cookie, err := os.ReadFile(p.Cookie)
	if err != nil {
		return "513 Cookie authentication is disabled\r\n"
	}
	theirs := bytes.Repeat([]byte{0x22}, 32)
	h := hmac.New(sha256.New, []byte("Tor safe cookie authentication server-to-controller hash"))
	h.Write(cookie)
	h.Write(ours)
	h.Write(theirs)
	return fmt.Sprintf("250 AUTHCHALLENGE SERVERHASH=%X SERVERNONCE=%X\r\n", h.Sum(nil), theirs)
}

// Uploaded is the event that makes the service published.
func (p *ControlPort) Uploaded() string {
	return fmt.Sprintf("650 HS_DESC UPLOAD %s UNKNOWN $0123~r1 d HSDIR_INDEX=00\r\n650 HS_DESC UPLOADED %s UNKNOWN $0123~r1\r\n", p.Service, p.Service)
}

// serve has one connection.
func (p *ControlPort) serve(c net.Conn) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
		c.Close()
	}()
	lines := bufio.NewScanner(c)
	line := ""
	for {
		p.mu.Lock()
		answer := p.behaviour
		if line != "" {
			p.heard = append(p.heard, line)
		}
		p.mu.Unlock()
		text, keep := answer(line)
		if _, err := c.Write([]byte(text)); err != nil || !keep || !lines.Scan() {
			return
		}
		line = strings.TrimSpace(lines.Text())
	}
}
