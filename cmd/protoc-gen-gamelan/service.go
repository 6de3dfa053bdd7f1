package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gamelan-p2p/gamelan/protocol"
)

// service is a service of a .proto file with what its comments say.
type service struct {
	*protogen.Service
	protocol protocol.ID
	methods  []method // by number, so that their order in the file does not matter
}

type method struct {
	*protogen.Method
	number uint32
}

// Directives in comments.
const (
	protocolDirective = "gamelan:protocol"
	methodDirective   = "gamelan:method"
	reservedDirective = "gamelan:reserved"
)

// readService reads the comments of a service. The error names every fault with its line,
// and says what to write.
func readService(file *protogen.File, s *protogen.Service) (service, error) {
	read := service{Service: s}
	var faults []error
	fault := func(d protoreflect.Descriptor, format string, args ...any) {
		line := file.Desc.SourceLocations().ByDescriptor(d).StartLine + 1
		faults = append(faults, fmt.Errorf("%s:%d: %s", file.Desc.Path(), line, fmt.Sprintf(format, args...)))
	}
	switch ids := directives(s.Comments, protocolDirective); {
	case len(ids) != 1:
		fault(s.Desc, `service %s needs one protocol id, by which peers know it: write "// %s /%s/1" above it`, s.Desc.Name(), protocolDirective, strings.ReplaceAll(string(s.Desc.FullName()), ".", "/"))
	default:
		read.protocol = protocol.ID(ids[0])
		if err := read.protocol.Validate(); err != nil {
			fault(s.Desc, "service %s: %v", s.Desc.Name(), err)
		}
	}
	taken := make(map[uint32]string)
	for _, list := range directives(s.Comments, reservedDirective) {
		for text := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ' ' || r == ',' }) {
			n, ok := number(text)
			if !ok {
				fault(s.Desc, "service %s reserves %q, which is not a number from 1 to %d", s.Desc.Name(), text, uint32(math.MaxUint32))
			}
			taken[n] = "reserved"
		}
	}
	for _, m := range s.Methods {
		numbers := directives(m.Comments, methodDirective)
		if len(numbers) != 1 {
			continue // said below, when all numbers are known
		}
		n, ok := number(numbers[0])
		if !ok {
			fault(m.Desc, "method %s has %q, which is not a number from 1 to %d", m.Desc.Name(), numbers[0], uint32(math.MaxUint32))
			continue
		}
		if other, ok := taken[n]; ok {
			fault(m.Desc, "method %s has number %d, which is %s; give a new method the number %d", m.Desc.Name(), n, other, free(taken))
			continue
		}
		taken[n] = "that of " + string(m.Desc.Name())
		read.methods = append(read.methods, method{m, n})
	}
	for _, m := range s.Methods {
		if len(directives(m.Comments, methodDirective)) != 1 {
			n := free(taken)
			fault(m.Desc, `method %s needs one number, by which peers call it: write "// %s %d" above it`, m.Desc.Name(), methodDirective, n)
			taken[n] = "that of " + string(m.Desc.Name())
		}
	}
	slices.SortFunc(read.methods, func(a, b method) int { return cmp.Compare(a.number, b.number) })
	return read, errors.Join(faults...)
}

// free returns the number after the largest that is taken.
func free(taken map[uint32]string) uint32 {
	n := uint32(0)
	for t := range taken {
		n = max(n, t)
	}
	return n + 1
}

func number(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && n > 0
}

// directives returns what stands behind a word at the beginning of lines of the comments.
func directives(c protogen.CommentSet, word string) (found []string) {
	for _, text := range []protogen.Comments{c.Leading, c.Trailing} {
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), word); ok && (rest == "" || rest[0] == ' ') {
				found = append(found, strings.TrimSpace(rest))
			}
		}
	}
	return found
}

// documentation returns the leading comment without directives.
func documentation(c protogen.CommentSet) protogen.Comments {
	var kept []string
	for line := range strings.Lines(string(c.Leading)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "gamelan:") {
			kept = append(kept, strings.TrimSuffix(line, "\n"))
		}
	}
	for len(kept) > 0 && strings.TrimSpace(kept[len(kept)-1]) == "" {
		kept = kept[:len(kept)-1]
	}
	if len(kept) == 0 {
		return ""
	}
	return protogen.Comments(strings.Join(kept, "\n") + "\n")
}
