// Command sbom writes the software bill of materials of a Go program in the form CycloneDX:
// the module of the program, the toolchain, and every module that was compiled in, with its
// version and checksum.
//
//	go -C tools run ./sbom -o FILE PROGRAM
//
// All of it is read out of the program, where the Go linker put it; so the list names what
// was built, and is the same for the same program. Its time is that of the commit.
package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	to := flag.String("o", "", "the file to write; standard output without it")
	flag.Parse()
	if err := run(*to, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(to string, programs []string) error {
	if len(programs) != 1 {
		return errors.New("name one program: go -C tools run ./sbom -o FILE PROGRAM")
	}
	info, err := buildinfo.ReadFile(programs[0])
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := cdx.NewBOMEncoder(&b, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bill(info)); err != nil {
		return err
	}
	if to == "" {
		_, err = os.Stdout.Write(b.Bytes())
		return err
	}
	return os.WriteFile(to, b.Bytes(), 0o644)
}
