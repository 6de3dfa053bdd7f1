package tor

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAuthText(t *testing.T) {
	cookie := strings.Repeat("0a", 32)
	for text, want := range map[string]Auth{
		"": {Kind: AuthAuto}, "auto": {Kind: AuthAuto}, " AUTO ": {Kind: AuthAuto}, "none": {Kind: AuthNone},
		"password=a=b c":     {Kind: AuthPassword, password: "a=b c"},
		"Password = secret ": {Kind: AuthPassword, password: "secret"},
		"cookie=" + cookie:   {Kind: AuthCookie, cookie: bytes.Repeat([]byte{10}, 32)},
		"cookie = @/x/y":     {Kind: AuthCookie, file: "/x/y"},
		"safecookie=@/x/y":   {Kind: AuthSafeCookie, file: "/x/y"},
		"cookie=@":           {Kind: AuthCookie, file: "/run/tor/control.authcookie"},
	} {
		got, err := ParseAuth(text)
		if err != nil || got.Kind != want.Kind || got.password != want.password || got.file != want.file || !bytes.Equal(got.cookie, want.cookie) {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"auto=1", "none=", "password", "password=", "cookie", "cookie=", "cookie=0a", "cookie=" + cookie + "0a", "cookie=secret", "secret", "safecookie", "safecookie=@", "safecookie=" + cookie} {
		if _, err := ParseAuth(text); !errors.Is(err, ErrAuthText) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want ErrAuthText without the text", text, err)
		}
	}
	secret, _ := ParseAuth("password=secret")
	if text := fmt.Sprint(secret) + fmt.Sprintf("%v", secret); strings.Contains(text, "secret") {
		t.Errorf("got %q, want no password in it", text)
	}
}

func TestProtocolInfo(t *testing.T) {
	for _, c := range []struct {
		auth string
		err  error
	}{
		{`METHODS=COOKIE,SAFECOOKIE,HASHEDPASSWORD COOKIEFILE="/run/tor/c"`, nil},
		{`METHODS=NULL,SAFECOOKIE COOKIEFILE="/run/tor/c"`, nil},
		{`METHODS=COOKIE COOKIEFILE="/run/tor/c"`, ErrNoMethod},
		{`METHODS=COOKIE,HASHEDPASSWORD COOKIEFILE="/run/tor/c"`, ErrNoMethod},
		{`METHODS=NULL COOKIEFILE="/run/tor/c"`, ErrOpen},
		{`METHODS=HASHEDPASSWORD COOKIEFILE="/run/tor/c"`, ErrPasswordWanted},
		{`METHODS=FUTURE COOKIEFILE="/run/tor/c"`, ErrNoMethod},
		{`COOKIEFILE="/run/tor/c"`, ErrNoMethod},
	} {
		r, err := NewReader(strings.NewReader("250-PROTOCOLINFO 1\r\n250-AUTH " + c.auth + "\r\n250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n")).Read()
		if err != nil {
			t.Fatal(err)
		}
		info := protocolInfo(r)
		if err := info.proves(); !errors.Is(err, c.err) || info.Version != "0.4.9.11" || info.CookieFile != "/run/tor/c" {
			t.Errorf("%s: got %v and %+v, want %v", c.auth, err, info, c.err)
		}
	}
}

// TestSafeCookie compares both proofs with those of Python's hmac: the cookie is the bytes 0
// to 31, our nonce 32 times 0x11, Tor's 32 times 0x22.
func TestSafeCookie(t *testing.T) {
	const server, controller = "2aecbf4d284befddbbacc3817b41959eda061ac7e156db0c734cb28aa5e903ed", "eea571786a3fd103b6aa1ffa46249c4c850c509d0c84c550ed9e41477511d2ba"
	cookie, ours := make([]byte, 32), bytes.Repeat([]byte{0x11}, 32)
	for i := range cookie {
		cookie[i] = byte(i)
	}
	theirs := hex.EncodeToString(bytes.Repeat([]byte{0x22}, 32))
	answer := func(text string) (Command, error) {
		return answerChallenge(Reply{250, []Line{{Text: text}}}, cookie, ours)
	}
	got, err := answer("AUTHCHALLENGE SERVERHASH=" + strings.ToUpper(server) + " SERVERNONCE=" + theirs)
	if want := Command("AUTHENTICATE " + controller); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", string(got), err, string(want))
	}
	for text, want := range map[string]error{
		"AUTHCHALLENGE SERVERHASH=3" + server[1:] + " SERVERNONCE=" + theirs:  ErrNotTor,
		"AUTHCHALLENGE SERVERHASH=" + server + " SERVERNONCE=33" + theirs[2:]: ErrNotTor,
		"AUTHCHALLENGE SERVERHASH=" + server[2:] + " SERVERNONCE=" + theirs:   ErrReply,
		"AUTHCHALLENGE SERVERHASH=" + server + " SERVERNONCE=":                ErrReply,
		"AUTHCHALLENGE SERVERHASH=xx SERVERNONCE=yy":                          ErrReply,
		"OK": ErrReply,
	} {
		if got, err := answer(text); !errors.Is(err, want) {
			t.Errorf("%s: got %q, %v, want %v", text, string(got), err, want)
		}
	}
}
