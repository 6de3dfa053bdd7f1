package nodeview

import (
	"context"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/actors"
	"github.com/gamelan-p2p/gamelan/config"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/supervisor"
)

// TestNotOnline: which notice a node has that is not online, from how long it has been so, and whether it knows others.
func TestNotOnline(t *testing.T) {
	const limit = 2 * time.Minute
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, x := range map[string]struct {
		s    actors.Status
		deaf bool
		want string // the code and the beginning of the notice
	}{
		"online, and its last trouble was not forgotten": {actors.Status{State: "online", Nodes: 1, NotOnline: ago(time.Hour)}, false, ""},
		"offline for a minute":                           {actors.Status{State: "offline", Since: ago(time.Minute), NotOnline: ago(time.Minute)}, false, ""},
		"offline":                                        {actors.Status{State: "offline", Since: ago(limit), NotOnline: ago(limit), Tried: "no answer from x"}, false, "offline offline for 2 min: no answer from x"},
		"offline, and nothing was tried":                 {actors.Status{State: "offline", Since: ago(limit), NotOnline: ago(limit), Cause: "connected to nobody; looking for 8 more nodes"}, false, "offline offline for 2 min: connected to nobody; looking for 8 more nodes"},
		"a client has just left":                         {actors.Status{State: "offline", Since: now, NotOnline: ago(time.Hour), Cause: "connected to nobody; x"}, false, "few_nodes not online for 1 h: connected to nobody"},
		"too few":                                        {actors.Status{State: "degraded", Nodes: 1, Since: now, NotOnline: ago(limit), Cause: "connected to 1 node, at least 2 are needed"}, false, "few_nodes not online for 2 min: connected to 1 node, at least 2 are needed"},
		"alone":                                          {actors.Status{State: "offline", Alone: true, Since: ago(time.Hour), NotOnline: ago(time.Hour), Cause: "connected to nobody; x"}, false, "alone alone for 1 h: connected to nobody, and this node knows no other"},
		"alone, with a client":                           {actors.Status{State: "degraded", Alone: true, Clients: 1, Since: now, NotOnline: ago(time.Hour), Cause: "connected to 1 client but to no node"}, false, "alone alone for 1 h: connected to 1 client but to no node, and this node knows no other"},
		"alone, a client has just left":                  {actors.Status{State: "offline", Alone: true, Since: now, NotOnline: ago(time.Hour), Cause: "connected to nobody"}, false, "alone alone for 1 h: connected to nobody, and"},
		"alone, and nobody can come":                     {actors.Status{State: "offline", Alone: true, Since: ago(limit), NotOnline: ago(limit)}, true, "offline offline for 2 min: this node knows no other, and does not listen"},
	} {
		v := newView(t)
		v.Health, v.OnlyDials = config.HealthConfig{OfflineAfter: limit}, func() bool { return x.deaf }
		got := ""
		for _, n := range v.notOnline(&x.s, now) {
			got += n.Code + " " + n.What
		}
		if len(got) < len(x.want) || got[:len(x.want)] != x.want || x.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", name, got, x.want)
		}
	}
}

// TestStopped: actors that have failed or are stuck are warnings, of which the settings can make more; their number is bounded.
func TestStopped(t *testing.T) {
	v := newView(t)
	v.Health.DegradedBy = []string{"actor_failed"}
	v.Actors = func() (all []supervisor.Info) {
		for range 100 {
			all = append(all, supervisor.Info{Path: "node/x", State: supervisor.StateFailed}, supervisor.Info{Path: "node/y", State: supervisor.StateStuck, Message: "m"})
		}
		return append(all, supervisor.Info{Path: "node/z", State: "running"})
	}
	h := v.Whole(t.Context())
	if len(h.Reasons) != 6 || h.Reasons[0].Code != "actor_failed" || h.Reasons[0].What != "node/x has failed" || h.State != models.HealthDegraded {
		t.Errorf("got %+v, want actors that have failed", h)
	}
	if n := len(h.Warnings.Of(models.Warning)); n != 7 || h.Warnings[1].What != "node/y is stuck in m" {
		t.Errorf("got %d warnings, %q", n, h.Warnings.Texts())
	}
}

// TestProgramNotices: the notices of the program are in the health with their severities, and a panic of it is a notice.
func TestProgramNotices(t *testing.T) {
	v := newView(t, Program(nil, nil, []func() models.Notices{
		func() models.Notices {
			return models.Notices{{Code: "log_failed", Severity: models.Degraded, What: "a"}, {Code: "needs_restart", What: "b"}}
		},
		func() models.Notices { panic("a bug") },
	}))
	all, _ := v.All(context.Background())
	got := ""
	for _, n := range all {
		got += n.Code + " " + string(n.Severity) + ", "
		if n.Program != (n.Code != "") {
			t.Errorf("%s: Program is %v", n.Code, n.Program)
		}
	}
	part := OfProgram(actors.Part{Warnings: func() models.Notices { return models.Notices{{Code: "a"}} }})
	if list := part.Warnings(); len(list) != 1 || !list[0].Program || part.Degraded != nil {
		t.Errorf("of a part: got %+v", list)
	}
	if got != " warning, needs_restart warning, log_failed degraded, program degraded, " {
		t.Errorf("got %q", got)
	}
}
