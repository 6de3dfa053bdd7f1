package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/api"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/protocol"
)

type networkCreateCmd struct {
	Name string `arg:"" help:"Name of the network: 1 to 32 small letters, digits and dashes, the first a letter."`
	File string `help:"Where to write it (default: NAME.network in this directory)." placeholder:"FILE"`
}

// Help returns the text of gamelan network create --help below the flags.
func (*networkCreateCmd) Help() string {
	return "Only nodes that have the file can join the network: it has a secret of 256 random bits, without which a node does not even answer. " +
		"An existing file is never replaced. docs/private-network.md is a guide."
}

func (c *networkCreateCmd) Run(a *app) error {
	path := c.File
	if path == "" {
		path = c.Name + config.NetworkSuffix
	}
	if !config.IsNetworkFile(path) {
		return failure.Usage("end it with "+config.NetworkSuffix+", by which other commands know it from the name of a network", "the file cannot be named %s", path)
	}
	n, err := config.NewNetwork(c.Name)
	if err == nil {
		err = n.WriteNew(path)
	}
	switch {
	case errors.Is(err, protocol.ErrBadNetworkName):
		what, hint, _ := strings.Cut(strings.TrimPrefix(err.Error(), "protocol: "), "; ")
		return failure.Usage(hint, "%s", what)
	case errors.Is(err, fs.ErrExist):
		return failure.New("config", fmt.Sprintf("join it with %q, or choose another file with --file", "gamelan node --network "+nodedir.Quote(path)), "there is a file %s already", path)
	case err != nil:
		return networkFileError(path, err)
	}
	return render.NetworkMade(a.Output, nodedir.Quote(path), c.Name)
}

// networkFileError returns the failure for a network file that cannot be used.
func networkFileError(path string, err error) error {
	if problems, ok := errors.AsType[daemonconfig.Problems](err); ok {
		return problems
	}
	switch {
	case errors.Is(err, config.ErrNetworkOpen):
		_, which, _ := strings.Cut(err.Error(), config.ErrNetworkOpen.Error()+": ")
		return failure.New("config", "make it private with \"chmod 600 "+nodedir.Quote(path)+"\", and change the secret if somebody may have read it", "others can read or change %s", which).Because(err)
	case errors.Is(err, fs.ErrNotExist):
		return failure.New("config", "make one with \"gamelan network create NAME\", or copy it from another machine", "there is no file %s", path).Because(err)
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return failure.New("config", "look at its owner and its mode", "%s cannot be used: %s", path, p.Err).Because(err)
	}
	return failure.New("config", "", "%s: %s", path, failure.Text(err)).Because(err)
}

type networkAddCmd struct {
	File   string   `arg:"" help:"The file of the network."`
	Peer   []string `arg:"" help:"${seed}; with --remove the public key is enough." placeholder:"KEY::ADDRESS"`
	Remove bool     `help:"Remove these seeds instead."`
}

// Help returns the text of gamelan network add --help below the flags.
func (*networkAddCmd) Help() string {
	return "A seed is a node that the others know from the start, and through which they find each other. A seed that is in the file already gets the new addresses. " +
		"Copy the file to the other machines afterwards; a node that runs takes new seeds over on HUP."
}

func (c *networkAddCmd) Run(a *app) error {
	var p config.PrivateConfig
	err := config.ChangeNetwork(c.File, func(n *config.PrivateConfig) error {
		for _, text := range c.Peer {
			key, _, _ := strings.Cut(text, "::")
			switch {
			case c.Remove && !n.RemoveSeed(key):
				return failure.New("unknown_peer", "see them with \"gamelan network file "+nodedir.Quote(c.File)+"\"", "%s is no seed of the network", key)
			case c.Remove:
			default:
				if err := api.CheckSeed(text); err != nil {
					return err
				}
				if err := n.AddSeed(text); err != nil {
					return err
				}
			}
		}
		p = *n
		return nil
	})
	if err != nil {
		return networkFileFailure(c.File, err)
	}
	return render.NetworkChanged(a.Output, nodedir.Quote(c.File), &p)
}

// networkFileFailure leaves failures of the command as they are.
func networkFileFailure(path string, err error) error {
	if f, ok := errors.AsType[*failure.Error](err); ok {
		return f
	}
	return networkFileError(path, err)
}

type networkRotateCmd struct {
	Step string `arg:"" enum:"begin,switch,end,abandon,now" help:"begin: nodes accept a new secret as well. switch: they dial with it, and accept the old one. end: they accept the old one no more. abandon: takes begin back. now: a new secret at once, and no other."`
	File string `arg:"" help:"The file of the network."`
}

// Help returns the text of gamelan network rotate --help below the flags.
func (*networkRotateCmd) Help() string {
	return "Each step changes the file. Copy it to every machine and send each node HUP before you take the next step: the nodes take it over without a break. " +
		"All have to accept the new secret before the first one dials with it. \"gamelan peers admitted\" says who still dials with the old one.\n\n" +
		"A step that is not the next one is refused. With now strangers are out at once, and so is each machine that has not the new file yet."
}

func (c *networkRotateCmd) Run(a *app) error {
	var before, p config.PrivateConfig
	err := config.ChangeNetwork(c.File, func(n *config.PrivateConfig) error {
		before = *n
		if err := n.Rotate(c.Step); err != nil {
			return err
		}
		p = *n
		return nil
	})
	if refused, ok := errors.AsType[*config.RotationError](err); ok {
		hint := fmt.Sprintf("the next step is \"gamelan network rotate %s %s\"", refused.Next, nodedir.Quote(c.File))
		switch {
		case refused.Next == "":
			hint = fmt.Sprintf("see their digits with \"gamelan network file %s\", and write below them rotation = %q if accept is the new one, %q if secret is", nodedir.Quote(c.File), config.RotationBegun, config.RotationSwitched)
		case before.Rotation == config.RotationBegun:
			hint += ", or \"rotate abandon\" to keep the old secret"
		}
		return failure.New("config", hint, "not changed: %s", refused.Why).Because(err)
	}
	if err != nil {
		return networkFileFailure(c.File, err)
	}
	return render.NetworkRotated(a.Output, nodedir.Quote(c.File), c.Step, &before, &p)
}

type networkFileCmd struct {
	File string `arg:"" help:"The file of the network."`
}

// Help returns the text of gamelan network file --help below the flags.
func (*networkFileCmd) Help() string {
	return "Two files whose secrets have the same eight digits have the same secret. The digits do not tell it."
}

func (c *networkFileCmd) Run(a *app) error {
	p, err := config.ReadNetwork(c.File)
	if err != nil {
		return networkFileError(c.File, err)
	}
	return render.NetworkFile(a.Output, &p)
}
