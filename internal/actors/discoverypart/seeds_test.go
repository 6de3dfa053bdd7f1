package discoverypart

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// resolver answers with these records.
type resolver map[string][]string

func (r resolver) LookupTXT(_ context.Context, name string) ([]string, error) {
	if list, ok := r[name]; ok {
		return list, nil
	}
	return nil, errors.New("no such host")
}

// TestLookUpSeeds reads records of every kind: texts that name no seed are counted, and an
// answer cannot point the node into its own network or grow without end.
func TestLookUpSeeds(t *testing.T) {
	key := func(n int) string {
		key := secretOf(t, n).PublicKey()
		return key.String()
	}
	public, private := "/ip4/8.8.4.4/tcp/18189", "/ip4/10.0.0.1/tcp/18189"
	var many []string
	for n := range 2 * maxRecords {
		many = append(many, key(n%100)+"::"+public)
	}
	for name, test := range map[string]struct {
		records    []string
		test       bool
		seeds, bad int
		addresses  int // of the first seed
	}{
		"one":                  {records: []string{key(1) + "::" + public}, seeds: 1, addresses: 1},
		"with space around it": {records: []string{"  " + key(1) + "::" + public + " "}, seeds: 1, addresses: 1},
		"not a seed":           {records: []string{"v=spf1 -all", "", key(1), "::" + public}, bad: 4},
		"private":              {records: []string{key(1) + "::" + private}, bad: 1},
		"private too":          {records: []string{key(1) + "::" + private + "::" + public}, seeds: 1, addresses: 1},
		"private, to test":     {records: []string{key(1) + "::" + private}, test: true, seeds: 1, addresses: 1},
		"many":                 {records: many, seeds: maxNamed, addresses: 1},
	} {
		found, err := lookUpSeeds(t.Context(), resolver{"seeds.example": test.records}, []string{"none.example", "seeds.example"}, test.test)
		if err == nil || len(found.seeds) != test.seeds || found.bad != test.bad {
			t.Errorf("%s: got %d seeds, %d bad records and %v, want %d, %d and an error of the other name", name, len(found.seeds), found.bad, err, test.seeds, test.bad)
			continue
		}
		if test.seeds > 0 && len(found.seeds[0].Addresses) != test.addresses {
			t.Errorf("%s: got %d addresses, want %d", name, len(found.seeds[0].Addresses), test.addresses)
		}
	}
	if found, err := lookUpSeeds(t.Context(), nil, nil, false); err != nil || fmt.Sprint(found) != "{[] 0}" {
		t.Errorf("without names: got %v, %v", found, err)
	}
}
