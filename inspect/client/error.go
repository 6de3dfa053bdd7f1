package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/gamelan-p2p/gamelan/inspect"
)

// The codes of Error.
const (
	CodeNotRunning   = "not_running"   // nothing answers on the socket
	CodeNotPermitted = "not_permitted" // the node belongs to another user
	CodeReadOnly     = "read_only"     // the node has no token: it can only be inspected
	CodeToken        = "token"         // the file of the token cannot be used
	CodeSilent       = "silent"        // the node does not answer in time
	CodeGone         = "node_gone"     // the node ended during the request
	CodeInterrupted  = "interrupted"   // the caller's context ended; it is the cause
	CodeForeign      = "node"          // the answer has no form that this package knows
	CodeCertificate  = "certificate"   // over TCP: nobody vouches for the node's certificate, or it is another one
)

var texts = map[string]string{
	CodeNotRunning:   "no node is running in %s",
	CodeNotPermitted: "the node in %s belongs to another user",
	CodeReadOnly:     "the node in %s can only be inspected",
	CodeToken:        "the token of the node in %s cannot be read",
	CodeSilent:       "the node in %s does not answer in time",
	CodeGone:         "the node in %s went away",
	CodeInterrupted:  "the request to the node in %s was interrupted",
	CodeForeign:      "the node in %s has given an unknown answer",
	CodeCertificate:  "the certificate of the node in %s is not the one that was expected",
}

// Error reports a request without an answer of the node.
type Error struct {
	Code  string
	Dir   string // data directory of the node; "": it was asked over TCP
	URL   string // of a node that was asked over TCP
	Begun bool   // messages were given to the node: those without an outcome may or may not have arrived
	Asked bool   // the node was asked to do something else, and may or may not have done it
	Err   error  // the cause; may be nil
}

// Error says what is wrong with the node in Dir, or at URL.
func (e *Error) Error() string {
	where, text := e.Dir, texts[e.Code]
	if e.URL != "" {
		where, text = e.URL, strings.Replace(text, " in %s", " at %s", 1)
	}
	text = "client: " + fmt.Sprintf(text, where)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the first [*Error] or [*inspect.Error] in err, "" if there is none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if e, ok := errors.AsType[*inspect.Error](err); ok {
		return e.Code
	}
	return ""
}

func (c *Client) fail(code string, err error) *Error {
	return &Error{Code: code, Dir: c.dir, URL: c.url, Err: err}
}

// gone returns the error for a node that could not be reached, or that ended during a request.
func (c *Client) gone(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return c.fail(CodeSilent, err)
	case ctx.Err() != nil:
		return c.fail(CodeInterrupted, ctx.Err())
	case errors.Is(err, http.ErrSchemeMismatch):
		return c.fail(CodeForeign, ErrScheme)
	case c.url != "":
		return c.fail(remoteCode(err), err)
	case errors.Is(err, fs.ErrPermission):
		return c.fail(CodeNotPermitted, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return c.fail(CodeNotRunning, err)
	}
	return c.fail(CodeGone, err)
}

// asked notes in an error of a request that the node has got it.
func asked(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.Asked = true
	}
	return err
}

// remoteCode returns the code for an error of a request over TCP.
func remoteCode(err error) string {
	_, other := errors.AsType[*CertificateError](err)
	_, unknown := errors.AsType[*tls.CertificateVerificationError](err)
	dial, refused := errors.AsType[*net.OpError](err)
	switch {
	case other || unknown:
		return CodeCertificate
	case refused && dial.Op == "dial":
		return CodeNotRunning
	}
	return CodeGone
}
