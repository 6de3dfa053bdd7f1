package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
)

// narrowCode is the exit code of narrow for lines that are too wide.
const narrowCode = 97

// mayBeWide matches what is to be copied, and is not broken or cut: a public key, also with
// addresses, a command line, and a word that stands alone, such as a path.
var mayBeWide = regexp.MustCompile(`[0-9a-f]{64}|"gamelan [^"]*"|: gamelan |^\s*\S+$`)

// narrow is gamelan on a terminal of NARROW_COLUMNS columns, 80 without it. It ends with narrowCode if a line is wider
// and has nothing that is to be copied, or if --json has cut something.
func narrow() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	narrowColumns, err := strconv.Atoi(os.Getenv("NARROW_COLUMNS"))
	if err != nil {
		narrowColumns = 80
	}
	var out, errs bytes.Buffer
	code := run(ctx, os.Args[1:], &app{in: os.Stdin, Output: &render.Output{Out: &out, Err: &errs, OutTerminal: true, ErrTerminal: true, Columns: narrowColumns}})
	for _, text := range []string{out.String(), errs.String()} {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if i := strings.LastIndex(line, "\x1b[K"); i >= 0 { // a line of progress replaces itself
				line = line[i+len("\x1b[K"):]
			}
			if n := utf8.RuneCountInString(line); n > narrowColumns && !mayBeWide.MatchString(line) && !strings.HasPrefix(line, "{") {
				fmt.Fprintf(os.Stderr, "too wide, %d characters: %s\n", n, line)
				code = narrowCode
			}
		}
	}
	os.Stdout.Write(out.Bytes())
	os.Stderr.Write(errs.Bytes())
	os.Exit(code)
}
