package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/phrases"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/gate"
)

type uiCmd struct {
	ReadOnly  bool    `help:"Only look: the page changes nothing, and shows no messages."`
	NoBrowser bool    `help:"Write the address of the page, and open no browser."`
	Port      *uint16 `help:"Serve the page on this port of 127.0.0.1, and leave that of inspect.listen alone (default: a free port)." placeholder:"N"`
}

// Help returns the text of gamelan ui --help below the flags.
func (*uiCmd) Help() string {
	return "The page shows the node as it is now: its state, its actors, its peers, its events. The address works once, within a minute: the browser that opens it stays in for twelve hours.\n\n" +
		"A node with inspect.listen serves the page itself, and the command ends. Without it the command serves the page on this machine, until Ctrl-C. " +
		"Other users of the machine do not get in without the address."
}

// uiJSON is the output of ui with --json.
type uiJSON struct {
	URL   string    `json:"url"`
	Scope string    `json:"scope"` // "read" or "admin"
	Until time.Time `json:"until"` // when the address is over, unless somebody has opened it
}

// Run opens the page.
func (c *uiCmd) Run(a *app) error {
	scope := gate.Admin
	if c.ReadOnly {
		scope = gate.Read
	}
	node := a.client()
	at, err := node.Access(a.ctx)
	switch {
	case client.CodeOf(err) == inspect.CodeNotFound: // of a program, or an older one
	case err != nil:
		return err
	case at.On && a.remote == nil && c.Port == nil:
		return c.ofNode(a, node, scope, &at)
	}
	token, err := node.Token(a.ctx)
	if client.CodeOf(err) == client.CodeReadOnly { // of a program
		err, scope = nil, gate.Read
		a.Note("A program runs the node: the page can change nothing.")
	}
	if err != nil {
		return err
	}
	if a.remote != nil {
		if may, err := node.Session(a.ctx); err == nil && may.Scope == gate.Read.String() {
			scope = gate.Read
			a.Note("The token is a reader's: the page can change nothing.")
		}
	}
	t, base := node.Transport()
	failed := func(err error) *inspect.Error {
		f := phrases.Of(node.Failed(err), a.dir, "")
		return &inspect.Error{Code: inspect.CodeStopping, Message: f.Message, Hint: f.Hint}
	}
	port := uint16(0)
	if c.Port != nil {
		port = *c.Port
	}
	p, err := gate.ServeProxy(port, base, t, token, a.dir.NamesOfNodes, failed, slog.New(slog.DiscardHandler))
	if busy, ok := errors.AsType[*gate.ListenError](err); ok {
		return failure.New("port", "choose another one with --port", "the page cannot be served at %s: %s", busy.Address, failure.Text(busy.Err)).Because(err)
	}
	if err != nil {
		return err
	}
	defer func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel() // followers do not end by themselves
		_ = p.Close(ended)
	}()
	link, err := p.Link(scope)
	if err != nil {
		return err
	}
	if err := c.show(a, models.AccessLink{URL: link, Scope: scope.String(), Until: time.Now().Add(gate.LinkFor)}); err != nil {
		return err
	}
	a.Note("Serving the page until Ctrl-C.")
	<-a.ctx.Done()
	return nil
}

// ofNode opens the page that the node itself serves.
func (c *uiCmd) ofNode(a *app, node *client.Client, scope gate.Scope, at *models.Access) error {
	var link models.AccessLink
	if err := node.Do(a.ctx, "inspect", "link", map[string][]string{"scope": {scope.String()}}, nil, &link); err != nil {
		return err
	}
	if at.Fingerprint != "" {
		a.Note("The browser does not know the certificate. It is the node's if its SHA-256 fingerprint is %s.", at.Fingerprint)
	}
	return c.show(a, link)
}

// show writes the address of the page, and opens it in a browser if somebody sits there.
func (c *uiCmd) show(a *app, link models.AccessLink) error {
	if a.JSON {
		return a.PrintJSON(uiJSON{link.URL, link.Scope, link.Until})
	}
	if _, err := fmt.Fprintln(a.Out, link.URL); err != nil {
		return err
	}
	if c.NoBrowser || !a.OutTerminal || !openBrowser(link.URL) {
		a.Note("Open this address in a browser within a minute: it works once.")
	}
	return nil
}

// openBrowser has the system open an address. It reports whether there is a program for that.
func openBrowser(address string) bool {
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		return false // it is no address, and may be an option
	}
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" { // it would look for a browser in the terminal
			return false
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return false
	}
	cmd := exec.Command(path, args...)
	if cmd.Start() != nil {
		return false
	}
	go func() { _ = cmd.Wait() }()
	return true
}
