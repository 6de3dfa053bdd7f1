package render

import (
	"fmt"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Admitted writes the result of a change of the list of admitted peers.
func Admitted(o *Output, done string, r *models.Admitted) error {
	if o.JSON {
		return o.PrintJSON(r)
	}
	_, err := fmt.Fprintf(o.Out, "%s %s\n", done, o.whoLong(r.NodeID, r.PublicKey))
	return err
}

// Admission writes with whom the node has connections, and who was refused lately.
func Admission(o *Output, v *models.Admission, now time.Time) error {
	if err := o.Say(inspect.Escape(v.Summary) + "."); err != nil {
		return err
	}
	if p := v.Private; p != nil {
		if err := o.Say(secretText(o, p, now)); err != nil {
			return err
		}
	}
	if len(v.Listed) > 0 {
		rows := [][]string{{"PUBLIC KEY", "NAME", "STATE", "LISTED"}}
		for _, p := range v.Listed {
			state, since := "away", "a seed of the settings"
			if p.Connected {
				state = "connected"
			}
			if !p.Since.IsZero() {
				since = at(p.Since)
			}
			rows = append(rows, []string{p.PublicKey, o.name(p.NodeID), state, since})
		}
		fmt.Fprintln(o.Out)
		if err := o.Table(rows); err != nil {
			return err
		}
	}
	if err := refusedTable(o, "not admitted, in the last 10 minutes", v.Refused, now); err != nil || v.Private == nil {
		return err
	}
	return refusedTable(o, "without the secret, in the last 10 minutes", v.Private.WithoutSecret, now)
}

// secretText says how far a change of the secret is.
func secretText(o *Output, p *models.PrivateNetwork, now time.Time) string {
	switch {
	case !p.Accepts:
		return "It lets in one secret."
	case p.Latecomer == "":
		return "It lets in a second secret, with which nobody has connected since the start."
	}
	return fmt.Sprintf("It lets in a second secret, with which %s has connected last, %s ago.", o.Who(p.Latecomer), long(now.Sub(p.LatecomerAt)))
}

func refusedTable(o *Output, what string, all []models.RefusedPeer, now time.Time) error {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintf(o.Out, "\nRefused, %s:\n", what)
	rows := [][]string{{"FROM", "PUBLIC KEY", "TIMES", "LAST"}}
	for _, r := range all {
		key := r.PublicKey
		if key == "" {
			key = "-"
		}
		rows = append(rows, []string{r.Source, key, inspect.Number(r.Times), long(now.Sub(r.LastAt)) + " ago"})
	}
	return o.Table(rows)
}
