package onion

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	rand2 "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/transport/torconn"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

func (d *daemon) dial() (net.Conn, error) { return net.Dial("unix", d.control) }

// dialler opens control connections.
type dialler interface{ dial() (net.Conn, error) }

// from is an event of one connection; those of earlier ones do not count.
type from struct {
	conn  net.Conn
	event tor.Event
}

// driver carries out what a controller decides, on one goroutine.
type driver struct {
	t      *testing.T
	d      dialler
	c      *tor.Controller
	conn   net.Conn
	events chan from
	states map[tor.ServiceID]tor.ServiceState
	errs   []error // of Hangup
	answer *tor.Answered
	done   bool
}

func drive(t *testing.T, d dialler, auth string) *driver {
	t.Helper()
	a, err := tor.ParseAuth(auth)
	if err != nil {
		t.Fatal(err)
	}
	r := &driver{t: t, d: d, events: make(chan from, 100), states: map[tor.ServiceID]tor.ServiceState{}}
	r.c = tor.NewController(time.Now(), tor.Options{Auth: a, Local: true, Nonce: rand.Reader, Random: rand2.New(rand2.NewPCG(1, 2))})
	t.Cleanup(func() {
		if r.conn != nil {
			r.conn.Close()
		}
	})
	return r
}

func (r *driver) step(e tor.Event) {
	for _, e := range r.c.Step(time.Now(), e) {
		switch e := e.(type) {
		case tor.Connect:
			conn, err := r.d.dial()
			if err != nil {
				r.events <- from{nil, tor.Lost{Err: err}}
				r.conn = nil
				continue
			}
			r.conn = conn
			r.events <- from{conn, tor.Connected{}}
			go r.read(conn)
		case tor.Send:
			r.conn.Write(e.Command.Append(nil)) // if it fails, the reader hears of it
		case tor.ReadCookie:
			b, file, err := torconn.ReadCookie(e.Files, "")
			r.events <- from{r.conn, tor.CookieRead{Bytes: b, File: file, Err: err}}
		case tor.Hangup:
			r.errs = append(r.errs, e.Err)
			if r.conn != nil {
				r.conn.Close()
				r.conn = nil
			}
		case tor.Changed:
			r.states[e.Service.ID] = e.Service.State
		case tor.Answered:
			r.answer = &e
		case tor.Stopped:
			r.done = true
		}
	}
}

func (r *driver) read(conn net.Conn) {
	reader := tor.NewReader(conn)
	for {
		reply, err := reader.Read()
		if err != nil {
			r.events <- from{conn, tor.Lost{Err: err}}
			return
		}
		r.events <- from{conn, tor.Received{Reply: reply}}
	}
}

// until goes on until it is so.
func (r *driver) until(what string, so func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for r.step(tor.Due{}); !so(); {
		if !r.next(ctx) {
			r.t.Fatalf("waited a minute for: %s; got %+v, %v", what, r.c.Status(), r.errs)
		}
	}
}

// next waits for what happens next and carries it out. It returns false when ctx has ended.
func (r *driver) next(ctx context.Context) bool {
	var due <-chan time.Time
	if at := r.c.Wake(); !at.IsZero() {
		due = time.After(time.Until(at))
	}
	select {
	case e := <-r.events:
		if e.conn == r.conn {
			r.step(e.event)
		}
	case <-due:
		r.step(tor.Due{})
	case <-ctx.Done():
		return false
	}
	return true
}

func (r *driver) ready() bool { return r.c.Status().Phase == tor.Ready && r.c.Status().Version != "" }

// is waits for a state of a service.
func (r *driver) is(id tor.ServiceID, state tor.ServiceState) {
	r.t.Helper()
	r.until(string(state), func() bool { return r.states[id] == state })
}

// ask sends a command and returns the reply.
func (r *driver) ask(words ...string) (tor.Reply, error) {
	r.t.Helper()
	c, err := tor.NewCommand(words...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.answer = nil
	r.step(tor.Asked{Command: c})
	r.until(words[0], func() bool { return r.answer != nil })
	return r.answer.Reply, r.answer.Err
}

func newKey(t *testing.T) tor.Key {
	t.Helper()
	k, err := tor.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newService(t *testing.T) tor.Service {
	t.Helper()
	return tor.Service{Key: newKey(t), Ports: []tor.Port{{Virtual: tor.DefaultOnionPort, Target: "127.0.0.1:4001"}}}
}

// TestAuthentication has a real Tor with each kind of authentication, and refusals.
func TestAuthentication(t *testing.T) {
	const password = `a "b" \c`
	cookie := startTor(t, "CookieAuthentication 1")
	file := cookie.cookie()
	secret := startTor(t, hashed(t, password))
	open := startTor(t)
	wrong := filepath.Join(t.TempDir(), "cookie")
	if err := os.WriteFile(wrong, make([]byte, tor.CookieLen), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		d    *daemon
		auth string
		want any // an error to look for; nil: it works
	}{
		{"SAFECOOKIE", cookie, "safecookie=@" + file, nil},
		{"COOKIE", cookie, "cookie=@" + file, nil},
		{"HASHEDPASSWORD", secret, "password=" + password, nil},
		{"NULL", open, "none", nil},
		{"NULL that nobody has named", open, "auto", &tor.ErrOpen},
		{"a cookie where none is wanted", open, "safecookie=@" + file, &tor.ErrOpen},
		{"a cookie in a place that nobody has named", cookie, "auto", new(*tor.PathError)},
		{"SAFECOOKIE, no such file", cookie, "safecookie=@" + file + "x", &tor.ErrCookie},
		{"SAFECOOKIE, another Tor's", cookie, "safecookie=@" + wrong, &tor.ErrNotTor},
		{"any password where none is wanted", open, "password=x", nil},
		{"wrong password", secret, "password=x", new(*tor.AuthError)},
		{"wrong cookie", cookie, "cookie=" + strings.Repeat("0", 64), new(*tor.AuthError)},
		{"nothing where a cookie is wanted", cookie, "none", new(*tor.AuthError)},
		{"a password that auto cannot know", secret, "auto", &tor.ErrPasswordWanted},
		{"no such cookie", cookie, "cookie=@" + file + "x", &tor.ErrCookie},
		{"another file for a cookie", cookie, "cookie=@" + filepath.Join(cookie.dir, "torrc"), &tor.ErrCookieLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := drive(t, c.d, c.auth)
			if c.want == nil {
				r.until("ready", r.ready)
				return
			}
			r.until("a refusal", func() bool { return len(r.errs) > 0 })
			switch want := c.want.(type) {
			case *error:
				if !errors.Is(r.errs[0], *want) {
					t.Errorf("got %v, want %v", r.errs[0], *want)
				}
			default:
				if !errors.As(r.errs[0], want) {
					t.Errorf("got %v, want %T", r.errs[0], want)
				}
			}
			if text := r.c.Status().Trouble(); text == "" || strings.Contains(text, "install") {
				t.Errorf("got %q, want what to correct", text)
			}
		})
	}
}

// TestServices publishes services with keys of ours: Tor makes the same addresses of them.
func TestServices(t *testing.T) {
	d := startTor(t, "CookieAuthentication 1")
	r := drive(t, d, d.auth())
	one, two := newService(t), newService(t)
	two.Detach, two.MaxStreams = true, 100
	two.Ports = append(two.Ports, tor.Port{Virtual: 80, Target: "[::1]:4002"}, tor.Port{Virtual: 81, Target: "unix:/run/x"})
	r.step(tor.Publish{Service: one})
	r.step(tor.Publish{Service: two})
	r.is(one.Key.ID(), tor.Added)
	r.is(two.Key.ID(), tor.Added)
	if reply, err := r.ask("GETINFO", "onions/current", "onions/detached"); err != nil {
		t.Error(err)
	} else {
		current, _ := reply.Value("onions/current")
		detached, _ := reply.Value("onions/detached")
		if current != string(one.Key.ID()) || detached != string(two.Key.ID()) {
			t.Errorf("got current %q and detached %q", current, detached)
		}
	}

	// Tor ends without a word and starts again: the same services, and a new cookie.
	d.kill()
	r.is(one.Key.ID(), tor.Unpublished)
	if text := r.c.Status().Trouble(); !strings.Contains(text, "install") {
		t.Errorf("got %q, want what to install and to start", text)
	}
	d.start()
	r.is(one.Key.ID(), tor.Added)
	r.is(two.Key.ID(), tor.Added)

	// Another controller wants the same services: the detached one can be taken over, the
	// other one when the first connection has ended.
	other := drive(t, d, d.auth())
	other.step(tor.Publish{Service: two})
	other.is(two.Key.ID(), tor.Added)
	other.step(tor.Publish{Service: one})
	other.is(one.Key.ID(), tor.Collision)
	r.conn.Close()
	other.is(one.Key.ID(), tor.Added)

	// 200 commands at once, answered in order.
	left := 0
	for range 200 {
		other.step(tor.Asked{Command: "GETINFO version"})
		left++
	}
	other.until("200 answers", func() bool {
		if other.answer != nil {
			if v, _ := other.answer.Reply.Value("version"); other.answer.Err != nil || v == "" {
				t.Errorf("got %+v, want the version", other.answer)
			}
			left--
			other.answer = nil
		}
		return left == 0
	})
	if _, err := other.ask("GETINFO", "nonsense"); err == nil {
		t.Error("nonsense: got no error")
	}

	other.step(tor.Stop{})
	other.until("the end", func() bool { return other.done })
	third := drive(t, d, d.auth())
	third.until("ready", third.ready)
	if reply, err := third.ask("GETINFO", "onions/detached"); err != nil {
		t.Error(err)
	} else if v, _ := reply.Value("onions/detached"); v != "" {
		t.Errorf("got %q left in Tor, want nothing", v)
	}
}

// TestKeyOfTor reads a key that Tor made, as the file of a Tari node holds it.
func TestKeyOfTor(t *testing.T) {
	r := drive(t, startTor(t), "none")
	r.until("ready", r.ready)
	reply, err := r.ask("ADD_ONION", "NEW:ED25519-V3", "Port=1,127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := reply.Value("ServiceID")
	key, _ := reply.Value("PrivateKey")
	key = strings.TrimPrefix(key, "ED25519-V3:")
	if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) != 64 {
		t.Fatalf("got a key of %d bytes, %v", len(b), err)
	}
	kept, err := tor.ParseIdentity([]byte(`{"private_key":{"Ed25519V3":"` + key + `"},"service_id":"` + id + `","onion_port":1}`))
	if err != nil || string(kept.Key.ID()) != id {
		t.Fatalf("got %v, %v, want %s", kept, err, id)
	}
	if _, err := r.ask("DEL_ONION", id); err != nil {
		t.Fatal(err)
	}
	r.step(tor.Publish{Service: tor.Service{Key: kept.Key, Ports: []tor.Port{{Virtual: 1, Target: "127.0.0.1:1"}}}})
	r.is(kept.Key.ID(), tor.Added)
}
