package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan/internal/waittest"
)

// programs is where the examples were built; "": they were not.
var programs string

func TestMain(m *testing.M) {
	waittest.Parallel()
	code := m.Run()
	if programs != "" {
		os.RemoveAll(programs)
	}
	os.Exit(code)
}

// alone are the examples that are linked by themselves: TestExampleBroken reads names of types
// of the package main.
var alone = []string{"broken"}

// built builds the examples. To link takes most of the time, so that all but those alone are linked as one
// program. With GAMELAN_LONG each is linked by itself, as its reader does it.
var built = sync.OnceValue(func() (err error) {
	if programs, err = os.MkdirTemp("", "gamelan-examples"); err != nil {
		return err
	}
	if os.Getenv("GAMELAN_LONG") != "" {
		return goBuild("./...")
	}
	overlay, linked, err := joined()
	if err != nil {
		return err
	}
	args := []string{"-overlay", overlay, "./" + joinedName}
	for _, example := range alone {
		args = append(args, "./"+example)
	}
	if err := goBuild(args...); err != nil {
		return err
	}
	for _, example := range linked {
		if err := os.Link(filepath.Join(programs, joinedName), filepath.Join(programs, example)); err != nil {
			return err
		}
	}
	return nil
})

func goBuild(args ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-ldflags=-s -w", "-o", programs + string(filepath.Separator)}, args...)...)
	cmd.Dir = "../examples"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// joinedName is the folder of the program that is all examples. It is only in the overlay.
const joinedName = "joined"

var packageMain = regexp.MustCompile(`(?m)^package main$`)

// joined writes an overlay in which each example is a package whose Main is its main, and a
// program that is the example by whose name it was started.
func joined() (overlay string, linked []string, err error) {
	root, err := filepath.Abs("../examples")
	if err != nil {
		return "", nil, err
	}
	replaced := map[string]string{}
	replace := func(file string, text []byte) error {
		at := filepath.Join(programs, fmt.Sprint(len(replaced), ".overlay"))
		replaced[filepath.Join(root, file)] = at
		return os.WriteFile(at, text, 0o600)
	}
	mains, err := filepath.Glob(filepath.Join(root, "*", "main.go"))
	if err != nil {
		return "", nil, err
	}
	var imports, cases bytes.Buffer
	for _, file := range mains {
		example := filepath.Base(filepath.Dir(file))
		if slices.Contains(alone, example) {
			continue
		}
		linked = append(linked, example)
		fmt.Fprintf(&imports, "\t%[1]s_ \"github.com/gamelan-p2p/gamelan/examples/%[1]s\"\n", example)
		fmt.Fprintf(&cases, "\tcase %[1]q:\n\t\t%[1]s_.Main()\n", example)
		files, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.go"))
		if err != nil {
			return "", nil, err
		}
		for _, f := range files {
			source, err := os.ReadFile(f)
			if err != nil {
				return "", nil, err
			}
			source = packageMain.ReplaceAll(source, []byte("package "+example))
			if err := replace(filepath.Join(example, filepath.Base(f)), source); err != nil {
				return "", nil, err
			}
		}
		if err := replace(filepath.Join(example, "joined.go"), []byte("package "+example+"\n\n// Main is the program.\nfunc Main() { main() }\n")); err != nil {
			return "", nil, err
		}
	}
	main := fmt.Sprintf("package main\n\nimport (\n\t\"os\"\n\t\"path/filepath\"\n\t\"strings\"\n\n%s)\n\nfunc main() {\n\tswitch strings.TrimSuffix(filepath.Base(os.Args[0]), \".exe\") {\n%s\t}\n}\n", &imports, &cases)
	if err := replace(filepath.Join(joinedName, "main.go"), []byte(main)); err != nil {
		return "", nil, err
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", nil, err
	}
	overlay = filepath.Join(programs, "overlay.json")
	return overlay, linked, os.WriteFile(overlay, text, 0o600)
}

// build returns the program of an example.
func build(t *testing.T, example string) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programs, example)
}
