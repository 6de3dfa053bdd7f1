package socks

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	ma "github.com/multiformats/go-multiaddr"
)

// Limits are the time limits of a dial, in addition to the caller's context. 0 means the
// default.
type Limits struct {
	Proxy time.Duration // connecting to the proxy; default 10 s
	Step  time.Duration // each step of the authentication; default 10 s
	Dial  time.Duration // a whole dial, and a RESOLVE; default 30 s
	Onion time.Duration // a whole dial of an onion service; default 60 s
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		limit *time.Duration
		value time.Duration
	}{{&l.Proxy, 10 * time.Second}, {&l.Step, 10 * time.Second}, {&l.Dial, 30 * time.Second}, {&l.Onion, 60 * time.Second}} {
		if *d.limit == 0 {
			*d.limit = d.value
		}
	}
	return l
}

// of returns the limit of a whole dial.
func (l Limits) of(to destination) time.Duration {
	if to.onion {
		return l.Onion
	}
	return l.Dial
}

// proxy is a SOCKS5 proxy.
type proxy struct {
	multiaddr     ma.Multiaddr
	network, addr string // of package net; addr has an IP address or a path, never a name
	limits        Limits
	connect       func(ctx context.Context, network, addr string) (net.Conn, error)
}

// request makes one request. It returns the connection, on which the bytes of the
// destination follow, and the address of the reply. The end of ctx closes the connection.
func (p *proxy) request(ctx context.Context, command byte, to destination, c Credentials) (net.Conn, netip.Addr, *Error) {
	ctx, cancel := context.WithTimeout(ctx, p.limits.of(to))
	defer cancel()
	conn, err := p.reach(ctx)
	if err != nil {
		return nil, netip.Addr{}, p.named(failed(ctx, StepProxy, err))
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	a, e := exchange(conn, command, to, c, p.limits.Step)
	if e == nil && a.code != Succeeded {
		stop()
		conn.Close()
		return nil, netip.Addr{}, p.named(&Error{Step: StepRequest, Code: a.code, Cause: a.code.cause(to)})
	}
	if !stop() && e == nil {
		e = &stepError{StepRequest, context.Cause(ctx)} // closed at the last moment
	}
	if e != nil {
		conn.Close()
		return nil, netip.Addr{}, p.named(failed(ctx, e.step, e.err))
	}
	return conn, a.ip, nil
}

func (p *proxy) named(e *Error) *Error {
	e.Proxy = p.addr
	return e
}

// reach connects to the proxy.
func (p *proxy) reach(ctx context.Context) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, p.limits.Proxy)
	defer cancel()
	return p.connect(limited, p.network, p.addr)
}

// stepError is an error with the step that it ended.
type stepError struct {
	step Step
	err  error
}

// exchange authenticates and makes the request. Each step of the authentication has a
// deadline; the request itself is ended by who closes conn.
func exchange(conn net.Conn, command byte, to destination, c Credentials, limit time.Duration) (a reply, e *stepError) {
	step := StepMethod
	var method byte
	err := within(conn, limit, appendGreeting(nil, c), func() (err error) {
		method, err = readMethod(conn, c)
		return err
	})
	if err == nil && method == methodPassword {
		step = StepAuth
		err = within(conn, limit, appendCredentials(nil, c), func() error { return readStatus(conn) })
	}
	if err == nil {
		step = StepRequest
		err = within(conn, 0, appendRequest(nil, command, to), func() (err error) {
			a, err = readReply(conn)
			return err
		})
	}
	if err != nil {
		return a, &stepError{step, err}
	}
	return a, nil
}

// within writes a question and reads its answer before the limit is over; 0 is no limit.
func within(conn net.Conn, limit time.Duration, question []byte, answer func() error) error {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write(question); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return answer()
}
