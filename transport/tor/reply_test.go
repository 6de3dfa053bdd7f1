package tor

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReplies(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []Reply
		err        error
	}{
		{"nothing", "", nil, io.EOF},
		{"one line", "250 OK\r\n", []Reply{{250, []Line{{Text: "OK"}}}}, io.EOF},
		{"line feeds alone", "250-a=1\n250 OK\n", []Reply{{250, []Line{{Text: "a=1"}, {Text: "OK"}}}}, io.EOF},
		{"empty text", "250 \r\n", []Reply{{250, []Line{{}}}}, io.EOF},
		{"empty value", "250-onions/current=\r\n250 OK\r\n", []Reply{{250, []Line{{Text: "onions/current="}, {Text: "OK"}}}}, io.EOF},
		{"data", "250+onions/detached=\r\na\r\n..b\r\n\r\n.\r\n250 OK\r\n", []Reply{{250, []Line{{Text: "onions/detached=", Data: []string{"a", ".b", ""}}, {Text: "OK"}}}}, io.EOF},
		{"empty data", "250+x=\r\n.\r\n250 OK\r\n", []Reply{{250, []Line{{Text: "x=", Data: []string{}}, {Text: "OK"}}}}, io.EOF},
		{"event and reply", "650 HS_DESC UPLOADED x\r\n250 OK\r\n", []Reply{{650, []Line{{Text: "HS_DESC UPLOADED x"}}}, {250, []Line{{Text: "OK"}}}}, io.EOF},
		{"half a line", "250 O", nil, io.ErrUnexpectedEOF},
		{"half a reply", "250-a\r\n", nil, io.ErrUnexpectedEOF},
		{"half a data block", "250+a=\r\nb\r\n", nil, io.ErrUnexpectedEOF},
		{"two codes", "250-a\r\n251 b\r\n", nil, ErrReply},
		{"no code", "hello\r\n", nil, ErrReply},
		{"no separator", "250\r\n", nil, ErrReply},
		{"another separator", "250_OK\r\n", nil, ErrReply},
		{"a code of two digits", "25 OK\r\n", nil, ErrReply},
		{"a code that begins with 0", "050 OK\r\n", nil, ErrReply},
		{"empty line", "\r\n", nil, ErrReply},
		{"SOCKS5", "\x05\x00\n", nil, ErrReply},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n", nil, ErrReply},
		{"long line", "250 " + strings.Repeat("x", MaxReply) + "\r\n", nil, ErrReplyTooLong},
		{"many lines", strings.Repeat("250-x\r\n", MaxReply/7) + "250 OK\r\n", nil, ErrReplyTooLong},
		{"many empty lines of data", "250+x=\r\n" + strings.Repeat("\n", MaxReply) + ".\r\n", nil, ErrReplyTooLong},
		{"no end", strings.Repeat("x", MaxReply+1), nil, ErrReplyTooLong},
		{"as long as can be", "250 " + strings.Repeat("x", 500_000) + "\r\n", []Reply{{250, []Line{{Text: strings.Repeat("x", 500_000)}}}}, io.EOF},
	} {
		for _, in := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text))} {
			r := NewReader(in)
			var got []Reply
			reply, err := r.Read()
			for ; err == nil; reply, err = r.Read() {
				got = append(got, reply)
			}
			if !errors.Is(err, c.err) || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: got %.200v, %v, want %.200v, %v", c.name, got, err, c.want, c.err)
			}
		}
	}
}

func TestFields(t *testing.T) {
	for text, want := range map[string][]string{
		``:                                    nil,
		`a b`:                                 {"a", "b"},
		`"127.0.0.1:20782" "127.0.0.1:29777"`: {"127.0.0.1:20782", "127.0.0.1:29777"},
		`COOKIEFILE="/a b/\"c\"\\d" X=1`:      {`COOKIEFILE=/a b/"c"\d`, "X=1"},
		`"\101\n\t\r\7x"`:                     {"A\n\t\r\ax"},
		`"unfinished \`:                       {`unfinished \`},
		`""`:                                  {""},
		`  a  `:                               {"a"},
		`NOTICE BOOTSTRAP PROGRESS=100 SUMMARY="All X"`: {"NOTICE", "BOOTSTRAP", "PROGRESS=100", "SUMMARY=All X"},
	} {
		if got := fields(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestCommands(t *testing.T) {
	for _, words := range [][]string{{"GETINFO", "a\r\nb"}, {"GETINFO", "a\n"}, {"X\x00"}} {
		if c, err := NewCommand(words...); !errors.Is(err, ErrArgument) {
			t.Errorf("%q: got %q, %v, want ErrArgument", words, string(c), err)
		}
	}
	c, err := NewCommand("GETINFO", "version")
	if err != nil || string(c.Append(nil)) != "GETINFO version\r\n" {
		t.Errorf("got %q, %v", string(c), err)
	}
	for command, want := range map[Command]string{
		"AUTHENTICATE 7365": "AUTHENTICATE …", "AUTHENTICATE": "AUTHENTICATE", "ADD_ONION ED25519-V3:x Port=1": "ADD_ONION …",
		"GETINFO version": "GETINFO version", "SETCONF X=y": "SETCONF …",
	} {
		if got := command.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzReplies(f *testing.F) {
	f.Add([]byte("250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE=\"/x\\\"y\"\r\n250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n"))
	f.Add([]byte("250+onions/detached=\r\na\r\n..\r\n.\r\n250 OK\r\n650 HS_DESC UPLOADED x UNKNOWN $y\r\n"))
	f.Add([]byte("250 AUTHCHALLENGE SERVERHASH=00 SERVERNONCE=11\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(strings.NewReader(string(b)))
		for {
			reply, err := r.Read()
			if err != nil {
				return
			}
			if len(reply.Lines) == 0 || reply.Code < 100 || reply.Code > 999 {
				t.Fatalf("%q: got %+v", b, reply)
			}
			_ = protocolInfo(reply)
			_, _ = answerChallenge(reply, make([]byte, CookieLen), make([]byte, CookieLen))
			for _, l := range reply.Lines {
				for _, w := range fields(l.Text) {
					if len(w) > len(l.Text) {
						t.Fatalf("%q: got a longer word %q", l.Text, w)
					}
				}
			}
		}
	})
}

func FuzzIdentity(f *testing.F) {
	f.Add(Identity{Key: knownKey(f), Port: 18141}.Append(nil))
	f.Add([]byte(`{"private_key":{"Rsa1024":"MIIC"},"service_id":"aaimaq4ygg2iegci","onion_port":18141}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := ParseIdentity(b)
		if err != nil {
			return
		}
		if again, err := ParseIdentity(i.Append(nil)); err != nil || again != i {
			t.Errorf("%q: got %v, %v when written and read again", b, again, err)
		}
	})
}

func FuzzServiceID(f *testing.F) {
	f.Add(knownID + ".onion")
	f.Add(knownID + ".onion.")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseServiceID(text)
		if err != nil {
			return
		}
		if got := serviceID(id.public()); got != id {
			t.Errorf("%q: got %s, and of its public key %s", text, id, got)
		}
	})
}
