package render

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Section writes a section that has no form of its own: its figures, grouped as they stand in it. Those
// of rank 3 are shown with -v.
func Section(o *Output, all []models.Figure, now time.Time) error {
	var b strings.Builder
	for len(all) > 0 {
		group := parent(all[0].Path)
		n, width := 0, 0
		for ; n < len(all) && parent(all[n].Path) == group; n++ {
			width = max(width, len(figureName(&all[n])))
		}
		if group != "" {
			b.WriteString(inspect.Escape(strings.NewReplacer(".", " ", "_", " ").Replace(group)) + "\n")
		}
		for i := range all[:n] {
			if f := &all[i]; f.Rank < 3 || o.Verbose {
				fmt.Fprintf(&b, "%s%-*s  %s\n", strings.Repeat("  ", min(1, len(group))), width, figureName(f), figureText(f, now))
			}
		}
		all = all[n:]
	}
	_, err := io.WriteString(o.Out, cmp.Or(b.String(), "nothing\n"))
	return err
}

// parent returns the path of what a figure is in.
func parent(path string) string { return path[:max(0, strings.LastIndexByte(path, '.'))] }

// figureName returns the label of a figure; of an element of a list or a map it has the name as well.
func figureName(f *models.Figure) string {
	last := f.Path[strings.LastIndexByte(f.Path, '.')+1:]
	if strings.EqualFold(strings.ReplaceAll(last, "_", " "), f.Label) || f.Label != "" && !strings.HasSuffix(parent(f.Path), strings.ToLower(f.Label)) {
		return inspect.Escape(f.Label)
	}
	return inspect.Escape(last)
}

// figureText returns the value of a figure with its unit. Numbers are those of JSON.
func figureText(f *models.Figure, now time.Time) string {
	switch v := f.Value.(type) {
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case float64:
		switch f.Unit {
		case models.UnitBytes:
			return Bytes(int64(v))
		case models.UnitRatio:
			return fmt.Sprintf("%.3g %%", 100*v)
		case models.UnitNanos:
			return time.Duration(v).String()
		case models.UnitMillis, models.UnitSeconds:
			return fmt.Sprintf("%.4g %s", v, f.Unit)
		case models.UnitCount:
			if v >= 0 && v == float64(uint64(v)) {
				return inspect.Number(uint64(v))
			}
		}
		return fmt.Sprintf("%.6g", v)
	case []any:
		texts := make([]string, len(v))
		for i := range v {
			texts[i] = inspect.Escape(fmt.Sprint(v[i]))
		}
		return cmp.Or(strings.Join(texts, ", "), "none")
	case nil:
		return "none"
	}
	text := fmt.Sprint(f.Value)
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil && f.Unit == models.UnitTime {
		if at.IsZero() {
			return "never"
		}
		return ago(now, at)
	}
	return cmp.Or(inspect.Escape(text), "-")
}
