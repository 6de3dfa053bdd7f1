package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const heading = "seconds,resident,live,goroutines,descriptors,sent,confirmed,heard,substreams,our_calls,their_calls,resident 6.2.0,resident 1.0.0-rc.5"

func measurements(n int) string {
	var b strings.Builder
	fmt.Fprintln(&b, heading)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "%d,%d,%d,50,20,%d,%d,%d,%d,%d,%d,1000,1000\n", i*5, 2<<20, 1<<20, i*1000, i*1000, i*500, i*10, i*20, i*30)
	}
	return b.String()
}

func TestRunThinsAndDraws(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "soak.csv"), filepath.Join(dir, "soak.svg")
	if err := os.WriteFile(in, []byte(measurements(720)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(in, out, 120); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 121 || lines[0] != heading || !strings.HasPrefix(lines[1], "5,") || !strings.HasPrefix(lines[120], "3600,") {
		t.Errorf("got %d lines from %q to %q, want the heading and 120 from the first to the last", len(lines), lines[1], lines[len(lines)-1])
	}
	svg, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer svg.Close()
	drawn := 0
	for d := xml.NewDecoder(svg); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && slices.ContainsFunc(e.Attr, func(a xml.Attr) bool { return strings.HasPrefix(a.Value, "line ") }) {
			drawn++
		}
	}
	if drawn != 10 {
		t.Errorf("got %d lines drawn, want 10", drawn)
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	for name, text := range map[string]string{"empty": heading + "\n", "no number": strings.Replace(measurements(3), ",50,", ",many,", 1)} {
		in := filepath.Join(t.TempDir(), "soak.csv")
		if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run(in, in+".svg", 0); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

func TestRate(t *testing.T) {
	tab := table{columns: map[string][]float64{"seconds": {5, 10, 15, 16}, "a": {10, 60, 160, 161}, "b": {0, 50, 50, 50}}}
	if got, want := tab.rate("a", "b"), []float64{20, 20, 20, 20}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNiceTop(t *testing.T) {
	for highest, want := range map[float64]float64{0: 1, 0.9: 1, 1: 1, 17: 20, 430: 500, 9001: 10000} {
		if got := niceTop(highest); got != want {
			t.Errorf("niceTop(%v): got %v, want %v", highest, got, want)
		}
	}
}

func TestTick(t *testing.T) {
	for end, want := range map[float64]float64{5: 1, 17: 5, 60: 10, 200: 30, 1440: 180} {
		if got := tick(end); got != want {
			t.Errorf("tick(%v): got %v, want %v", end, got, want)
		}
	}
}
