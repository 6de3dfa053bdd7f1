package gate

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"time"

	"github.com/gamelan-p2p/gamelan/internal/lru"
)

// Scope is what somebody may do.
type Scope int

// The scopes. Each may do what those before it may.
const (
	Nothing Scope = iota
	Read
	Admin
)

// String returns the name of the scope, as in a request for a link.
func (s Scope) String() string { return [...]string{"nothing", "read", "admin"}[s] }

// ScopeNamed returns the scope of a name, and false for another text.
func ScopeNamed(name string) (Scope, bool) {
	for _, s := range []Scope{Read, Admin} {
		if name == s.String() {
			return s, true
		}
	}
	return Nothing, false
}

// Limits of links and sessions.
const (
	LinkFor     = time.Minute    // a link that nobody opens
	SessionFor  = 12 * time.Hour // a session
	MaxLinks    = 16             // links; for one more, the oldest makes way
	MaxSessions = 64             // sessions; for one more, the oldest makes way
)

// secretSize is the length of codes of links and ids of sessions, in bytes.
const secretSize = 32

type digest = [sha256.Size]byte

// visitors are the browsers that have, or may get, a session. Only digests of secrets are kept. The zero
// value is ready to use.
type visitors struct {
	links    []link // oldest first
	sessions lru.Map[digest, session]
}

type link struct {
	code  digest
	scope Scope
	until time.Time
}

type session struct {
	scope Scope
	until time.Time
}

// invite returns the code of a new link.
func (v *visitors) invite(now time.Time, scope Scope, random io.Reader) (code string, err error) {
	code, d, err := secret(random)
	if err != nil {
		return "", err
	}
	v.expire(now)
	if len(v.links) >= MaxLinks {
		v.links = append(v.links[:0], v.links[1:]...)
	}
	v.links = append(v.links, link{d, scope, now.Add(LinkFor)})
	return code, nil
}

// enter opens a session for the code of a link, which is over with that. ok is false for a code that is
// none, or none any more.
func (v *visitors) enter(now time.Time, code string, random io.Reader) (id string, s session, ok bool, err error) {
	v.expire(now)
	given := sha256.Sum256([]byte(code))
	at := -1
	for i := range v.links { // all of them, whichever it is
		if subtle.ConstantTimeCompare(v.links[i].code[:], given[:]) == 1 {
			at = i
		}
	}
	if at < 0 {
		return "", s, false, nil
	}
	s = session{v.links[at].scope, now.Add(SessionFor)}
	v.links = append(v.links[:at], v.links[at+1:]...)
	id, d, err := secret(random)
	if err != nil {
		return "", s, false, err
	}
	v.sessions.Most = MaxSessions
	*v.sessions.Use(d) = s
	return id, s, true, nil
}

// session returns the session of an id; its scope is Nothing if there is none.
func (v *visitors) session(now time.Time, id string) session {
	d := sha256.Sum256([]byte(id)) // whoever guesses learns nothing from how long it takes to find
	s := v.sessions.Get(d)
	switch {
	case s == nil:
		return session{}
	case !now.Before(s.until):
		v.sessions.Delete(d)
		return session{}
	}
	return *s
}

// leave ends a session.
func (v *visitors) leave(id string) { v.sessions.Delete(sha256.Sum256([]byte(id))) }

// count returns how many links and sessions there are.
func (v *visitors) count(now time.Time) (links, sessions int) {
	v.expire(now)
	for {
		d, s, ok := v.sessions.Oldest()
		if !ok || now.Before(s.until) { // all live for the same time
			return len(v.links), v.sessions.Len()
		}
		v.sessions.Delete(d)
	}
}

// expire forgets links that are over.
func (v *visitors) expire(now time.Time) {
	for len(v.links) > 0 && !now.Before(v.links[0].until) {
		v.links = v.links[1:]
	}
}

// secret draws a secret, and returns it with what is kept of it.
func secret(random io.Reader) (text string, d digest, err error) {
	b := make([]byte, secretSize)
	if _, err = io.ReadFull(random, b); err != nil {
		return "", d, err
	}
	text = hex.EncodeToString(b)
	return text, sha256.Sum256([]byte(text)), nil
}
