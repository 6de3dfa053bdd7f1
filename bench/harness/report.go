package harness

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is one run of the program.
type Report struct {
	Machine Machine        `json:"machine"`
	Rounds  int            `json:"rounds"`
	Window  time.Duration  `json:"window_ns"`
	Took    time.Duration  `json:"took_ns"`
	Groups  []GroupResult  `json:"groups"`
	Targets []TargetResult `json:"targets"`
}

// Text writes the figures of every group and then the table of targets.
func (r Report) Text(w io.Writer) error {
	p := &printer{w: w}
	m := r.Machine
	p.linef("gamelan bench  %s  commit %s", m.Date.Format(time.RFC3339), m.Commit)
	p.linef("%s, %s, kernel %s", m.Go, m.OS, m.Kernel)
	p.linef("%s, %d cores, GOMAXPROCS %d, %s, load %s", m.CPU, m.Cores, m.Procs, m.Memory, m.Load)
	for _, path := range slices.Sorted(maps.Keys(m.Modules)) {
		p.linef("%s %s", path, m.Modules[path])
	}
	p.linef("%d rounds of %v; figures are median (minimum–maximum) over the rounds;", r.Rounds, r.Window)
	p.linef("ratios are formed inside a round; both ends run in this process unless a group says otherwise; took %v", r.Took.Round(time.Second))
	for _, g := range r.Groups {
		p.linef("")
		p.linef("%s: %s (%v)", g.Name, g.About, g.Took.Round(time.Second))
		p.table(func(t io.Writer) {
			fmt.Fprintf(t, "  case\tmetric\tmedian\tmin–max\tratio to the first case\t\n")
			for _, c := range g.Cases {
				caseRows(t, g.Cases[0], c)
			}
		})
	}
	p.linef("")
	p.linef("Targets: × ratio to the anchor, + difference from it, = the figure itself")
	p.table(func(t io.Writer) {
		fmt.Fprintf(t, "  \tcase\tmetric\t\tmin / median / max\ttarget\tstretch\t\tagainst\n")
		for _, v := range r.Targets {
			targetRow(t, v)
		}
	})
	return p.err
}

func caseRows(t io.Writer, first, c CaseResult) {
	metrics := map[string]bool{}
	for _, s := range c.Samples {
		for name := range s {
			metrics[name] = true
		}
	}
	label := c.Name
	for _, metric := range slices.SortedFunc(maps.Keys(metrics), byMetric) {
		var values, ratios []float64
		for round, s := range c.Samples {
			v, ok := s[metric]
			if !ok {
				continue
			}
			values = append(values, v)
			if base, ok := first.Samples[round][metric]; ok && base != 0 {
				ratios = append(ratios, v/base)
			}
		}
		v, _ := spread(values)
		ratio := ""
		if x, ok := spread(ratios); ok && first.Name != c.Name {
			ratio = fmt.Sprintf("× %s (%s–%s)", short(x.Median), short(x.Min), short(x.Max))
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s–%s\t%s\t\n", label, metric, short(v.Median), short(v.Min), short(v.Max), ratio)
		label = ""
	}
	for _, e := range c.Errors {
		fmt.Fprintf(t, "  %s\tfailed: %s\t\t\t\t\n", label, e)
		label = ""
	}
}

func targetRow(t io.Writer, v TargetResult) {
	sign := "≤"
	if v.AtLeast {
		sign = "≥"
	}
	bound := func(b float64) string {
		if b == 0 {
			return ""
		}
		return sign + " " + short(b)
	}
	figures := ""
	if v.Measured {
		figures = fmt.Sprintf("%s / %s / %s", short(v.Spread.Min), short(v.Spread.Median), short(v.Spread.Max))
	}
	fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Case, v.Metric, v.Relation,
		figures, bound(v.Bound), bound(v.Stretch), v.Verdict(), v.against())
}

// byMetric puts the metrics of the harness into their usual order, before a
// case's own.
func byMetric(a, b string) int {
	order := []string{Rate, Throughput, CPU, P50, P99, PerEnd, Goroutines}
	rank := func(m string) int {
		if i := slices.Index(order, m); i >= 0 {
			return i
		}
		return len(order)
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// short prints three significant digits, with k, M and G for large figures.
func short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if math.Abs(v) >= unit.size {
			size := unit.size
			if unit.name == "k" {
				size = 1e3
			}
			return digits(v/size) + unit.name
		}
	}
	return digits(v)
}

func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// Save writes the report into dir as <date>-<commit>.txt and .json, with the
// time of day after the date, and gives the path of the text.
func (r Report) Save(dir string) (path string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	base := filepath.Join(dir, r.Machine.Date.Format("2006-01-02-150405")+"-"+r.Machine.Commit)
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(base+".json", append(data, '\n'), 0o644); err != nil {
		return "", err
	}
	return base + ".txt", os.WriteFile(base+".txt", []byte(text.String()), 0o644)
}

// printer remembers the first error of a sequence of writes.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) linef(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) table(rows func(io.Writer)) {
	if p.err != nil {
		return
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	rows(t)
	p.err = t.Flush()
}

// against names the anchors.
func (t Target) against() string {
	if t.Best {
		return "the better of " + strings.Join(t.Against, ", ")
	}
	return strings.Join(t.Against, " + ")
}
