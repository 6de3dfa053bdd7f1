package render

import (
	"fmt"
	"strings"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// networkJSON is what is shown of a network file with --json.
type networkJSON struct {
	File   string `json:"file,omitempty"`
	Name   string `json:"name"`
	Secret string `json:"secret"`           // eight digits that do not tell it
	Accept string `json:"accept,omitempty"` // likewise
	// Rotation says which of the two is new: "begun", accept is; "switched", secret is.
	Rotation string   `json:"rotation,omitempty"`
	GivenUp  []string `json:"given_up,omitempty"` // by this step: digits of secrets that the file has no more
	Seeds    []string `json:"seeds"`
}

func networkOf(file string, p *config.PrivateConfig) networkJSON {
	return networkJSON{File: file, Name: p.Name, Secret: p.Secret.Digits(), Accept: p.Accept.Digits(), Rotation: p.Rotation, Seeds: append([]string{}, p.Seeds...)}
}

// NetworkFile shows a network file without its secrets.
func NetworkFile(o *Output, p *config.PrivateConfig) error {
	if o.JSON {
		return o.PrintJSON(networkOf("", p))
	}
	fmt.Fprintf(o.Out, "name    %s\nsecret  %s (to compare files; it does not tell the secret)\n", p.Name, p.Secret.Digits())
	if p.Accept != nil {
		which := "nothing says which of the two is new"
		switch p.Rotation {
		case config.RotationBegun:
			which = "the new one: the change has begun"
		case config.RotationSwitched:
			which = "the old one: the nodes dial with the new one"
		}
		fmt.Fprintf(o.Out, "accept  %s (%s)\n", p.Accept.Digits(), which)
	}
	for _, s := range p.Seeds {
		fmt.Fprintf(o.Out, "seed    %s\n", inspect.Escape(s))
	}
	if len(p.Seeds) == 0 {
		return o.Say("seed    none: add one with gamelan network add")
	}
	return nil
}

// NetworkMade reports that a network file was written, and what to do next.
func NetworkMade(o *Output, file, name string) error {
	if o.JSON {
		return o.PrintJSON(struct {
			File string `json:"file"`
			Name string `json:"name"`
		}{file, name})
	}
	_, err := fmt.Fprintf(o.Out, `Wrote %[1]s: the private network %[2]s. Whoever has this file can join it.
Next, on this machine, which is the first node:
  gamelan node --network %[1]s
  gamelan network add %[1]s "$(gamelan id --address)"
Then copy %[1]s to each other machine, on a way that nobody else can read (scp), and there:
  gamelan node --network %[1]s
`, file, name)
	return err
}

// takeOver says how nodes get a changed file.
const takeOver = "Next: copy it to every machine of the network, and send each node HUP (kill -HUP, or systemctl reload)."

// NetworkChanged reports that the seeds of a network file have changed.
func NetworkChanged(o *Output, file string, p *config.PrivateConfig) error {
	if o.JSON {
		return o.PrintJSON(networkOf(file, p))
	}
	_, err := fmt.Fprintf(o.Out, "%s has %s now.\n%s\n", file, inspect.Count(uint64(len(p.Seeds)), "seed"), takeOver)
	return err
}

// NetworkRotated reports a step of a change of the secret: what is kept, and what is given up.
func NetworkRotated(o *Output, file, step string, before, p *config.PrivateConfig) error {
	var dropped []string
	for _, s := range []*protocol.NetworkSecret{before.Secret, before.Accept} {
		if s != nil && !s.Equal(p.Secret) && !s.Equal(p.Accept) {
			dropped = append(dropped, s.Digits())
		}
	}
	if o.JSON {
		v := networkOf(file, p)
		v.GivenUp = dropped
		return o.PrintJSON(v)
	}
	secret, accept := p.Secret.Digits(), p.Accept.Digits()
	gone := strings.Join(dropped, " and ")
	what, then := "", ""
	switch step {
	case "begin":
		what = fmt.Sprintf("Nodes with this file dial with the old secret %s, and accept the new one %s as well.", secret, accept)
		then = "When all have it: gamelan network rotate switch " + file
	case "switch":
		what = fmt.Sprintf("Nodes with this file dial with the new secret %s, and accept the old one %s as well.", secret, accept)
		then = "When all have it, and gamelan peers admitted names nobody who came with the old one: gamelan network rotate end " + file
	case "abandon":
		what = fmt.Sprintf("Nodes with this file dial with the old secret %s, and accept no other. The new one %s is given up.", secret, gone)
		then = "Then all is as it was before the change."
	case "end":
		what = fmt.Sprintf("Nodes with this file dial with the new secret %s, and accept no other.", secret)
		then = fmt.Sprintf("Then the secret %s opens nothing any more, and connections that were set up with it are closed.", gone)
	case "now":
		what = fmt.Sprintf("Nodes with this file dial with the new secret %s, and accept no other. They close all connections that were set up with %s.", secret, gone)
		then = "Until a machine has the file, it is cut off from those that have it."
	}
	_, err := fmt.Fprintf(o.Out, "%s\n%s\n%s\n", what, takeOver, then)
	return err
}
