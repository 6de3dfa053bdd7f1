package render

import "github.com/gamelan-p2p/gamelan/inspect"

// Name is a name of a peer.
type Name struct {
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
}

// Names writes a table for people, one object a line for programs.
func Names(o *Output, all []Name) error {
	if o.JSON {
		return printEach(o, all)
	}
	if len(all) == 0 {
		o.Note("no names; give one with \"%s\"", o.Command("peers name KEY bob"))
		return nil
	}
	rows := [][]string{{"NAME", "PUBLIC KEY"}}
	for _, n := range all {
		rows = append(rows, []string{n.Name, n.PublicKey})
	}
	return o.Table(rows)
}

// NamesOf are the names of peers by their node ids.
type NamesOf map[string]string

// column adds the names as the first column of a table, unless no row has one. id returns
// the node id of the peer in a row, counted from 0 without the heading.
func (n NamesOf) column(rows [][]string, id func(i int) string) [][]string {
	all, some := [][]string{append([]string{"NAME"}, rows[0]...)}, false
	for i, r := range rows[1:] {
		name := n[id(i)]
		some = some || name != ""
		all = append(all, append([]string{orDash(name)}, r...))
	}
	if !some {
		return rows
	}
	return all
}

// who returns the short id of a peer, after its name if it has one: "bob (0011223344556677)".
func (o *Output) who(id string) string {
	if name := o.Names[id]; name != "" {
		return name + " (" + inspect.ShortName(id) + ")"
	}
	return inspect.ShortName(id)
}

// whoLong is who with the whole id.
func (o *Output) whoLong(id string) string {
	if name := o.Names[id]; name != "" {
		return name + " (" + id + ")"
	}
	return id
}
