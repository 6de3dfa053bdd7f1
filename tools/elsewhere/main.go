// Elsewhere type-checks a module, tests included, for other systems than this machine's:
//
//	go -C tools run ./elsewhere windows/amd64 darwin/arm64
//	go -C tools run ./elsewhere -in ../bench linux/amd64
//
// It reads all that the module needs from source, so nothing is compiled: a release compiles.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	in := flag.String("in", "..", "the module's directory")
	flag.Parse()
	if err := run(os.Stderr, *in, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "elsewhere:", err)
		os.Exit(1)
	}
}

// run reports what does not type-check in root on out, once for each system that it is an error of.
func run(out io.Writer, root string, systems []string) error {
	errors := 0
	for _, system := range systems {
		goos, goarch, ok := strings.Cut(system, "/")
		if !ok {
			return fmt.Errorf("%q is no system; say one as windows/amd64", system)
		}
		all, err := packages.Load(&packages.Config{
			Dir: root, Tests: true, Env: append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"),
			Mode: packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedTypes |
				packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedDeps,
		}, "./...")
		if err != nil {
			return err
		}
		said := map[string]bool{} // a file is in a package and in its tests
		packages.Visit(all, nil, func(p *packages.Package) {
			for _, e := range p.Errors {
				if line := e.Error(); !said[line] {
					said[line] = true
					fmt.Fprintf(out, "%s: %s\n", system, line)
				}
			}
		})
		errors += len(said)
	}
	if errors > 0 {
		return fmt.Errorf("%d errors", errors)
	}
	return nil
}
