package socks_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/gamelan-p2p/gamelan/transport"
	"github.com/gamelan-p2p/gamelan/transport/socks"
)

// A turn is what a scripted proxy does next: it reads exactly the bytes, in hex,
// and answers others.
type turn struct{ want, answer string }

// scripted returns a transport whose proxy follows the script on one connection, and
// then, unless silent, hangs up. What the proxy reads is compared when the test ends.
func scripted(t testing.TB, o socks.Options, silent bool, script ...turn) *socks.Transport {
	o.Proxy = ma.StringCast("/ip4/127.0.0.1/tcp/9050")
	tr, err := socks.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 1)
	var theirs net.Conn
	tr.ConnectBy(func(context.Context, string, string) (net.Conn, error) {
		var ours net.Conn
		ours, theirs = net.Pipe()
		go func() {
			defer func() {
				if !silent {
					theirs.Close()
				}
			}()
			for _, turn := range script {
				want := unhex(turn.want)
				got := make([]byte, len(want))
				n, _ := io.ReadFull(theirs, got)
				if string(got[:n]) != string(want) {
					ended <- "the proxy got " + hex.EncodeToString(got[:n]) + ", want " + hex.EncodeToString(want)
					return
				}
				if _, err := theirs.Write(unhex(turn.answer)); err != nil {
					break // it is not wanted any more
				}
			}
			ended <- ""
		}()
		return ours, nil
	})
	t.Cleanup(func() {
		if theirs == nil {
			t.Error("the proxy was not reached")
			return
		}
		theirs.Close()
		if text := <-ended; text != "" {
			t.Error(text)
		}
	})
	return tr
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

const (
	hello   = "050100"
	noAuth  = "0500"
	offers  = "05020002" // none, or user name and password
	wantsPW = "0502"
	// A request for 203.0.113.7:18189.
	toIP   = "05010001 cb007107 470d"
	opened = "05000001 00000000 0000"
)

var (
	plain  = socks.Options{Isolation: socks.NoIsolation}
	peerIP = ma.StringCast("/ip4/203.0.113.7/tcp/18189")
	onion  = ma.StringCast("/onion3/" + knownOnion + ":1234")
)

// TestBytes compares what the proxy gets with bytes made by hand from RFC 1928 and
// RFC 1929.
//
// conforms: comms 17
func TestBytes(t *testing.T) {
	withPW := socks.Options{Credentials: socks.Credentials{User: "me", Password: "pw!"}}
	greet, login := turn{hello, noAuth}, turn{"01 02 6d65 03 707721", "0100"}
	for _, c := range []struct {
		name, addr string
		o          socks.Options
		script     []turn
	}{
		{"ip4", "/ip4/203.0.113.7/tcp/18189", plain, []turn{greet, {toIP, opened}}},
		{"ip6", "/ip6/2001:db8::1/tcp/18189", plain, []turn{greet, {"05010004 20010db8000000000000000000000001 470d", opened}}},
		{"dns4", "/dns4/seed.example.com/tcp/18189", plain, []turn{greet, {"05010003 10 736565642e6578616d706c652e636f6d 470d", opened}}},
		{"onion3", "/onion3/" + knownOnion + ":1234", plain, []turn{greet, {
			"05010003 3e" + hex.EncodeToString([]byte(knownOnion+".onion")) + "04d2", opened,
		}}},
		{"password", "/ip4/203.0.113.7/tcp/18189", withPW, []turn{{offers, wantsPW}, login, {toIP, opened}}},
		{"password offered, not wanted", "/ip4/203.0.113.7/tcp/18189", withPW, []turn{{offers, noAuth}, {toIP, opened}}},
		{"reply with a name", "/ip4/203.0.113.7/tcp/18189", plain, []turn{greet, {toIP, "05000003 03 616263 0001"}}},
		{"reply with an IPv6 address", "/ip4/203.0.113.7/tcp/18189", plain, []turn{greet, {toIP, "05000004 00000000000000000000000000000001 0001"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The first bytes of the stream come with the reply.
			c.script[len(c.script)-1].answer += hex.EncodeToString([]byte("first bytes"))
			conn, err := scripted(t, c.o, false, c.script...).Dial(t.Context(), ma.StringCast(c.addr))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got, err := io.ReadAll(conn); err != nil || string(got) != "first bytes" {
				t.Errorf("got %q, %v, want the bytes behind the reply", got, err)
			}
		})
	}
	t.Run("resolve", func(t *testing.T) {
		tr := scripted(t, plain, false, greet, turn{"05f00003 10 736565642e6578616d706c652e636f6d 0000", "05000001 cb007107 0000"})
		if ip, err := tr.Resolve(t.Context(), "seed.example.com"); err != nil || ip.String() != "203.0.113.7" {
			t.Errorf("got %s, %v, want 203.0.113.7", ip, err)
		}
	})
	t.Run("resolve, a name for an answer", func(t *testing.T) {
		tr := scripted(t, plain, false, greet, turn{"05f00003 01 61 0000", "05000003 01 62 0000"})
		if ip, err := tr.Resolve(t.Context(), "a"); !errors.Is(err, socks.ErrReply) {
			t.Errorf("got %s, %v, want ErrReply", ip, err)
		}
	})
}

// TestCodes has the proxy answer with each code, for an IP address and for an onion.
func TestCodes(t *testing.T) {
	toOnion := "05010003 3e" + hex.EncodeToString([]byte(knownOnion+".onion")) + "04d2"
	for _, c := range []struct {
		code     socks.Code
		cause    socks.Cause
		retry    bool
		stage    transport.Stage
		sentinel error
		text     string
	}{
		{socks.GeneralFailure, socks.CauseGeneral, true, transport.StageConnect, nil, "general failure (code 0x01)"},
		{socks.NotAllowed, socks.CauseNotAllowed, false, transport.StageConnect, nil, "rules"},
		{socks.NetworkUnreachable, socks.CauseUnreachable, true, transport.StageConnect, nil, "network unreachable"},
		{socks.HostUnreachable, socks.CauseUnreachable, true, transport.StageConnect, nil, "host unreachable"},
		{socks.Refused, socks.CauseRefused, true, transport.StageConnect, transport.ErrRefused, "refused"},
		{socks.Expired, socks.CauseTimeout, true, transport.StageConnect, transport.ErrTimeout, "no answer"},
		{socks.NoSuchCommand, socks.CauseUnsupported, false, transport.StageProxy, nil, "command"},
		{socks.NoSuchAddressType, socks.CauseUnsupported, false, transport.StageProxy, nil, "kind of address"},
		{0x09, socks.CauseGeneral, true, transport.StageConnect, nil, "unknown code 0x09"},
		{0xFF, socks.CauseGeneral, true, transport.StageConnect, nil, "unknown code 0xFF"},
		{socks.OnionNotFound, socks.CauseNotPublished, true, transport.StageConnect, nil, "not published"},
		{socks.OnionInvalid, socks.CauseNotPublished, true, transport.StageConnect, nil, "descriptor"},
		{socks.OnionIntroFailed, socks.CauseIntroduction, true, transport.StageConnect, nil, "introduction"},
		{socks.OnionRendezvousFailed, socks.CauseIntroduction, true, transport.StageConnect, nil, "rendezvous"},
		{socks.OnionClientAuthMissing, socks.CauseNotAllowed, false, transport.StageConnect, nil, "client key"},
		{socks.OnionClientAuthWrong, socks.CauseNotAllowed, false, transport.StageConnect, nil, "client key"},
		{socks.OnionBadAddress, socks.CauseAddress, false, transport.StageAddress, transport.ErrUnsupported, "invalid onion address"},
		{socks.OnionIntroTimedOut, socks.CauseTimeout, true, transport.StageConnect, transport.ErrTimeout, "timed out"},
	} {
		for _, to := range []struct {
			addr    ma.Multiaddr
			request string
			onion   bool
		}{{peerIP, toIP, false}, {onion, toOnion, true}} {
			want := c.cause
			if to.onion && c.code == socks.HostUnreachable {
				want = socks.CauseNotPublished // Tor, on a port without ExtendedErrors
			}
			// A failed request may have no valid address behind its code.
			answer := "05" + hex.EncodeToString([]byte{byte(c.code)}) + "0000"
			_, err := scripted(t, plain, true, turn{hello, noAuth}, turn{to.request, answer}).Dial(t.Context(), to.addr)
			e, ok := errors.AsType[*socks.Error](err)
			de, wrapped := errors.AsType[*transport.DialError](err)
			if !ok || !wrapped || e.Code != c.code || e.Cause != want || e.Retryable() != c.retry || e.Step != socks.StepRequest || de.Stage != c.stage {
				t.Errorf("%s: got %#v, want %s at %s, retryable %v", c.code, err, want, c.stage, c.retry)
				continue
			}
			if c.sentinel != nil && !errors.Is(err, c.sentinel) || errors.Is(err, transport.ErrUnreachable) != (c.stage != transport.StageAddress) {
				t.Errorf("%s: got %v, want %v in it", c.code, err, c.sentinel)
			}
			if text := err.Error(); !strings.Contains(text, c.text) || !strings.Contains(text, "127.0.0.1:9050") || !strings.Contains(text, "; ") {
				t.Errorf("%s: got %q, want %q in it, the proxy and a hint", c.code, text, c.text)
			}
		}
	}
}

// TestBadProxies has proxies that break the protocol in every step.
func TestBadProxies(t *testing.T) {
	greet := turn{hello, noAuth}
	withPW := socks.Options{Credentials: socks.Credentials{User: "me", Password: "pw!"}}
	login := "01 02 6d65 03 707721"
	for _, c := range []struct {
		name   string
		o      socks.Options
		step   socks.Step
		cause  socks.Cause
		err    error
		silent bool // the proxy does not hang up
		script []turn
	}{
		{"hangs up at once", plain, socks.StepMethod, socks.CauseProxyDown, socks.ErrHungUp, false, nil},
		{"silence", plain, socks.StepMethod, socks.CauseTimeout, transport.ErrTimeout, true, []turn{{hello, ""}}},
		{"reads nothing", plain, socks.StepMethod, socks.CauseTimeout, transport.ErrTimeout, true, nil},
		{"half a choice", plain, socks.StepMethod, socks.CauseProxyDown, socks.ErrHungUp, false, []turn{{hello, "05"}}},
		{"half a choice, then silence", plain, socks.StepMethod, socks.CauseTimeout, transport.ErrTimeout, true, []turn{{hello, "05"}}},
		{"SOCKS4", plain, socks.StepMethod, socks.CauseProtocol, socks.ErrVersion, true, []turn{{hello, "045b"}}},
		{"HTTP", plain, socks.StepMethod, socks.CauseProtocol, socks.ErrVersion, true, []turn{{hello, hex.EncodeToString([]byte("HT"))}}},
		{"control port of Tor", plain, socks.StepMethod, socks.CauseProtocol, socks.ErrVersion, true, []turn{{hello, hex.EncodeToString([]byte("51"))}}},
		{"no method fits", plain, socks.StepMethod, socks.CauseAuth, socks.ErrMethod, true, []turn{{hello, "05ff"}}},
		{"no method fits credentials", withPW, socks.StepMethod, socks.CauseAuth, socks.ErrMethod, true, []turn{{offers, "05ff"}}},
		{"a method not offered", plain, socks.StepMethod, socks.CauseAuth, socks.ErrMethod, true, []turn{{hello, "0502"}}},
		{"GSSAPI", withPW, socks.StepMethod, socks.CauseAuth, socks.ErrMethod, true, []turn{{offers, "0501"}}},
		{"password refused", withPW, socks.StepAuth, socks.CauseAuth, socks.ErrCredentials, true, []turn{{offers, wantsPW}, {login, "0101"}}},
		{"wrong version of the answer", withPW, socks.StepAuth, socks.CauseProtocol, socks.ErrVersion, true, []turn{{offers, wantsPW}, {login, "0500"}}},
		{"hangs up on a password", withPW, socks.StepAuth, socks.CauseProxyDown, socks.ErrHungUp, false, []turn{{offers, wantsPW}, {login, "01"}}},
		{"silence after a password", withPW, socks.StepAuth, socks.CauseTimeout, transport.ErrTimeout, true, []turn{{offers, wantsPW}, {login, ""}}},
		{"no reply", plain, socks.StepRequest, socks.CauseTimeout, transport.ErrTimeout, true, []turn{greet, {toIP, ""}}},
		{"hangs up on a request", plain, socks.StepRequest, socks.CauseProxyDown, socks.ErrHungUp, false, []turn{greet, {toIP, ""}}},
		{"wrong version of the reply", plain, socks.StepRequest, socks.CauseProtocol, socks.ErrVersion, true, []turn{greet, {toIP, "04000001 00000000 0000"}}},
		{"reserved byte", plain, socks.StepRequest, socks.CauseProtocol, socks.ErrReply, true, []turn{greet, {toIP, "05000101 00000000 0000"}}},
		{"unknown type of address", plain, socks.StepRequest, socks.CauseProtocol, socks.ErrReply, true, []turn{greet, {toIP, "05000002"}}},
		{"truncated head", plain, socks.StepRequest, socks.CauseProxyDown, socks.ErrHungUp, false, []turn{greet, {toIP, "0500"}}},
		{"truncated address", plain, socks.StepRequest, socks.CauseProxyDown, socks.ErrHungUp, false, []turn{greet, {toIP, "05000001 0000"}}},
		{"truncated name", plain, socks.StepRequest, socks.CauseProxyDown, socks.ErrHungUp, false, []turn{greet, {toIP, "05000003 ff 61"}}},
		{"no length of the name", plain, socks.StepRequest, socks.CauseProxyDown, socks.ErrHungUp, false, []turn{greet, {toIP, "05000003"}}},
		{"truncated port", plain, socks.StepRequest, socks.CauseTimeout, transport.ErrTimeout, true, []turn{greet, {toIP, "05000001 00000000 00"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := scripted(t, c.o, c.silent, c.script...).Dial(t.Context(), peerIP)
				e, ok := errors.AsType[*socks.Error](err)
				if !ok || e.Step != c.step || e.Cause != c.cause || !errors.Is(err, c.err) {
					t.Errorf("got %#v (%v), want %v: %s at %s", e, err, c.err, c.cause, c.step)
				}
				want := time.Duration(0)
				if c.cause == socks.CauseTimeout {
					want = 10 * time.Second
					if c.step == socks.StepRequest {
						want = 30 * time.Second
					}
				}
				if took := time.Since(began); took != want {
					t.Errorf("got it after %v, want %v", took, want)
				}
			})
		})
	}
}

// TestTimes has a silent proxy, and one that cannot be reached.
func TestTimes(t *testing.T) {
	never := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, c := range []struct {
		name   string
		addr   ma.Multiaddr
		limits socks.Limits
		down   bool // no connection to the proxy
		want   time.Duration
		step   socks.Step
	}{
		{"an address", peerIP, socks.Limits{}, false, 30 * time.Second, socks.StepRequest},
		{"an onion service", onion, socks.Limits{}, false, time.Minute, socks.StepRequest},
		{"limits of the caller", onion, socks.Limits{Onion: 7 * time.Second, Dial: time.Second}, false, 7 * time.Second, socks.StepRequest},
		{"no proxy", peerIP, socks.Limits{}, true, 10 * time.Second, socks.StepProxy},
		{"no proxy, limit of the caller", peerIP, socks.Limits{Proxy: time.Second}, true, time.Second, socks.StepProxy},
		{"the whole before the step", peerIP, socks.Limits{Dial: 3 * time.Second}, true, 3 * time.Second, socks.StepProxy},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := plain
				o.Limits, o.Proxy = c.limits, ma.StringCast("/ip4/127.0.0.1/tcp/9050")
				tr := newTransport(t, o)
				if c.down {
					tr.ConnectBy(never)
				} else {
					tr = scripted(t, o, true, turn{hello, noAuth}, turn{"05", ""})
				}
				began := time.Now()
				_, err := tr.Dial(t.Context(), c.addr)
				e, ok := errors.AsType[*socks.Error](err)
				if !ok || e.Step != c.step || e.Cause != socks.CauseTimeout || !errors.Is(err, transport.ErrTimeout) {
					t.Errorf("got %#v (%v), want a timeout at %s", e, err, c.step)
				}
				if took := time.Since(began); took != c.want {
					t.Errorf("got it after %v, want %v", took, c.want)
				}
			})
		})
	}
}

// TestCancel ends a dial in each step. The connection to the proxy is closed at once, which
// makes Tor give up as well.
func TestCancel(t *testing.T) {
	for name, script := range map[string][]turn{
		"method":         {{hello, ""}},
		"authentication": {{offers, wantsPW}},
		"request":        {{hello, noAuth}, {toIP, ""}},
		"half a reply":   {{hello, noAuth}, {toIP, "0500"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := plain
				if name == "authentication" {
					o = socks.Options{Credentials: socks.Credentials{User: "me", Password: "pw!"}}
				}
				tr := scripted(t, o, true, script...)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					_, err := tr.Dial(ctx, peerIP)
					ended <- err
				}()
				synctest.Wait()
				began := time.Now()
				cancel()
				err := <-ended
				if !errors.Is(err, context.Canceled) || errors.Is(err, transport.ErrUnreachable) || time.Since(began) != 0 {
					t.Errorf("got %v after %v, want context.Canceled at once", err, time.Since(began))
				}
			})
		})
	}
}

// TestNoDeadlineIsLeft reads long after every limit of the dial.
func TestNoDeadlineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := scripted(t, plain, true, turn{hello, noAuth}, turn{toIP, opened}, turn{hex.EncodeToString([]byte("late")), hex.EncodeToString([]byte("answer"))})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn, err := tr.Dial(ctx, peerIP)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		time.Sleep(time.Hour)
		if _, err := conn.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 6)
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "answer" {
			t.Errorf("got %q, %v, want the answer", got, err)
		}
	})
}
