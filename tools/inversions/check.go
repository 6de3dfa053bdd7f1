package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gamelan-p2p/gamelan/tools/internal/checklist"
)

// runCheck is the check for CI: each inversion must apply and compile, and each claimed item must have one
// or be listed in missing.txt. An item with an inversion must not be listed there, so that the
// list only shrinks.
func runCheck(out io.Writer, root string, lists []*checklist.List, invs []*inversion, src *sources) error {
	missing := map[string]bool{}
	text, err := os.ReadFile(filepath.Join(root, "tools/inversions/missing.txt"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			missing[line] = true
		}
	}
	claimed, has := map[string]bool{}, map[string]bool{}
	for _, l := range lists {
		for _, n := range l.Numbers() {
			claimed[fmt.Sprintf("%s %d", l.Area, n)] = l.Items[n].Claimed
		}
	}
	problems := 0
	complain := func(format string, args ...any) {
		problems++
		fmt.Fprintf(out, format+"\n", args...)
	}
	for _, inv := range invs {
		has[inv.item()] = true
		if !claimed[inv.item()] {
			complain("%s inverts %s, which is not claimed", inv.name, inv.item())
		}
		if _, _, err := inv.bodies(src); err != nil {
			complain("%v", err)
		}
	}
	if problems == 0 {
		said, err := uncompiled(root, invs, src)
		if err != nil {
			return err
		}
		for _, s := range said {
			complain("%s", s)
		}
	}
	for _, l := range lists {
		for _, n := range l.Numbers() {
			key := fmt.Sprintf("%s %d", l.Area, n)
			switch {
			case has[key] && missing[key]:
				complain("%s has an inversion: take it out of tools/inversions/missing.txt", key)
			case claimed[key] && !has[key] && !missing[key]:
				complain("%s is claimed and has no inversion: write tools/inversions/%s/%03d.txt", key, l.Area, n)
			case missing[key] && !claimed[key]:
				complain("%s is not claimed: take it out of tools/inversions/missing.txt", key)
			}
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(out, "inversions: %d claimed items still have none\n", len(missing))
	}
	if problems > 0 {
		return fmt.Errorf("%d complaints", problems)
	}
	return nil
}
