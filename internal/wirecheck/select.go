package wirecheck

import (
	"fmt"
	"slices"
	"strings"
)

// Checks returns all checks, in the order in which a connection is made.
func Checks() []Check {
	return slices.Concat(
		firstByteChecks(), noiseChecks(), identityChecks(), refusalChecks(),
		muxChecks(), negotiationChecks(), messagingChecks(), joinChecks(), discoveryChecks(), peersChecks(),
		storedChecks(),
	)
}

// Groups returns the groups of the checks, in order.
func Groups(checks []Check) []string {
	var groups []string
	for _, c := range checks {
		if g := c.group(); !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

func (c Check) group() string {
	g, _, _ := strings.Cut(c.Name, ".")
	return g
}

// UnknownError reports an entry of a list that selects no check.
type UnknownError struct{ Entry string }

// Error names the entry.
func (e *UnknownError) Error() string { return fmt.Sprintf("no check is called %q", e.Entry) }

// Select returns those checks that an entry of the list names: a name, a group,
// or an item such as "comms 22". An entry that names none is an
// *[UnknownError].
func Select(checks []Check, list []string) ([]Check, error) {
	chosen := make([]bool, len(checks))
	for _, entry := range list {
		found := false
		for i, c := range checks {
			if c.is(strings.TrimSpace(entry)) {
				chosen[i], found = true, true
			}
		}
		if !found {
			return nil, &UnknownError{entry}
		}
	}
	var some []Check
	for i, c := range checks {
		if chosen[i] {
			some = append(some, c)
		}
	}
	return some, nil
}

func (c Check) is(entry string) bool {
	return entry == c.Name || entry == c.group() || slices.Contains(c.items(), compact(entry))
}

// items lists the items of the check one by one, without spaces: "comms22",
// "V4".
func (c Check) items() []string {
	var items []string
	for area := range strings.SplitSeq(c.Rules, ";") {
		name, numbers, _ := strings.Cut(strings.TrimSpace(area), " ")
		for n := range strings.SplitSeq(numbers, ",") {
			items = append(items, name+strings.TrimSpace(n))
		}
	}
	return items
}

func compact(s string) string { return strings.Join(strings.Fields(s), "") }
