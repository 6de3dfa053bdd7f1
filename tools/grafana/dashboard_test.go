// Package grafana holds the dashboard of packaging against the types of Grafana.
package grafana

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

const file = "../../packaging/grafana/gamelan.json"

// strict reads a dashboard, and refuses what Grafana's types do not have or need.
func strict(b []byte) (d dashboard.Dashboard, err error) {
	var held dashboard.Dashboard // without its panels: the SDK takes an empty list of errors for one, and leaves them out
	if err := held.UnmarshalJSONStrict(b); err != nil && err.Error() != "" {
		return d, err
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, err
	}
	if err := d.Validate(); err != nil && err.Error() != "" {
		return d, err
	}
	return d, nil
}

// TestDashboard: each field of the dashboard is one that Grafana knows, with its panels and queries.
func TestDashboard(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := strict(b)
	if err != nil {
		t.Fatalf("got\n%v\nwant a dashboard", err)
	}
	panels, queries := 0, 0
	for _, p := range d.Panels {
		if p.Panel == nil {
			continue
		}
		panels++
		for _, q := range p.Panel.Targets {
			if q.DataqueryType() == "prometheus" {
				queries++
			}
		}
		if strings.TrimSpace(p.Panel.Type) == "" {
			t.Errorf("panel %d has no type", panels)
		}
	}
	if panels < 10 || queries < panels/2 {
		t.Errorf("got %d panels with %d queries of Prometheus, want those of the file", panels, queries)
	}
}

// TestDashboardIsHeldStrictly: a field that Grafana does not know is an error, in a panel as well.
func TestDashboardIsHeldStrictly(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(map[string]any){
		"the dashboard": func(d map[string]any) { d["titel"] = "x" },
		"a panel":       func(d map[string]any) { d["panels"].([]any)[0].(map[string]any)["targts"] = []any{} },
		"a type":        func(d map[string]any) { d["schemaVersion"] = "38" },
	} {
		var d map[string]any
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatal(err)
		}
		spoil(d)
		bad, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := strict(bad); err == nil {
			t.Errorf("%s: got no error of what Grafana does not know", name)
		}
	}
}
