package lab

import (
	"bytes"
	_ "embed" // page.html
	"fmt"
	"html/template"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// Sizes in the units of the drawing.
const (
	ringRadius = 400
	bend       = 0.45 // how far a link bends towards the middle: 1 is straight, 0 through the middle
)

// page is what the template shows.
type page struct {
	Title  string
	OK     bool
	Phases []pagePhase
	Links  []string // paths
	Faint  float64  // opacity of a link: the more links, the less
	Dots   []dot
	Data   data // for the script
}

type pagePhase struct {
	Phase
	Seconds string
}

// dot is a member in the drawing.
type dot struct {
	Index       int
	Class, Text string
	X, Y        float64
	Title       string
}

// data is what the script of the page needs to replay the join.
type data struct {
	Newcomer   int        `json:"newcomer"`
	Members    []member   `json:"members"`
	Neighbours [][]int    `json:"neighbours"`
	Steps      []pageStep `json:"steps"`
}

type member struct {
	Name string  `json:"name"`
	ID   string  `json:"id"`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
}

type pageStep struct {
	At     string `json:"at"` // in milliseconds
	Action Action `json:"action"`
	From   int    `json:"from"`
	To     int    `json:"to"`
	Text   string `json:"text"`
}

// Page returns an HTML page that needs no other file: the network as a graph, the join of
// the newcomer step by step, and the table of phases.
func (r *Report) Page() ([]byte, error) {
	l := r.Lab
	places := l.ring(ringRadius)
	p := page{
		Title: fmt.Sprintf("A network of %d nodes and %d wallets finds itself", 1+l.config.Nodes, l.config.Wallets),
		OK:    r.OK(),
		Data:  data{Newcomer: l.newcomer, Neighbours: r.Graph.Neighbours, Steps: []pageStep{}},
	}
	for _, phase := range r.Phases {
		p.Phases = append(p.Phases, pagePhase{phase, fmt.Sprintf("%.2f", phase.Took.Seconds())})
	}
	for _, link := range r.Graph.Links {
		if link[0] == l.newcomer || link[1] == l.newcomer {
			continue // the replay draws these
		}
		p.Faint = min(1, 300/float64(len(r.Graph.Links)))
		p.Links = append(p.Links, curve(places[link[0]], places[link[1]]))
	}
	for i, m := range l.Members {
		at := places[i]
		p.Dots = append(p.Dots, dot{
			Index: i, Class: l.class(i), Text: l.label(i), X: round(at.X), Y: round(at.Y), Title: m.Name + ", " + m.ID.String(),
		})
		p.Data.Members = append(p.Data.Members, member{m.Name, m.ID.String(), round(at.X), round(at.Y)})
		if p.Data.Neighbours[i] == nil {
			p.Data.Neighbours[i] = []int{}
		}
	}
	for _, s := range r.Steps {
		p.Data.Steps = append(p.Data.Steps, pageStep{milliseconds(s.At), s.Action, s.From, s.To, l.sentence(s)})
	}
	out := new(bytes.Buffer)
	err := pageTemplate.Execute(out, p)
	return out.Bytes(), err
}

func (l *Lab) class(i int) string {
	switch {
	case i == l.newcomer:
		return "newcomer"
	case l.Members[i].Kind == Seed:
		return "seed"
	case l.Members[i].Kind == Wallet:
		return "wallet"
	}
	return "node"
}

// label returns the text in a member's dot.
func (l *Lab) label(i int) string {
	switch l.Members[i].Kind {
	case Seed:
		return "S"
	case Wallet:
		return fmt.Sprintf("W%d", i-l.config.Nodes)
	default:
		return fmt.Sprint(i)
	}
}

func curve(a, b point) string {
	return fmt.Sprintf("M%.1f %.1fQ%.1f %.1f %.1f %.1f", a.X, a.Y, bend*(a.X+b.X)/2, bend*(a.Y+b.Y)/2, b.X, b.Y)
}

func round(x float64) float64 { return float64(int(x*10)) / 10 }
