package trunk

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// TestNoticeEach: five are named, and the others counted.
func TestNoticeEach(t *testing.T) {
	name := func(n int) models.Notice { return models.Notice{What: fmt.Sprint(n)} }
	for n, want := range map[int][]string{
		0: {}, 1: {"0"}, 5: {"0", "1", "2", "3", "4"}, 7: {"0", "1", "2", "3", "4", "2 more do"},
	} {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		if got := NoticeEach(all, name, codes.Undecodable, "do").Texts(); !slices.Equal(got, want) {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}
