package supervisor

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"path"
	"strings"
)

// Where returns where the panic began, such as "account.go:42": the innermost function on
// the stack that belongs neither to Go's library nor to the packages that run actors. It
// returns "" if the stack has none.
func (e *PanicError) Where() string {
	place, outside := "", false
	for _, f := range framesOf(string(e.Stack)) {
		switch {
		case f.function == "panic", f.function == "runtime.Goexit":
			if outside {
				return place // an earlier panic, further out on the stack
			}
			place, outside = "", true
		case outside && place == "" && !f.of(runsActors...):
			place = f.place
		}
	}
	return place
}

// StackID returns an id that is equal for equal stacks, and "" without a stack. It ignores
// argument values and goroutine numbers. With the node's inspector the id leads to the
// stack: see [Info] and /v1/actors/{path}/stacks.
func (e *PanicError) StackID() string {
	if len(e.Stack) == 0 {
		return ""
	}
	h := fnv.New64a()
	for line := range bytes.Lines(e.Stack) {
		if bytes.HasPrefix(line, []byte("\t")) { // "\tfile.go:12 +0x1f"
			place, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
			h.Write(place)
		}
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// stackFrame is a function on a stack. Functions of Go's library are left out, except panic
// and runtime.Goexit.
type stackFrame struct {
	function string
	place    string // file and line, without the directory
}

// runsActors are the packages whose functions only pass a panic on.
var runsActors = []string{"github.com/gamelan-p2p/gamelan/supervisor.", "github.com/asynkron/protoactor-go/"}

func (f stackFrame) of(packages ...string) bool {
	for _, p := range packages {
		if strings.HasPrefix(f.function, p) {
			return true
		}
	}
	return false
}

// framesOf reads a stack as runtime.Stack writes it, innermost function first:
//
//	main.(*account).Receive(0xc0000140a0, {0x7f0c58, 0xc00012e000})
//		/src/account.go:42 +0x1f
func framesOf(stack string) (all []stackFrame) {
	root := goRoot(stack)
	lines := strings.Split(stack, "\n")
	for i := 0; i+1 < len(lines); i++ {
		file, isPlace := strings.CutPrefix(lines[i+1], "\t")
		if !isPlace {
			continue
		}
		if strings.HasPrefix(lines[i], "created by ") {
			break
		}
		file, _, _ = strings.Cut(file, " ")
		f := stackFrame{function: lines[i], place: path.Base(file)}
		if open := strings.LastIndexByte(f.function, '('); open > 0 {
			f.function = f.function[:open]
		}
		if f.function == "panic" || f.function == "runtime.Goexit" || !strings.HasPrefix(file, root) || root == "" && !inLibrary(f.function) {
			all = append(all, f)
		}
	}
	return all
}

// goRoot returns the directory of Go's library in the paths of a stack. It is "" if the
// program was built with -trimpath.
func goRoot(stack string) string {
	const known = "runtime/panic.go:"
	end := strings.Index(stack, known)
	if end < 0 {
		return ""
	}
	return stack[strings.LastIndexByte(stack[:end], '\t')+1 : end]
}

// inLibrary reports whether a function seems to be of Go's library: the first element of
// its import path has no dot.
func inLibrary(function string) bool {
	dir, rest, deep := strings.Cut(function, "/")
	if !deep {
		dir, _, _ = strings.Cut(rest+dir, ".")
		return dir != "main"
	}
	return !strings.Contains(dir, ".")
}
