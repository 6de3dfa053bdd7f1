package trunk

import (
	"fmt"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/codes"
	"github.com/gamelan-p2p/gamelan/inspect/models"
)

// maxNamed is how many peers or sources with the same problem get a notice each.
const maxNamed = 5

// NoticeEach returns a notice for each of the first 5 entries. One more, of the same code, says how
// many others there are.
func NoticeEach[T any](all []T, notice func(T) models.Notice, code *codes.Code, others string) (list models.Notices) {
	for _, one := range all[:min(len(all), maxNamed)] {
		list = append(list, notice(one))
	}
	if more := len(all) - maxNamed; more > 0 {
		v := code.Notice(fmt.Sprintf("%s more %s", inspect.Number(uint64(more)), others))
		v.Step = "" // said above
		list = append(list, v)
	}
	return list
}
