package inspect

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections in memory, whose deadlines are those of a bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// streaming asks a handler for a stream that has no end by itself, and returns the client's side, and whether the stream has ended.
func streaming(t *testing.T) (client net.Conn, ended *bool) {
	t.Helper()
	ended = new(bool)
	h, err := Mutations(testToken, Actions{Verbs: map[string]map[string]Verb{"trace": {"actor": {Stream: func(context.Context, url.Values) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) {
			for yield(strings.Repeat("x", 1000), nil) {
			}
			*ended = true
		}
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	server, l := &http.Server{Handler: h}, make(pipes, 1)
	go server.Serve(l)
	client, peer := net.Pipe()
	l <- peer
	t.Cleanup(func() { client.Close(); server.Close() })
	fmt.Fprintf(client, "POST /v1/trace/actor HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", testToken.Reveal())
	return client, ended
}

// TestStreamThatNobodyReads ends: what it holds, such as the place of a trace, is free again.
func TestStreamThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, ended := streaming(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		if !*ended {
			t.Error("a stream of which its client takes nothing has not ended after a minute")
		}
	})
}

// TestStreamThatIsReadSlowly goes on.
func TestStreamThatIsReadSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, ended := streaming(t)
		in := bufio.NewReaderSize(client, 16)
		for range 1000 {
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		if synctest.Wait(); *ended {
			t.Error("a stream has ended whose client takes a line each 5 s")
		}
	})
}
