package tor

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
)

// DefaultCookie is the file that "cookie=@" stands for.
const DefaultCookie = "/run/tor/control.authcookie"

// KnownCookies returns the files where a cookie counts that nobody has named: those of
// Debian's Tor and of a Tor with the settings of its authors. On Windows there is none, since
// files have no owners that could be checked.
//
// spec: V 35
func KnownCookies() []string {
	if runtime.GOOS == "windows" {
		return nil
	}
	return []string{DefaultCookie, "/var/lib/tor/control_auth_cookie"}
}

// CookieLen is the number of bytes of a cookie file.
const CookieLen = 32

// AuthKind is a way to prove to Tor who controls it.
type AuthKind string

// The kinds of authentication.
const (
	AuthAuto       AuthKind = "auto"       // SAFECOOKIE, with one of KnownCookies
	AuthSafeCookie AuthKind = "safecookie" // SAFECOOKIE, with the file given
	AuthNone       AuthKind = "none"       // NULL
	AuthPassword   AuthKind = "password"   // HASHEDPASSWORD
	AuthCookie     AuthKind = "cookie"     // COOKIE, with the bytes or the file given
)

// Auth says how to authenticate. Its zero value is auto. Make one with [ParseAuth].
//
// With auto and safecookie the control port proves first that it knows the cookie. With the
// other kinds any program that listens there is taken for Tor.
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
var ErrAuthText = errors.New(`tor: the authentication must be auto, safecookie=@<file>, none, password=<password>, cookie=<64 hex digits>, cookie=@<file> or cookie=@`)

// ParseAuth returns the authentication that a text describes: "auto" or nothing,
// "safecookie=@<file>", "none", "password=…", "cookie=<hex>", "cookie=@<file>", or "cookie=@"
// for [DefaultCookie]. The word in front may be in capitals, with blanks around the equals
// sign. An error never repeats the text.
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
	case more && word == "safecookie" && len(value) > 1 && value[0] == '@':
		return Auth{Kind: AuthSafeCookie, file: value[1:]}, nil
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

// CookieFile is where a cookie was read.
type CookieFile struct {
	Path  string
	Owner int // user id; -1 where files have no owner
}

// UnsafeError reports a cookie file that an account other than Tor's, root's and this program's
// can change, or replace in a folder of its path.
type UnsafeError struct {
	Path  string      // the file, or a folder or link on the way to it
	Owner int         // user id of an owner that is none of the three; -1 if the owner is right
	Mode  fs.FileMode // the permissions, if others may write there
	Tor   string      // the account that counts as Tor's; empty if there is none
}

// Error says what is wrong, and what to set.
func (e *UnsafeError) Error() string {
	if e.Owner < 0 {
		return fmt.Sprintf("tor: others can change %s (mode %04o), so its cookie proves nothing; set \"chmod go-w\" for it", printable(e.Path), e.Mode)
	}
	account := "no account of Tor was found"
	if e.Tor != "" {
		account = "Tor's account is " + printable(e.Tor)
	}
	return fmt.Sprintf("tor: %s belongs to the user with the id %d, and %s, so its cookie proves nothing; set tor.user to the account that runs Tor, if that is it", printable(e.Path), e.Owner, account)
}

// PathError reports a control port that names a cookie file which nobody here has named.
type PathError struct{ Path string }

// Error says what to set.
func (e *PathError) Error() string {
	path := printable(e.Path[:min(len(e.Path), 200)])
	return fmt.Sprintf("tor: the control port says that its cookie is in %s, and anybody could say so; set tor.control_auth to \"safecookie=@%[1]s\" if that is Tor's file", path)
}

// PinError reports a cookie that is not the one with which this node was connected before.
type PinError struct{ Was, Is CookieFile }

// Error says what to do.
func (e *PinError) Error() string {
	return fmt.Sprintf("tor: the cookie %s belonged to the user with the id %d, and now to %d; if you have set this, start the node again", printable(e.Was.Path), e.Was.Owner, e.Is.Owner)
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
	// ErrPasswordWanted reports a control port that takes a password alone, and none is set.
	ErrPasswordWanted = errors.New("tor: the control port wants a password; set CookieAuthentication 1 in torrc, or tor.control_auth to \"password=<password>\"")
	// ErrOpen reports a control port without authentication, which proves nothing.
	ErrOpen = errors.New("tor: the control port wants no authentication, so any program could be there; set CookieAuthentication 1 in torrc, or tor.control_auth to \"none\" if only Tor can be there")
	// ErrLess reports a control port that no longer proves what it has proved before.
	ErrLess = errors.New("tor: the control port offers less proof than before, so another program may be there; find out which one listens there, and if you have set this, start the node again")
	// ErrNoMethod reports a control port that cannot prove that it knows the cookie.
	ErrNoMethod = errors.New("tor: the control port does not offer SAFECOOKIE; set CookieAuthentication 1 in torrc")
	// ErrNoCookieKnown reports a system without files where a cookie counts that nobody named.
	ErrNoCookieKnown = errors.New("tor: no file of Tor's cookie is known on this system; set tor.control_auth to \"safecookie=@<file>\"")
	// ErrCookieLength reports a cookie file that has not 32 bytes.
	ErrCookieLength = errors.New("tor: the cookie file must have 32 bytes; name the one of this Tor")
	// ErrNotTor reports a control port that does not know the cookie: not the Tor that
	// wrote the file.
	ErrNotTor = errors.New("tor: the control port cannot prove that it knows the cookie; find out which program listens there, and set tor.control_auth to \"safecookie=@<file>\" if Tor has another cookie")
)

// proves returns an error unless the control port can prove that it knows a cookie. Whatever
// else it offers would be taken by any program.
//
// spec: V 35
func (p ProtocolInfo) proves() error {
	switch {
	case p.offers("SAFECOOKIE"):
		return nil
	case p.offers("NULL"):
		return ErrOpen
	case p.offers("HASHEDPASSWORD") && !p.offers("COOKIE"):
		return ErrPasswordWanted
	}
	return ErrNoMethod
}

// cookies returns the files in which a cookie counts that nobody has named, the one first that
// the control port names. It must not name any other one.
//
// spec: V 35
func (p ProtocolInfo) cookies() ([]string, error) {
	known, named := KnownCookies(), p.CookieFile
	if rest, ok := strings.CutPrefix(named, "/var/run/"); ok {
		named = "/run/" + rest
	}
	i := slices.Index(known, named)
	switch {
	case i < 0 && named != "":
		return nil, &PathError{p.CookieFile}
	case len(known) == 0:
		return nil, ErrNoCookieKnown
	case i > 0:
		known[0], known[i] = known[i], known[0]
	}
	return known, nil
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
