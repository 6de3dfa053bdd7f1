package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// networkJSON is what is shown of a network file with --json.
type networkJSON struct {
	File   string   `json:"file,omitempty"`
	Name   string   `json:"name"`
	Secret string   `json:"secret"`           // eight digits that do not tell it
	Accept string   `json:"accept,omitempty"` // likewise
	Seeds  []string `json:"seeds"`
}

// Digits returns eight digits by which two secrets can be compared. They do not tell the secret.
func Digits(s protocol.NetworkSecret) string {
	if s == nil {
		return ""
	}
	sum := sha256.Sum256(append([]byte("gamelan network secret\x00"), s...))
	return hex.EncodeToString(sum[:4])
}

func networkOf(file string, p *config.PrivateConfig) networkJSON {
	return networkJSON{file, p.Name, Digits(p.Secret), Digits(p.Accept), append([]string{}, p.Seeds...)}
}

// NetworkFile shows a network file without its secrets.
func NetworkFile(o *Output, p *config.PrivateConfig) error {
	if o.JSON {
		return o.PrintJSON(networkOf("", p))
	}
	fmt.Fprintf(o.Out, "name    %s\nsecret  %s (to compare files; it does not tell the secret)\n", p.Name, Digits(p.Secret))
	if p.Accept != nil {
		fmt.Fprintf(o.Out, "accept  %s\n", Digits(p.Accept))
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

// NetworkRotated reports a step of a change of the secret.
func NetworkRotated(o *Output, file, step string, p *config.PrivateConfig) error {
	if o.JSON {
		return o.PrintJSON(networkOf(file, p))
	}
	what, then := "", ""
	switch step {
	case "begin":
		what = "Nodes with this file dial with the old secret, and accept a new one as well."
		then = "When all have it: gamelan network rotate switch " + file
	case "switch":
		what = "Nodes with this file dial with the new secret, and accept the old one as well."
		then = "When all have it, and gamelan peers admitted names nobody who connects with the old one: gamelan network rotate end " + file
	case "end":
		what, then = "Nodes with this file dial with one secret, and accept no other.", "Then the secret that was given up opens nothing any more."
	}
	_, err := fmt.Fprintf(o.Out, "%s\n%s\n%s\n", what, takeOver, then)
	return err
}
