package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// Samples returns the metrics of a node at this moment, ordered by name and labels: those of
// Options.Metrics, of its health and of its actors. The number of them does not depend on how many
// peers and actors there are, and no label has a text that a stranger has chosen. It takes at most 5 s.
//
// The error says what is missing because of a bug: wrong tags of a field, or a part that panicked or does not
// answer. All else is there.
func Samples(ctx context.Context, o Options) ([]models.Sample, error) {
	var all []models.Sample
	var wrong []error
	whose := make(map[string]int) // the value that has a metric, by the metric's name
	const reported = -1
	for i, v := range o.measured(ctx) {
		list, err := models.Measure(v)
		if of, ok := v.(error); ok {
			err = of
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		for _, s := range list {
			name := s.Metric.Name
			if first, ok := whose[name]; ok && first != i {
				if first != reported {
					wrong = append(wrong, fmt.Errorf("inspect: the metric %s is that of two parts", name))
				}
				whose[name] = reported
				continue
			}
			whose[name] = i
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b models.Sample) int {
		return cmp.Or(cmp.Compare(a.Metric.Name, b.Metric.Name), slices.Compare(a.Labels, b.Labels))
	})
	return all, errors.Join(wrong...)
}

// Metrics returns which metrics a node has, by name. The error names the fields whose tags are wrong.
func Metrics(ctx context.Context, o Options) ([]models.Metric, error) {
	all := make(map[string]models.Metric)
	var wrong []error
	for _, v := range o.measured(ctx) {
		list, err := models.MetricsOf(v)
		if err != nil {
			wrong = append(wrong, err)
		}
		for _, m := range list {
			if _, ok := all[m.Name]; ok {
				wrong = append(wrong, fmt.Errorf("inspect: the metric %s is that of two parts", m.Name))
			}
			all[m.Name] = m
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b models.Metric) int { return cmp.Compare(a.Name, b.Name) }), errors.Join(wrong...)
}

// measured returns the values that have the metrics.
func (o *Options) measured(ctx context.Context) (all []any) {
	if o.Metrics != nil {
		all = o.Metrics(ctx)
	}
	actors := o.actorMetrics()
	return append(all, actors, o.conditions(ctx, actors))
}

// actorMetrics are the metrics of the actors of a node.
type actorMetrics struct {
	Actors  int     `metric:"actors" help:"Actors of the node."`
	Waiting int     `metric:"actor_messages_waiting" help:"Messages that wait in mailboxes of actors."`
	Deepest int     `metric:"actor_queue_depth_max" help:"Messages that wait in the fullest mailbox of an actor."`
	Oldest  float64 `unit:"s" metric:"actor_oldest_message_age_seconds" help:"Age of the oldest message that waits in a mailbox, at least."`
	Stuck   int     `metric:"actors_stuck" help:"Actors that have worked on one message for more than 10 s."`
	Failed  int     `metric:"actors_failed" help:"Actors that have failed, and were not started again."`
}

func (o *Options) actorMetrics() *actorMetrics {
	if o.Source == nil {
		return nil
	}
	m := new(actorMetrics)
	list := o.Source.Actors()
	for i := range list {
		a := &list[i]
		m.Actors++
		m.Waiting += a.Mailbox.Depth
		m.Deepest = max(m.Deepest, a.Mailbox.Depth)
		m.Oldest = max(m.Oldest, float64(a.Mailbox.OldestAgeMS)/1e3)
		switch a.State {
		case Stuck:
			m.Stuck++
		case Failed:
			m.Failed++
		}
	}
	return m
}

// conditionMetrics are the health of a node, and what is wrong with it.
type conditionMetrics struct {
	State map[string]bool `metric:"health_state" by:"state" help:"1 for the state of the node's health, 0 for the other states."`
	Codes map[string]bool `metric:"condition" by:"code" help:"1 while that is wrong with the node, else 0; trouble.md lists the codes."`
}

// MetricValues returns the states of health, and the codes of what can be wrong with a node.
func (*conditionMetrics) MetricValues(label string) (list []string) {
	switch label {
	case "state":
		return []string{string(models.HealthOK), string(models.HealthDegraded), string(models.HealthFailed)}
	case "code":
		for c := range codes.All() {
			if c.Severity != models.Failure { // that is of a message
				list = append(list, c.Name)
			}
		}
	}
	return list
}

// conditions returns what is wrong with a node.
func (o *Options) conditions(ctx context.Context, actors *actorMetrics) *conditionMetrics {
	m := &conditionMetrics{State: make(map[string]bool), Codes: make(map[string]bool)}
	for _, label := range []string{"state", "code"} {
		of := map[string]map[string]bool{"state": m.State, "code": m.Codes}[label]
		for _, name := range m.MetricValues(label) {
			of[name] = false
		}
	}
	ask := func(what func(context.Context) models.Notices) (list models.Notices) {
		if what == nil {
			return nil
		}
		list = what(ctx)
		for _, n := range list {
			name := n.Code
			if _, ok := m.Codes[name]; !ok { // of a program's part
				name = models.OtherValue
			}
			m.Codes[name] = true
		}
		return list
	}
	failed, degraded := ask(o.Health), ask(o.Degraded)
	ask(o.Warnings)
	m.State[string(models.StateOf(failed, degraded))] = true
	if actors != nil {
		m.Codes[codes.ActorStuck.Name] = actors.Stuck > 0
		m.Codes[codes.ActorFailed.Name] = actors.Failed > 0
	}
	return m
}
