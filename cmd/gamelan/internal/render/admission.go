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
		if err := o.Say(secretText(p)); err != nil {
			return err
		}
		if err := latecomers(o, p.Latecomers, now); err != nil {
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
	if err := refusedTable(o, "not admitted, in the last 10 minutes", "others", v.Refused, now); err != nil || v.Private == nil {
		return err
	}
	return refusedTable(o, "without the secret, in the last 10 minutes", "-", v.Private.WithoutSecret, now)
}

// secretText says which secrets are in force.
func secretText(p *models.PrivateNetwork) string {
	if p.Accept == "" {
		return fmt.Sprintf("It dials with the secret %s, and accepts no other.", inspect.Escape(p.Secret))
	}
	s := fmt.Sprintf("It dials with the secret %s, and accepts %s as well", inspect.Escape(p.Secret), inspect.Escape(p.Accept))
	if len(p.Latecomers) == 0 {
		return s + ", by which nobody is connected or has come lately."
	}
	return s + ". Peers on the second one:"
}

// latecomers lists who uses the second secret of the network.
func latecomers(o *Output, all []models.Latecomer, now time.Time) error {
	if len(all) == 0 {
		return nil
	}
	rows := [][]string{{"PEER", "STATE", "CAME", "NOTE"}}
	for _, l := range all {
		state, note := "away", "-"
		if l.Connected {
			state = "connected"
		}
		if l.Earlier {
			note = "before this node changed its secrets: it may have the first one by now"
		}
		rows = append(rows, []string{o.Who(l.NodeID), state, long(now.Sub(l.At)) + " ago", note})
	}
	return o.Table(rows)
}

func refusedTable(o *Output, what, none string, all []models.RefusedPeer, now time.Time) error {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintf(o.Out, "\nRefused, %s:\n", what)
	rows := [][]string{{"FROM", "PUBLIC KEY", "TIMES", "LAST"}}
	for _, r := range all {
		key := r.PublicKey
		if key == "" {
			key = none
		}
		rows = append(rows, []string{r.Source, key, inspect.Number(r.Times), long(now.Sub(r.LastAt)) + " ago"})
	}
	return o.Table(rows)
}
