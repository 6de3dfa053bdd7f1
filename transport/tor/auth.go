package tor

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DefaultCookie is the file that "cookie=@" stands for.
const DefaultCookie = "/run/tor/control.authcookie"

// CookieLen is the number of bytes of a cookie file.
const CookieLen = 32

// AuthKind is a way to prove to Tor who controls it.
type AuthKind string

// The kinds of authentication.
const (
	AuthAuto     AuthKind = "auto"     // what Tor offers: SAFECOOKIE, else COOKIE, else none
	AuthNone     AuthKind = "none"     // NULL
	AuthPassword AuthKind = "password" // HASHEDPASSWORD
	AuthCookie   AuthKind = "cookie"   // COOKIE, with the bytes or the file given
)

// Auth says how to authenticate. Its zero value is auto. Make one with [ParseAuth].
type Auth struct {
	Kind     AuthKind
	password string
	cookie   []byte
	file     string
}

// String returns the kind alone.
func (a Auth) String() string {
	if a.Kind == "" {
		return string(AuthAuto)
	}
	return string(a.Kind)
}

// ErrAuthText reports a text that [ParseAuth] does not know.
var ErrAuthText = errors.New(`tor: the authentication must be auto, none, password=<password>, cookie=<64 hex digits>, cookie=@<file> or cookie=@`)

// ParseAuth returns the authentication that a text describes: "auto" or nothing, "none",
// "password=…", "cookie=<hex>", "cookie=@<file>", or "cookie=@" for [DefaultCookie]. The word
// in front may be in capitals, with blanks around the equals sign. An error never repeats the
// text.
func ParseAuth(text string) (Auth, error) {
	word, value, more := strings.Cut(text, "=")
	word, value = strings.ToLower(strings.TrimSpace(word)), strings.TrimSpace(value)
	switch {
	case !more && (word == "" || word == "auto"):
		return Auth{Kind: AuthAuto}, nil
	case !more && word == "none":
		return Auth{Kind: AuthNone}, nil
	case more && word == "password" && value != "":
		return Auth{Kind: AuthPassword, password: value}, nil
	case more && word == "cookie" && value == "@":
		return Auth{Kind: AuthCookie, file: DefaultCookie}, nil
	case more && word == "cookie" && strings.HasPrefix(value, "@"):
		return Auth{Kind: AuthCookie, file: value[1:]}, nil
	case more && word == "cookie":
		if b, err := hex.DecodeString(value); err == nil && len(b) == CookieLen {
			return Auth{Kind: AuthCookie, cookie: b}, nil
		}
	}
	return Auth{}, ErrAuthText
}

// ProtocolInfo is what Tor says before it is controlled.
type ProtocolInfo struct {
	Methods    []string // such as NULL, COOKIE, SAFECOOKIE, HASHEDPASSWORD
	CookieFile string
	Version    string
}

// offers reports whether Tor takes the method.
func (p ProtocolInfo) offers(method string) bool { return slices.Contains(p.Methods, method) }

// protocolInfo reads the answer to PROTOCOLINFO.
func protocolInfo(r Reply) (p ProtocolInfo) {
	for _, l := range r.Lines {
		words := fields(l.Text)
		if len(words) == 0 {
			continue
		}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			switch words[0] + " " + key {
			case "AUTH METHODS":
				p.Methods = strings.Split(value, ",")
			case "AUTH COOKIEFILE":
				p.CookieFile = value
			case "VERSION Tor":
				p.Version = value
			}
		}
	}
	return p
}

// Errors of the authentication. Each says what to do.
var (
	// ErrPasswordWanted reports a Tor that takes a password alone, and none is set.
	ErrPasswordWanted = errors.New("tor: the control port wants a password; set it as password=<password>")
	// ErrNoMethod reports a Tor that offers no method that this package knows.
	ErrNoMethod = errors.New("tor: the control port offers no known authentication; set CookieAuthentication 1 in torrc")
	// ErrCookieLength reports a cookie file that has not 32 bytes.
	ErrCookieLength = errors.New("tor: the cookie file must have 32 bytes; name the one of this Tor")
	// ErrNotTor reports a control port that does not know the cookie: not the Tor that
	// wrote the file.
	ErrNotTor = errors.New("tor: the control port cannot prove that it knows the cookie; find out which program listens there")
)

// method returns how auto authenticates: the name of the method.
func (p ProtocolInfo) method() (string, error) {
	for _, m := range []string{"SAFECOOKIE", "COOKIE"} {
		if p.offers(m) && p.CookieFile != "" {
			return m, nil
		}
	}
	switch {
	case p.offers("NULL"):
		return "NULL", nil
	case p.offers("HASHEDPASSWORD"):
		return "", ErrPasswordWanted
	}
	return "", ErrNoMethod
}

// authenticate returns the command with a secret, as hexadecimal digits, which need no
// quotes; with none it has no argument.
func authenticate(secret []byte) Command {
	if secret == nil {
		return "AUTHENTICATE"
	}
	return Command("AUTHENTICATE " + hex.EncodeToString(secret))
}

// Keys of the two proofs of SAFECOOKIE.
const (
	serverKey     = "Tor safe cookie authentication server-to-controller hash"
	controllerKey = "Tor safe cookie authentication controller-to-server hash"
)

func safeCookie(key string, cookie, ours, theirs []byte) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write(cookie)
	h.Write(ours)
	h.Write(theirs)
	return h.Sum(nil)
}

// answerChallenge checks Tor's proof and returns ours, as the command to send.
func answerChallenge(r Reply, cookie, ours []byte) (Command, error) {
	var hash, theirs []byte
	for _, w := range fields(r.Lines[0].Text) {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "SERVERHASH":
			hash, _ = hex.DecodeString(value)
		case "SERVERNONCE":
			theirs, _ = hex.DecodeString(value)
		}
	}
	if len(hash) != sha256.Size || len(theirs) != CookieLen {
		return "", fmt.Errorf("%w: the challenge has no proof", ErrReply)
	}
	if !hmac.Equal(hash, safeCookie(serverKey, cookie, ours, theirs)) {
		return "", ErrNotTor
	}
	return authenticate(safeCookie(controllerKey, cookie, ours, theirs)), nil
}
