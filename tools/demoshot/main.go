// Command demoshot draws what gamelan demo prints, as a terminal shows it, for README.md:
//
//	go -C tools run ./demoshot            # run the demo, write docs/demo.txt and docs/demo.svg
//	go -C tools run ./demoshot -check     # exit 1 when docs/demo.svg is not the picture of docs/demo.txt
//
// Ids, ports and times are those of the run.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	root := flag.String("root", "..", "root of the repository")
	check := flag.Bool("check", false, "change nothing, fail when the picture is stale")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "demoshot:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	text, picture := filepath.Join(root, "docs/demo.txt"), filepath.Join(root, "docs/demo.svg")
	if check {
		recorded, err := os.ReadFile(text)
		if err != nil {
			return err
		}
		kept, err := os.ReadFile(picture)
		if err != nil {
			return err
		}
		if string(kept) != draw(string(recorded)) {
			return errors.New("docs/demo.svg is not the picture of docs/demo.txt: go -C tools run ./demoshot")
		}
		return nil
	}
	demo := exec.Command("go", "run", "./cmd/gamelan", "demo")
	demo.Dir, demo.Stderr = root, os.Stderr
	out, err := demo.Output()
	if err != nil {
		return fmt.Errorf("gamelan demo: %w", err)
	}
	if err := os.WriteFile(text, out, 0o644); err != nil {
		return err
	}
	return os.WriteFile(picture, []byte(draw(string(out))), 0o644)
}
