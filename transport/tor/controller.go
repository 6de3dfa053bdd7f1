package tor

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/backoff"
)

const (
	// CommandLimit is the time for the answer to a command, and for connecting.
	CommandLimit = 10 * time.Second
	// MaxAsked is the most commands of others that wait for their answers.
	MaxAsked = 1_000
	// SignalPause is the least time between two signals for new circuits. Tor itself delays
	// those that come faster.
	SignalPause = 10 * time.Second

	firstRetry    = 200 * time.Millisecond // of the connection
	maxRetry      = 30 * time.Second
	maxRetryLocal = 2 * time.Second
	firstRepeat   = 500 * time.Millisecond // of ADD_ONION after a collision
	maxRepeat     = 10 * time.Second
)

// Errors of a [Controller].
var (
	// ErrNotRunning reports that nobody listens on the control port, or that Tor has ended.
	ErrNotRunning = errors.New("tor: not running")
	// ErrCookie reports a cookie file that cannot be read.
	ErrCookie = errors.New("tor: the cookie of the control port cannot be read; run this node as a user of Tor's group, or set tor.control_auth")
	// ErrSilent reports a command that was not answered in time.
	ErrSilent = errors.New("tor: the control port does not answer")
	// ErrAway reports that there is no control connection.
	ErrAway = errors.New("tor: no control connection")
	// ErrTooMany reports more than [MaxAsked] commands at a time.
	ErrTooMany = errors.New("tor: too many commands at once")
	// ErrAnswer reports an answer to nothing, or one that does not fit.
	ErrAnswer = errors.New("tor: an answer that does not fit")
	// ErrOtherService reports that Tor made another service of a key than it stands for.
	ErrOtherService = errors.New("tor: the key became another onion service")
)

// Options describe a [Controller].
type Options struct {
	Auth Auth
	// Pinned is the cookie file of an earlier controller; see [Status.Cookie].
	Pinned CookieFile
	// Local says that the control port is on this machine, where a retry costs nothing.
	Local bool
	// NewCircuits permits the signal NEWNYM, which concerns everybody who uses this Tor.
	NewCircuits bool
	// Nonce is the source of 32 bytes for each SAFECOOKIE; they must be unpredictable.
	Nonce io.Reader
	// Random spreads the retries.
	Random *rand.Rand
}

// Controller keeps onion services published over one control connection at a time. It
// connects again for ever, and adds each service again with its key. It is not safe for
// concurrent use.
type Controller struct {
	options   Options
	services  map[ServiceID]*service
	phase     Phase
	retry     time.Time // in Away: of the next attempt
	failures  int       // attempts in a row
	limit     time.Time // in Connecting, and while the cookie is read
	nonce     []byte
	method    string     // while the cookie is read
	cookie    []byte     // until the challenge is answered
	source    CookieFile // of the cookie of this connection
	pinned    CookieFile // the one that has worked
	waiting   []pending
	asked     int       // of waiting, those of others
	signalled time.Time // when NEWNYM was sent last
	signals   int
	health    health
	effects   []Effect
}

// pending is a command that was sent.
type pending struct {
	kind  kind
	limit time.Time
	id    ServiceID // of commands for a service
	token any       // of Asked
}

type kind uint8

const (
	kindProtocolInfo kind = iota
	kindChallenge
	kindAuthenticate
	kindInfo
	kindEvents
	kindAdd
	kindDetached
	kindDelete      // before another ADD_ONION
	kindDeleteFinal // the service is not wanted
	kindAsked
	kindSignal
	kindQuit
)

// NewController returns a machine without services. Its first event, which may be a Due, makes
// it connect.
func NewController(now time.Time, o Options) *Controller {
	return &Controller{options: o, services: make(map[ServiceID]*service), phase: Away, retry: now, pinned: o.Pinned}
}

// Step applies one event and returns what to do, in order. The effects are valid until the
// next call.
func (c *Controller) Step(now time.Time, e Event) []Effect {
	clear(c.effects)
	c.effects = c.effects[:0]
	switch e := e.(type) {
	case Publish:
		c.want(now, e.Service)
	case Withdraw:
		c.unwant(now, e.ID)
	case Asked:
		c.ask(now, e)
	case Stuck:
		c.stuck(now)
	case Stop:
		c.stop(now)
	case Connected:
		if c.phase == Connecting {
			c.authenticate(now)
		}
	case Lost:
		if c.phase != Away && c.phase != Ended {
			c.lost(now, lostBy(e.Err))
		}
	case CookieRead:
		if c.phase == Authenticating && c.method != "" {
			c.cookieRead(now, e)
		}
	case Received:
		if c.phase != Away && c.phase != Ended && c.phase != Connecting {
			c.received(now, e.Reply)
		}
	}
	c.due(now)
	return c.effects
}

// Wake returns when Due has to come at the latest; zero means never.
func (c *Controller) Wake() (at time.Time) {
	earliest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if c.phase == Away {
		earliest(c.retry)
	}
	earliest(c.limit)
	if len(c.waiting) > 0 {
		earliest(c.waiting[0].limit)
	}
	if c.phase == Ready {
		for _, s := range c.services {
			earliest(s.repeat)
		}
	}
	return at
}

func (c *Controller) do(e Effect) { c.effects = append(c.effects, e) }

// send writes a command and remembers that it will be answered.
func (c *Controller) send(now time.Time, k kind, command Command, id ServiceID) {
	c.waiting = append(c.waiting, pending{kind: k, limit: now.Add(CommandLimit), id: id})
	c.do(Send{command})
}

// due does what the time asks for.
func (c *Controller) due(now time.Time) {
	switch {
	case c.phase == Away && !now.Before(c.retry):
		c.phase = Connecting
		c.limit = now.Add(CommandLimit)
		c.do(Connect{})
	case !c.limit.IsZero() && !now.Before(c.limit),
		len(c.waiting) > 0 && !now.Before(c.waiting[0].limit):
		c.hangUp(now, ErrSilent)
	case c.phase == Ready:
		for _, s := range c.sorted() {
			if !s.repeat.IsZero() && !now.Before(s.repeat) {
				c.add(now, s)
			}
		}
	}
}

// hangUp ends the connection, or the attempt to make one.
func (c *Controller) hangUp(now time.Time, err error) {
	c.do(Hangup{err})
	c.lost(now, err)
}

// lostBy returns the error of a connection that was lost by err.
func lostBy(err error) error {
	if errors.Is(err, ErrReply) || errors.Is(err, ErrReplyTooLong) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotRunning, err)
}

// lost forgets the connection, and chooses the time of the next.
func (c *Controller) lost(now time.Time, err error) {
	for _, p := range c.waiting {
		if p.kind == kindAsked {
			c.do(Answered{Token: p.token, Err: fmt.Errorf("%w: %w", ErrAway, err)})
		}
	}
	c.waiting, c.asked, c.limit, c.nonce, c.cookie, c.method, c.source = nil, 0, time.Time{}, nil, nil, "", CookieFile{}
	if c.phase == Stopping {
		c.phase = Ended
		c.do(Stopped{})
		return
	}
	if c.phase == Ready && now.Sub(c.health.since) >= maxRetry {
		c.failures = 0 // one that breaks soon after each authentication is a failure again
	}
	c.health = health{err: err, since: now, lastVersion: c.health.version()}
	c.phase = Away
	most := maxRetry
	if c.options.Local {
		most = maxRetryLocal
	}
	c.failures++
	wait := backoff.Doubled(c.failures, firstRetry, most)
	c.retry = now.Add(wait/2 + time.Duration(c.options.Random.Int64N(int64(wait/2)+1)))
	for _, s := range c.sorted() {
		s.repeat = time.Time{}
		c.set(now, s, Unpublished, nil)
	}
}

// authenticate begins with what the options ask for.
func (c *Controller) authenticate(now time.Time) {
	c.phase, c.limit = Authenticating, time.Time{}
	switch a := c.options.Auth; a.Kind {
	case AuthNone:
		c.send(now, kindAuthenticate, authenticate(nil), "")
	case AuthPassword:
		c.send(now, kindAuthenticate, authenticate([]byte(a.password)), "")
	case AuthCookie:
		if a.cookie != nil {
			c.send(now, kindAuthenticate, authenticate(a.cookie), "")
			return
		}
		c.readCookie(now, "COOKIE", []string{a.file})
	default:
		c.send(now, kindProtocolInfo, "PROTOCOLINFO 1", "")
	}
}

// readCookie has the cookie read; of several files that one alone which has worked.
func (c *Controller) readCookie(now time.Time, method string, files []string) {
	if c.pinned.Path != "" {
		files = []string{c.pinned.Path}
	}
	c.method, c.limit = method, now.Add(CommandLimit)
	c.do(ReadCookie{files})
}

// cookieRead goes on with the cookie. It is read for each connection, since Tor writes a new
// one when it starts.
func (c *Controller) cookieRead(now time.Time, e CookieRead) {
	method := c.method
	c.method, c.limit = "", time.Time{}
	unsafe, _ := errors.AsType[*UnsafeError](e.Err)
	switch {
	case unsafe != nil:
		c.hangUp(now, unsafe)
		return
	case e.Err != nil:
		c.hangUp(now, fmt.Errorf("%w: %w", ErrCookie, e.Err))
		return
	case c.pinned.Path != "" && c.pinned != e.File:
		c.hangUp(now, &PinError{Was: c.pinned, Is: e.File})
		return
	}
	c.source = e.File
	switch {
	case len(e.Bytes) != CookieLen:
		c.hangUp(now, ErrCookieLength)
	case method == "COOKIE":
		c.send(now, kindAuthenticate, authenticate(e.Bytes), "")
	default:
		c.cookie, c.nonce = slices.Clone(e.Bytes), make([]byte, CookieLen)
		if _, err := io.ReadFull(c.options.Nonce, c.nonce); err != nil {
			c.hangUp(now, fmt.Errorf("tor: no random bytes: %w", err))
			return
		}
		c.send(now, kindChallenge, Command(fmt.Sprintf("AUTHCHALLENGE SAFECOOKIE %x", c.nonce)), "")
	}
}

// received handles a reply, which answers the oldest command, or an event.
func (c *Controller) received(now time.Time, r Reply) {
	if len(r.Lines) == 0 {
		return
	}
	if r.Async() {
		c.heard(now, r)
		return
	}
	if len(c.waiting) == 0 {
		c.hangUp(now, ErrAnswer)
		return
	}
	p := c.waiting[0]
	c.waiting = slices.Delete(c.waiting, 0, 1)
	switch p.kind {
	case kindProtocolInfo:
		c.offered(now, r)
	case kindChallenge:
		c.challenged(now, r)
	case kindAuthenticate:
		c.authenticated(now, r)
	case kindInfo:
		c.health.learn(r)
	case kindAdd, kindDetached, kindDelete, kindDeleteFinal:
		c.answered(now, p, r)
	case kindAsked:
		c.asked--
		c.do(Answered{Token: p.token, Reply: r, Err: r.Err()})
	case kindQuit:
		c.hangUp(now, nil)
	case kindEvents: // an unknown name would be our mistake; without events a service never counts as published
		if err := r.Err(); err != nil {
			c.hangUp(now, err)
		}
	}
}

// offered answers PROTOCOLINFO.
func (c *Controller) offered(now time.Time, r Reply) {
	err := r.Err()
	if err == nil {
		info := protocolInfo(r)
		files := []string{c.options.Auth.file}
		switch err = info.proves(); {
		case err != nil && c.pinned.Path != "":
			err = ErrLess
		case err == nil && c.pinned.Path == "" && c.options.Auth.Kind != AuthSafeCookie:
			files, err = info.cookies()
		}
		if err == nil {
			c.readCookie(now, "SAFECOOKIE", files)
			return
		}
	}
	c.hangUp(now, err)
}

func (c *Controller) challenged(now time.Time, r Reply) {
	err := r.Err()
	if err == nil {
		var proof Command
		if proof, err = answerChallenge(r, c.cookie, c.nonce); err == nil {
			c.cookie, c.nonce = nil, nil
			c.send(now, kindAuthenticate, proof, "")
			return
		}
	}
	c.hangUp(now, err)
}

// AuthError reports that Tor does not accept the authentication. Tor closes the connection
// then.
type AuthError struct{ Err error }

// Error says what to do.
func (e *AuthError) Error() string {
	return fmt.Sprintf("tor: authentication: %v; correct the password, or the cookie file", e.Err)
}

// Unwrap returns the refusal.
func (e *AuthError) Unwrap() error { return e.Err }

func (c *Controller) authenticated(now time.Time, r Reply) {
	if err := r.Err(); err != nil {
		c.hangUp(now, &AuthError{err})
		return
	}
	c.phase, c.pinned = Ready, c.source
	c.health = health{since: now, lastVersion: c.health.version()}
	c.send(now, kindInfo, "GETINFO version net/listeners/socks status/bootstrap-phase status/circuit-established network-liveness", "")
	c.send(now, kindEvents, "SETEVENTS HS_DESC STATUS_CLIENT NETWORK_LIVENESS", "")
	for _, s := range c.sorted() {
		c.add(now, s)
	}
}

// ask sends a command of somebody else.
func (c *Controller) ask(now time.Time, e Asked) {
	err := ErrAway
	switch {
	case strings.ContainsAny(string(e.Command), "\r\n\x00") || e.Command == "":
		err = ErrArgument
	case c.phase == Ready && c.asked < MaxAsked:
		c.asked++
		c.waiting = append(c.waiting, pending{kind: kindAsked, limit: now.Add(CommandLimit), token: e.Token})
		c.do(Send{e.Command})
		return
	case c.phase == Ready:
		err = ErrTooMany
	}
	c.do(Answered{Token: e.Token, Err: err})
}

// stuck asks Tor for new circuits. Whether Tor agrees changes nothing here.
func (c *Controller) stuck(now time.Time) {
	if !c.options.NewCircuits || c.phase != Ready || c.signals > 0 && now.Sub(c.signalled) < SignalPause {
		return
	}
	c.signalled = now
	c.signals++
	c.send(now, kindSignal, "SIGNAL NEWNYM", "")
}

// stop takes the services away and says goodbye. A service that is detached goes as well:
// it leads to a listener that ends.
func (c *Controller) stop(now time.Time) {
	switch c.phase {
	case Stopping, Ended:
		return
	case Ready:
		c.phase = Stopping
		for _, s := range c.sorted() {
			if s.onTor {
				c.send(now, kindDeleteFinal, Command("DEL_ONION "+string(s.ID)), s.ID)
			}
			s.repeat = time.Time{}
			c.set(now, s, Unpublished, nil)
		}
		c.send(now, kindQuit, "QUIT", "")
		return
	case Away:
		c.phase = Ended
		c.do(Stopped{})
		return
	}
	c.phase = Stopping
	c.hangUp(now, nil)
}
