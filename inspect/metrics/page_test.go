package metrics_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/metrics"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md")

const page, mark = "../../docs/metrics.md", "<!-- The table follows; go test ./inspect/metrics -update writes it. -->\n"

// table returns all metrics that a node can have. Those of a subsystem that is switched off are among them.
func table(t *testing.T) []models.Metric {
	t.Helper()
	n, err := gamelan.Start(t.Context(), gamelan.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close(t.Context())
	all, err := inspect.Metrics(t.Context(), n.Inspection().Options)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPage: docs/metrics.md has a row for each metric.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n")
	for _, m := range table(t) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Kind, m.Unit, labels(&m), setting.ReplaceAllString(m.Help, "`$0`"))
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rows, ok := strings.Cut(string(text), mark)
	if !ok {
		t.Fatal("the page has no mark")
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+mark+b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if rows != b.String() {
		t.Error("docs/metrics.md is not as the metrics; run this test with -update")
	}
}

// setting is a setting in the text of a metric.
var setting = regexp.MustCompile(`\b(connections|health|inbox|limits|saf)\.[a-z_]+\b`)

// labels returns the labels of a metric with their values, as the page has them.
func labels(m *models.Metric) string {
	var all []string
	for _, l := range m.Labels {
		text := "`" + l.Name + "`: "
		switch l.Name {
		case "version":
			text += "that of Gamelan"
		case "code":
			text += "see [trouble.md](trouble.md), or other"
		default:
			text += strings.Join(l.Values, ", ")
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// units are the words in which the name of a metric may end because of what it counts.
var plain = regexp.MustCompile(`(seconds|bytes|ratio|milliseconds|ms|kib|percent)(_total)?$`)

// TestNames: each metric has a help, a unit in its name, and labels with few values.
func TestNames(t *testing.T) {
	all := table(t)
	for i := range all {
		m := &all[i]
		if m.Help == "" || strings.Count(m.Help, ".") > strings.Count(m.Help, "health.")+strings.Count(m.Help, "max_")+4 {
			t.Errorf("%s: got the help %q, want a sentence", m.Name, m.Help)
		}
		if (m.Unit != "") != plain.MatchString(m.Name) {
			t.Errorf("%s: got the unit %q, want it in the name, and none in a name without", m.Name, m.Unit)
		}
		if (m.Kind == models.Counter) != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s is a %s", m.Name, m.Kind)
		}
		series := 1
		for _, l := range m.Labels {
			series *= len(l.Values)
			if slices.Contains([]string{"peer", "actor", "node", "id", "key", "addr", "address", "topic", "name"}, l.Name) {
				t.Errorf("%s has the label %s", m.Name, l.Name)
			}
		}
		if series == 0 || series > 100 {
			t.Errorf("%s can have %d series", m.Name, series)
		}
	}
	if len(all) < 60 {
		t.Errorf("got %d metrics, want all", len(all))
	}
}

// named are the names of metrics in an expression.
var named = regexp.MustCompile(`\b(gamelan|process|go|up)(_[a-z0-9]+)*\b`)

// TestRulesName: each metric that an alert or the dashboard names exists, and the labels that they look for have such values.
func TestRulesName(t *testing.T) {
	known := map[string]bool{"up": true, "process_open_fds": true, "process_max_fds": true, "process_resident_memory_bytes": true, "go_goroutines": true}
	values := make(map[string][]string)
	for _, m := range table(t) {
		known[m.Name] = true
		if m.Kind == models.Histograms {
			known[m.Name+"_bucket"], known[m.Name+"_sum"], known[m.Name+"_count"] = true, true, true
		}
		for _, l := range m.Labels {
			values[m.Name+" "+l.Name] = l.Values
		}
	}
	alerts, err := os.ReadFile("../../packaging/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var exprs []string
	for line := range strings.Lines(string(alerts)) {
		if expr, ok := strings.CutPrefix(strings.TrimSpace(line), "expr: "); ok || strings.Contains(line, "(rate(") {
			exprs = append(exprs, expr)
		}
	}
	if n := strings.Count(string(alerts), "- alert: "); len(exprs) < n || n < 10 {
		t.Fatalf("got %d expressions of %d alerts", len(exprs), n)
	}
	exprs = append(exprs, dashboard(t)...)
	matcher := regexp.MustCompile(`(gamelan_[a-z_]+)\{[^}]*?(\w+)=~?"([^"$]+)"`)
	for _, expr := range exprs {
		bare := regexp.MustCompile(`"[^"]*"|\b(by|without|on) \([^)]*\)|\{\{.*?\}\}`).ReplaceAllString(expr, "")
		for _, name := range named.FindAllString(bare, -1) {
			if !known[name] {
				t.Errorf("%s: there is no metric %s", expr, name)
			}
		}
		for _, m := range matcher.FindAllStringSubmatch(expr, -1) {
			for value := range strings.SplitSeq(m[3], "|") {
				if !slices.Contains(values[m[1]+" "+m[2]], value) {
					t.Errorf("%s: the label %s of %s has no value %s", expr, m[2], m[1], value)
				}
			}
		}
	}
}

// dashboard returns the expressions of the dashboard, which must be as Grafana loads it.
func dashboard(t *testing.T) (exprs []string) {
	t.Helper()
	b, err := os.ReadFile("../../packaging/grafana/gamelan.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Title         string
		UID           string
		SchemaVersion int
		Templating    struct{ List []struct{ Name, Type string } }
		Panels        []struct {
			ID         int
			Type       string
			Title      string
			GridPos    struct{ X, Y, W, H int }
			Datasource struct{ Type, UID string }
			Targets    []struct{ RefID, Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" || d.SchemaVersion < 36 || len(d.Templating.List) != 2 || d.Templating.List[0].Type != "datasource" {
		t.Errorf("got %+v, want a title, a uid and the variables of the source and the nodes", d)
	}
	ids := make(map[int]bool)
	var taken [100][24]bool
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || !slices.Contains([]string{"timeseries", "stat"}, p.Type) || p.Datasource.Type != "prometheus" || p.Datasource.UID != "${source}" {
			t.Errorf("got the panel %+v, want an id of its own, a title, a type and the source of the variable", p)
		}
		ids[p.ID] = true
		for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				if taken[y][x] {
					t.Fatalf("the panel %q lies on another", p.Title)
				}
				taken[y][x] = true
			}
		}
		refs := make(map[string]bool)
		for _, q := range p.Targets {
			if refs[q.RefID] || q.RefID == "" || q.Expr == "" || q.LegendFormat == "" {
				t.Errorf("panel %q: got the query %+v", p.Title, q)
			}
			refs[q.RefID] = true
			exprs = append(exprs, q.Expr)
		}
	}
	if len(exprs) < 15 {
		t.Errorf("got %d queries, want all", len(exprs))
	}
	return exprs
}

// TestAlertsPage: docs/operating.md names each alert, and no other.
func TestAlertsPage(t *testing.T) {
	alerts, err := os.ReadFile("../../packaging/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("../../packaging/prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	operating, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	var are, told []string
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(alerts), -1) {
		are = append(are, m[1])
		if n := strings.Count(string(tests), "alertname: "+m[1]); n < 2 {
			t.Errorf("%s: got %d tests, want one that it fires and one that it does not", m[1], n)
		}
	}
	for _, m := range regexp.MustCompile("`(Gamelan[A-Z]\\w+)`").FindAllStringSubmatch(string(operating), -1) {
		told = append(told, m[1])
	}
	slices.Sort(are)
	slices.Sort(told)
	if !slices.Equal(are, told) {
		t.Errorf("got the alerts %q, and the page has %q", are, told)
	}
}

// BenchmarkScrape measures one scrape of a node with two peers.
func BenchmarkScrape(b *testing.B) {
	hears := gamelan.WithMessages(func(context.Context, gamelan.Message) error { return nil })
	start := func(opts ...gamelan.Option) *gamelan.Node {
		n, err := gamelan.Start(b.Context(), gamelan.Config{}, opts...)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { n.Close(context.Background()) })
		return n
	}
	n := start(hears)
	for range 2 {
		peer := start(hears)
		if _, err := peer.DialAt(b.Context(), n.Seed()); err != nil {
			b.Fatal(err)
		}
		if _, err := peer.Send(b.Context(), n.ID(), []byte("hello")); err != nil {
			b.Fatal(err)
		}
	}
	h := metrics.Handler(n.Inspection().Options, nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil)); w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
		b.ReportMetric(float64(w.Body.Len()), "bytes/scrape")
	}
}
