package harness

// Relation says what a [Target] compares.
type Relation string

const (
	Ratio      Relation = "×" // the case's figure divided by the anchor's
	Difference Relation = "+" // the case's figure minus the anchor's
	Absolute   Relation = "=" // the figure itself
)

// Target is one line of the table: a product case held against its anchor.
// It informs, and never fails a run: timings are no test.
type Target struct {
	ID       string
	Case     string
	Metric   string
	Relation Relation
	Against  []string // anchors, in the same round; their figures are added up
	Best     bool     // instead the best of their figures counts: the largest if AtLeast, else the smallest
	AtLeast  bool     // the figure shall be large; otherwise small
	Bound    float64
	Stretch  float64 // 0: none
}

// TargetResult is the outcome of one Target over the rounds.
type TargetResult struct {
	Target
	Measured bool
	Spread   Spread
}

// Judge forms the figure of each target inside every round that has all its
// parts, and summarises them.
func Judge(targets []Target, groups []GroupResult) []TargetResult {
	byName := map[string]CaseResult{}
	for _, g := range groups {
		for _, c := range g.Cases {
			byName[c.Name] = c
		}
	}
	results := make([]TargetResult, 0, len(targets))
	for _, t := range targets {
		var values []float64
		for round, s := range byName[t.Case].Samples {
			v, ok := s[t.Metric]
			if !ok {
				continue
			}
			anchor, has := t.anchor(byName, round)
			ok = ok && has
			if !ok {
				continue
			}
			switch t.Relation {
			case Ratio:
				if anchor == 0 {
					continue
				}
				v /= anchor
			case Difference:
				v -= anchor
			}
			values = append(values, v)
		}
		r := TargetResult{Target: t}
		r.Spread, r.Measured = spread(values)
		results = append(results, r)
	}
	return results
}

// anchor is the figure that a target's case is held against in a round.
func (t Target) anchor(byName map[string]CaseResult, round int) (figure float64, ok bool) {
	for i, name := range t.Against {
		a, has := byName[name].Samples[round][t.Metric]
		switch {
		case !has:
			return 0, false
		case !t.Best:
			figure += a
		case i == 0:
			figure = a
		case t.AtLeast:
			figure = max(figure, a)
		default:
			figure = min(figure, a)
		}
	}
	return figure, true
}

// Verdict says how the median stands to the target.
func (r TargetResult) Verdict() string {
	reached := func(bound float64) bool {
		if r.AtLeast {
			return r.Spread.Median >= bound
		}
		return r.Spread.Median <= bound
	}
	switch {
	case !r.Measured:
		return "not measured"
	case r.Stretch != 0 && reached(r.Stretch):
		return "stretch"
	case reached(r.Bound):
		return "met"
	}
	return "missed"
}
