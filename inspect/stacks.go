package inspect

import (
	"bufio"
	"bytes"
	"io"
	"runtime/pprof"
	"strconv"
	"strings"
)

// ActorLabel is the pprof label by which a goroutine names the actor that it
// works for.
const ActorLabel = "actor"

// Stacks is the answer of /v1/actors/{path}/stacks: the stacks of one actor's goroutines,
// and that of its last failure.
type Stacks struct {
	Actor       string       `json:"actor"`
	Goroutines  []Goroutines `json:"goroutines"`
	LastFailure *Stack       `json:"last_failure,omitempty"`
}

// Goroutines are Count goroutines with the same labels and the same stack.
type Goroutines struct {
	Count  int               `json:"count"`
	Labels map[string]string `json:"labels"`
	Stack  []string          `json:"stack"` // innermost function first
}

// Stack is a stack that was kept when an actor failed.
type Stack struct {
	StackID string   `json:"stack_id"`
	Reason  string   `json:"reason"`
	Stack   []string `json:"stack"`
}

func stacksOf(a *Actor) Stacks {
	s := Stacks{Actor: a.ID, Goroutines: labelled(a.ID)}
	if f := a.LastFailure; f != nil && len(a.stack) > 0 {
		s.LastFailure = &Stack{f.StackID, f.Reason, strings.Split(strings.TrimSpace(string(a.stack)), "\n")}
	}
	return s
}

// labelled returns the goroutines whose pprof labels name the actor.
func labelled(actor string) []Goroutines {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return []Goroutines{}
	}
	all, err := parseProfile(&profile)
	some := []Goroutines{}
	if err != nil {
		return some
	}
	for _, g := range all {
		if g.Labels[ActorLabel] == actor {
			some = append(some, g)
		}
	}
	return some
}

// parseProfile reads the text form of the goroutine profile:
//
//	2 @ 0x44 0x55
//	# labels: {"actor":"node/peers"}
//	#	0x44	main.f+0x1f	/src/main.go:12
func parseProfile(r io.Reader) ([]Goroutines, error) {
	var all []Goroutines
	var g *Goroutines
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if n, _, ok := strings.Cut(line, " @ "); ok && !strings.HasPrefix(line, "#") {
			count, err := strconv.Atoi(n)
			if err != nil {
				continue
			}
			all = append(all, Goroutines{Count: count, Labels: map[string]string{}, Stack: []string{}})
			g = &all[len(all)-1]
			continue
		}
		if g == nil {
			continue
		}
		if labels, ok := strings.CutPrefix(line, "# labels: "); ok {
			g.Labels = parseLabels(labels)
		} else if f := strings.Split(line, "\t"); len(f) >= 4 && f[0] == "#" {
			g.Stack = append(g.Stack, strings.TrimSpace(f[2])+" "+f[len(f)-1])
		}
	}
	return all, lines.Err()
}

// parseLabels reads {"key":"value", "key":"value"} as runtime/pprof writes it,
// with Go quoting.
func parseLabels(s string) map[string]string {
	labels := map[string]string{}
	s = strings.TrimPrefix(s, "{")
	for {
		s = strings.TrimLeft(s, ", ")
		key, rest, ok := cutQuoted(s)
		if !ok || !strings.HasPrefix(rest, ":") {
			return labels
		}
		value, rest, ok := cutQuoted(rest[1:])
		if !ok {
			return labels
		}
		labels[key], s = value, rest
	}
}

func cutQuoted(s string) (value, rest string, ok bool) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", s, false
	}
	value, err = strconv.Unquote(quoted)
	return value, s[len(quoted):], err == nil
}
