package phrases

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/internal/actors/kadpart"
)

// TestHints: hints of the library become commands, with the peer that they end with.
func TestHints(t *testing.T) {
	for hint, want := range map[string]string{
		kadpart.HintOwn:              "gamelan kad status --own lists the keys that it publishes",
		inspect.HintUnban + "00ff":   "lift the ban with gamelan unban 00ff",
		inspect.HintDials + "KEY":    "see what the node has tried with gamelan why KEY",
		inspect.HintSeed + "00ff":    "check that a seed runs and can be reached from here; see gamelan why 00ff",
		"give 64 hexadecimal digits": "give 64 hexadecimal digits",
		"see " + inspect.HintSeed:    "see " + inspect.HintSeed,
	} {
		if got := ofNode(&inspect.Error{Code: inspect.CodeFailed, Message: "no", Hint: hint}); got.Hint != want {
			t.Errorf("%q: got %q, want %q", hint, got.Hint, want)
		}
	}
}

// TestNoAnswer: each error of the client becomes a failure with its exit code and a step.
func TestNoAnswer(t *testing.T) {
	d := nodedir.Named(t.TempDir())
	for _, x := range []struct {
		err        client.Error
		kind, hint string
		code       int
	}{
		{client.Error{Code: client.CodeNotRunning}, "not_running", "start one with", failure.ExitUnreachable},
		{client.Error{Code: client.CodeReadOnly}, "not_running", "start one with", failure.ExitUnreachable}, // nobody embeds it
		{client.Error{Code: client.CodeNotPermitted}, "not_permitted", "as its owner", failure.ExitUnreachable},
		{client.Error{Code: client.CodeSilent}, "silent", "with --wait", failure.ExitUnreachable},
		{client.Error{Code: client.CodeGone}, "node_gone", "start it again", failure.ExitUnreachable},
		{client.Error{Code: client.CodeGone, Begun: true}, "node_gone", "may or may not have arrived", failure.ExitUnreachable},
		{client.Error{Code: client.CodeInterrupted, Begun: true}, "interrupted", "may or may not have arrived", failure.ExitFailed},
		{client.Error{Code: client.CodeInterrupted, Asked: true}, "interrupted", "may or may not have done it", failure.ExitFailed},
		{client.Error{Code: client.CodeInterrupted}, "interrupted", "had not answered", failure.ExitFailed},
		{client.Error{Code: client.CodeToken, Err: inspect.ErrBadToken}, "token", "writes a new one", failure.ExitFailed},
		{client.Error{Code: client.CodeToken, Err: fs.ErrPermission}, "data_dir", "owner", failure.ExitFailed},
		{client.Error{Code: client.CodeForeign, Err: errors.New("502 Bad Gateway")}, "node", "same version", failure.ExitFailed},
	} {
		f := Of(fmt.Errorf("ask: %w", &x.err), d, "--wait")
		if f.Kind != x.kind || !strings.Contains(f.Hint, x.hint) || f.Code != x.code {
			t.Errorf("%s: got %s, %d: %s; %s", x.err.Code, f.Kind, f.Code, f.Message, f.Hint)
		}
		if x.err.Error() == "" {
			t.Errorf("%s: got no text", x.err.Code)
		}
	}
}

// TestNoAnswerOverTCP: each error about a node elsewhere names it, and says what to do.
func TestNoAnswerOverTCP(t *testing.T) {
	const url = "https://192.0.2.7:9465"
	for _, x := range []struct {
		err  client.Error
		hint string
		code int
	}{
		{client.Error{Code: client.CodeNotRunning, Err: fmt.Errorf("Get %q: dial tcp 192.0.2.7:9465: %w", url+"/v1", os.NewSyscallError("connect", syscall.ECONNREFUSED))}, "inspect.listen", failure.ExitUnreachable},
		{client.Error{Code: client.CodeNotRunning, Err: fmt.Errorf("Get %q: dial tcp: lookup a.example: no such host", url+"/v1")}, "inspect.listen", failure.ExitUnreachable},
		{client.Error{Code: client.CodeCertificate, Err: &client.CertificateError{Want: "a", Got: "b"}}, "somebody between", failure.ExitUnreachable},
		{client.Error{Code: client.CodeCertificate, Err: errors.New("unknown authority")}, "it has the fingerprint", failure.ExitUnreachable},
		{client.Error{Code: client.CodeSilent}, "with --wait", failure.ExitUnreachable},
		{client.Error{Code: client.CodeForeign, Err: errors.New("502 Bad Gateway")}, "same version", failure.ExitFailed},
		{client.Error{Code: client.CodeGone}, "whether inspect.listen there has this port", failure.ExitUnreachable},
		{client.Error{Code: client.CodeGone, Begun: true}, "may or may not have arrived", failure.ExitUnreachable},
	} {
		x.err.URL = url
		f := Of(fmt.Errorf("ask: %w", &x.err), nodedir.Dir{}, "--wait")
		if f.Kind != x.err.Code || !strings.Contains(f.Hint, x.hint) || f.Code != x.code || !strings.Contains(f.Message, url) {
			t.Errorf("%s: got %s, %d: %s; %s", x.err.Code, f.Kind, f.Code, f.Message, f.Hint)
		}
		if strings.Contains(f.Message, "Get") || strings.Contains(f.Message, "dial tcp") {
			t.Errorf("%s: got %q, want the cause alone", x.err.Code, f.Message)
		}
		if !strings.Contains(x.err.Error(), " at "+url) {
			t.Errorf("%s: got %v", x.err.Code, &x.err)
		}
	}
}
