package inspect

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// Errors of tokens.
var (
	// ErrNoToken reports a call of Mutations without a token.
	ErrNoToken = errors.New("inspect: a handler that changes things needs a token")
	// ErrBadToken reports text that is not a token.
	ErrBadToken = errors.New("inspect: a token is 64 hexadecimal digits")
)

// Token is the 256-bit secret that a mutating request must carry, as "Authorization:
// Bearer <64 hexadecimal digits>". It prints as ***; only Reveal returns it. The zero
// Token is not valid.
type Token struct {
	secret [32]byte
	set    bool
}

// NewToken returns a token that it reads from random.
func NewToken(random io.Reader) (Token, error) {
	t := Token{set: true}
	if _, err := io.ReadFull(random, t.secret[:]); err != nil {
		return Token{}, fmt.Errorf("inspect: draw a token: %w", err)
	}
	return t, nil
}

// ParseToken returns the token of a text from Reveal. It ignores white space around it.
func ParseToken(s string) (Token, error) {
	b, err := hex.DecodeString(strings.TrimSpace(s))
	t := Token{set: true}
	if err != nil || len(b) != len(t.secret) {
		return Token{}, ErrBadToken
	}
	copy(t.secret[:], b)
	return t, nil
}

// Reveal returns the token in hexadecimal digits, for its file and for the
// header of a request.
func (t Token) Reveal() string { return hex.EncodeToString(t.secret[:]) }

// String returns ***.
func (t Token) String() string { return "***" }

// Format writes *** for every verb.
func (t Token) Format(f fmt.State, _ rune) { fmt.Fprint(f, "***") }

// LogValue returns ***.
func (t Token) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText returns ***.
func (t Token) MarshalText() ([]byte, error) { return []byte("***"), nil }

// IsZero reports whether t is not valid.
func (t Token) IsZero() bool { return !t.set }

// Equal reports whether both are valid and the same. It takes the same time wherever they differ.
func (t Token) Equal(o Token) bool {
	same := subtle.ConstantTimeCompare(o.secret[:], t.secret[:]) == 1
	return t.set && o.set && same
}

// TokenOf returns the token that a request carries. given is false if it has no Authorization; one that
// is no token is an error.
func TokenOf(r *http.Request) (t Token, given bool, err error) {
	head, given := r.Header["Authorization"]
	if !given {
		return t, false, nil
	}
	scheme, text, _ := strings.Cut(head[0], " ")
	if len(head) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return t, true, ErrBadToken
	}
	t, err = ParseToken(text)
	return t, true, err
}

// admits reports whether r carries the token. It compares in constant time.
func (t Token) admits(r *http.Request) bool {
	given, _, err := TokenOf(r)
	return err == nil && t.Equal(given)
}
