// Package picture shows a lookup of the key-value DHT, in lines and as an SVG.
package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/gamelan-p2p/gamelan/kad"
)

// Lookup is how one node has found a value.
type Lookup struct {
	Of     *kad.Client
	Steps  []kad.Step
	Result kad.LookupResult
}

// Show writes the steps of the lookup as lines, and as a picture to the file svg unless that
// is "".
func (l *Lookup) Show(w io.Writer, svg string, clients []*kad.Client, put kad.Report) error {
	fmt.Fprintf(w, "\nThe longest lookup, of %s for %s…:\n", l.Of.Name(), put.Key.Short())
	names := make(map[kad.ID]string)
	for _, c := range clients {
		names[c.ID()] = c.Name()
	}
	for _, s := range l.Steps {
		value := ""
		if s.Record {
			value = "  has the value"
		}
		fmt.Fprintf(w, "  hop %d  %-8s %s…  %2d bits in common  %s%s\n",
			s.Hop, names[s.Contact.ID], s.Contact.ID.Short(), s.Contact.ID.CommonPrefix(put.Key), s.State, value)
	}
	fmt.Fprintf(w, "%d nodes asked, %d answered, %d hops.\n", l.Result.Asked, l.Result.Answers, l.Result.Hops)
	if svg == "" {
		return nil
	}
	return os.WriteFile(svg, l.picture(clients, put), 0o644)
}

const (
	size   = 640
	radius = 260
)

// place returns where an id is on the circle of all ids.
func place(id kad.ID) (x, y float64) {
	angle := 2 * math.Pi * float64(binary.BigEndian.Uint32(id[:])) / (1 << 32)
	return size/2 + radius*math.Sin(angle), size/2 - radius*math.Cos(angle)
}

// picture draws the nodes on a circle by their ids: the holders filled, the key as a square,
// and a line from the node that looks to each node that it asked, darker with each hop.
func (l *Lookup) picture(clients []*kad.Client, put kad.Report) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", size, size)
	fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="%d" fill="none" stroke="#ccc"/>`+"\n", size/2, size/2, radius)
	x0, y0 := place(l.Of.ID())
	for _, s := range l.Steps {
		x, y := place(s.Contact.ID)
		colour, width := fmt.Sprintf("hsl(210,70%%,%d%%)", max(75-15*s.Hop, 30)), 1
		if s.Record {
			colour, width = "#c40", 3
		}
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%d"><title>hop %d, %s</title></line>`+"\n",
			x0, y0, x, y, colour, width, s.Hop, s.State)
	}
	holds := make(map[kad.ID]bool)
	for _, o := range put.Outcomes {
		holds[o.Contact.ID] = o.Life > 0
	}
	for _, c := range clients {
		x, y := place(c.ID())
		fill, r := "#fff", 5
		switch {
		case c == l.Of:
			fill, r = "#29c", 8
		case holds[c.ID()]:
			fill = "#fb4"
		}
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%d" fill="%s" stroke="#333"><title>%s %s</title></circle>`+"\n", x, y, r, fill, c.Name(), c.ID().Short())
	}
	x, y := place(put.Key)
	fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="12" height="12" fill="#c40"><title>the key</title></rect>`+"\n", x-6, y-6)
	fmt.Fprintf(&b, `<text x="10" y="%d">blue: the node that looks · red: the key · yellow: nodes that store the value</text>`+"\n</svg>\n", size-10)
	return b.Bytes()
}
