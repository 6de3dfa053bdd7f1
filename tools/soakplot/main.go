// Command soakplot draws the measurements of TestSoak in tests/interop:
//
//	go -C tools run ./soakplot -csv ../docs/soak.csv -svg ../docs/soak.svg
//
// With -keep n it first leaves at most n lines of the file, spread evenly, the
// last one among them.
package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

func main() {
	in := flag.String("csv", "../docs/soak.csv", "what was measured")
	out := flag.String("svg", "../docs/soak.svg", "where the plot goes")
	keep := flag.Int("keep", 0, "thin the measurements to this many lines; 0 keeps all")
	flag.Parse()
	if err := run(*in, *out, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "soakplot:", err)
		os.Exit(1)
	}
}

func run(in, out string, keep int) error {
	text, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		return err
	}
	if keep > 0 && len(rows) > keep+1 {
		rows = thin(rows, keep)
		var b strings.Builder
		if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
			return err
		}
		if err := os.WriteFile(in, []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	t, err := parse(rows)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	svg, err := draw(t)
	if err != nil {
		return err
	}
	return os.WriteFile(out, []byte(svg), 0o644)
}

// thin returns the heading and n of the other rows.
func thin(rows [][]string, n int) [][]string {
	kept := rows[:1:1]
	last := len(rows) - 1
	for i := range n {
		kept = append(kept, rows[last-(n-1-i)*(last-1)/max(n-1, 1)])
	}
	return kept
}

// table holds the measurements by column.
type table struct {
	names   []string
	columns map[string][]float64
}

func parse(rows [][]string) (table, error) {
	if len(rows) < 3 {
		return table{}, errors.New("got no two measurements, want more: did the test run?")
	}
	t := table{rows[0], make(map[string][]float64)}
	for i, row := range rows[1:] {
		for c, name := range t.names {
			v, err := strconv.ParseFloat(row[c], 64)
			if err != nil {
				return t, fmt.Errorf("line %d: %s: %w", i+2, name, err)
			}
			t.columns[name] = append(t.columns[name], v)
		}
	}
	return t, nil
}

// rate returns the change per second of the sum of counters.
func (t table) rate(names ...string) []float64 {
	at, rates := t.columns["seconds"], make([]float64, len(t.columns["seconds"]))
	for _, name := range names {
		c := t.columns[name]
		for i := 1; i < len(c); i++ {
			if took := at[i] - at[i-1]; took > 0 {
				rates[i] += (c[i] - c[i-1]) / took
			}
		}
	}
	if len(rates) > 1 {
		rates[0] = rates[1]
		if last := len(rates) - 1; last > 1 && at[last]-at[last-1] < (at[1]-at[0])/2 {
			rates[last] = rates[last-1] // the end came in between
		}
	}
	return rates
}

func (t table) scaled(name string, by float64) []float64 {
	values := make([]float64, len(t.columns[name]))
	for i, v := range t.columns[name] {
		values[i] = v / by
	}
	return values
}

// niceTop returns the end of an axis for values up to highest: 1, 2, 2.5 or 5 times a power
// of ten.
func niceTop(highest float64) float64 {
	if highest <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(highest)))
	for _, m := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10} {
		if m*power >= highest {
			return m * power
		}
	}
	return 10 * power
}
