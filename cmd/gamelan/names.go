package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/identity"
)

type peersNameCmd struct {
	Peer  string `arg:"" peer:"" help:"A public key; another form of a peer that the node knows; or ${seed}: the node remembers that address."`
	Force bool   `help:"Take the name from the peer that has it."`
	Name  string `arg:"" help:"The name: 1 to 32 letters, digits, dots, dashes and underscores, the first a letter."`
}

// Help returns the text of gamelan peers name --help below the flags.
func (*peersNameCmd) Help() string {
	return "Every command takes the name where it takes a peer. Names are kept in the file names.json of the data directory; no other node learns them. A peer may have several names."
}

// Run gives a peer a name. A name that another peer has moves to this one only with --force.
func (c *peersNameCmd) Run(a *app) error {
	if err := nodedir.CheckName(c.Name); err != nil {
		return err
	}
	key, err := c.key(a)
	if err != nil {
		return err
	}
	before := identity.PublicKey{}
	err = a.dir.ChangeNames(func(n nodedir.Names) error {
		before = n[c.Name]
		if !before.IsZero() && before != key && !c.Force {
			return failure.New("name_taken", "choose another name, or move this one with --force", "%s is the name of %s already", c.Name, before)
		}
		n[c.Name] = key
		return nil
	})
	if err != nil {
		return err
	}
	if !before.IsZero() && before != key {
		a.Note("%s was %s until now.", c.Name, before)
	}
	if a.JSON {
		return a.PrintJSON(render.Name{Name: c.Name, PublicKey: key.String()})
	}
	_, err = fmt.Fprintf(a.Out, "%s is %s\n", c.Name, key)
	return err
}

// key returns the public key of the peer.
func (c *peersNameCmd) key(a *app) (key identity.PublicKey, err error) {
	text, err := a.named(c.Peer)
	if err != nil {
		return key, err
	}
	if err := api.CheckPeer(text); err != nil {
		return key, err
	}
	if strings.Contains(text, "::") {
		if _, err := a.client().Remember(a.ctx, text); err != nil {
			return key, err
		}
		text, _, _ = strings.Cut(text, "::")
	}
	return a.keyOf(text)
}

// keyOf returns the public key that a text is, or that of a peer that the node knows by it.
func (a *app) keyOf(text string) (key identity.PublicKey, err error) {
	if key, err = identity.ParsePublicKey(text); err == nil {
		return key, nil
	}
	p, err := a.client().Peer(a.ctx, text)
	if err != nil {
		return key, err
	}
	if key, err = identity.ParsePublicKey(p.PublicKey); err != nil {
		return key, failure.New("unknown_key", "give the key itself", "the node does not know the public key of %s", text)
	}
	return key, nil
}

type peersUnnameCmd struct {
	Name []string `arg:"" peer:"" help:"A name that gamelan peers names lists."`
}

// Run removes names. It removes none if one of them does not exist.
func (c *peersUnnameCmd) Run(a *app) error {
	return a.dir.ChangeNames(func(n nodedir.Names) error {
		for _, name := range c.Name {
			if n[name].IsZero() {
				return failure.New("unknown_name", "see them with "+a.Command("peers names"), "there is no name %q", name)
			}
			delete(n, name)
		}
		return nil
	})
}

type peersNamesCmd struct{}

func (*peersNamesCmd) Run(a *app) error {
	n, err := a.dir.ReadNames()
	if err != nil {
		return err
	}
	var all []render.Name
	for _, name := range n.Sorted() {
		all = append(all, render.Name{Name: name, PublicKey: n[name].String()})
	}
	return render.Names(a.Output, all)
}

// named returns the public key of the peer that has a name, also before its addresses, as in
// NAME::ADDRESS, and any other text as it is.
func (a *app) named(text string) (string, error) {
	name, addrs, given := strings.Cut(text, "::")
	if given {
		addrs = "::" + addrs
	}
	if !nodedir.IsName(name) {
		return text, nil
	}
	n, err := a.dir.ReadNames()
	if err != nil {
		return "", err
	}
	if key, ok := n[name]; ok {
		return key.String() + addrs, nil
	}
	return text, nil
}

// allNamed is named for several peers, which it then checks.
func (a *app) allNamed(texts []string, check func(string) error) ([]string, error) {
	all := slices.Clone(texts)
	for i := range all {
		var err error
		if all[i], err = a.named(all[i]); err != nil {
			return nil, err
		}
	}
	for _, p := range all {
		if err := check(p); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// namesNow returns a function that is namesOf, and reads the names again when their file has
// changed.
func (a *app) namesNow() func() render.NamesOf {
	var read render.NamesOf
	var last os.FileInfo
	return func() render.NamesOf {
		info, err := os.Stat(a.dir.NamesFile())
		if err != nil {
			info = nil
		}
		if read == nil || (info == nil) != (last == nil) || info != nil && (!os.SameFile(info, last) || !info.ModTime().Equal(last.ModTime())) {
			read, last = a.namesOf(), info
		}
		return read
	}
}

// namesOf returns the names of peers by their node ids. It is for lists, which are worth
// more than the names: names that cannot be read are left out, and a note says so.
func (a *app) namesOf() render.NamesOf {
	n, err := a.dir.ReadNames()
	if err != nil {
		a.Note("Names are left out: %s", err)
	}
	of := render.NamesOf{}
	for _, name := range n.Sorted() {
		id := n[name].NodeID().String()
		if of[id] != "" {
			name = of[id] + ", " + name
		}
		of[id] = name
	}
	return of
}
