package mux

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// journal is the library's logger. A peer can provoke one line per frame, so journal counts
// the lines and keeps only the last one.
type journal struct {
	lines atomic.Uint64
	mu    sync.Mutex
	last  string
}

func (j *journal) Print(v ...any)                 { j.keep(fmt.Sprint(v...)) }
func (j *journal) Printf(format string, v ...any) { j.keep(fmt.Sprintf(format, v...)) }
func (j *journal) Println(v ...any)               { j.keep(fmt.Sprintln(v...)) }

func (j *journal) keep(line string) {
	j.lines.Add(1)
	j.mu.Lock()
	j.last = strings.TrimSpace(line)
	j.mu.Unlock()
}

func (j *journal) snapshot() (lines uint64, last string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines.Load(), j.last
}
