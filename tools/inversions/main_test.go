package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const example = `Inverted: Two and two is five.

file: p/a.go
in: T.sum
- return  a + b
- }
+ return a + b + 1
+ }
`

func TestParseInversion(t *testing.T) {
	inv, err := parseInversion(example)
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.edits) != 1 || inv.sentence != "Two and two is five." {
		t.Fatalf("got %+v, want one edit", inv)
	}
	if e := inv.edits[0]; e.file != "p/a.go" || e.in != "T.sum" || e.old != "return  a + b\n}\n" || e.new != "return a + b + 1\n}\n" {
		t.Errorf("got %+v", e)
	}
	inv, err = parseInversion("Inverted: x\nfile: a\n- 1\n+ 2\n- 3\n+ 4\nin: f\n- 5\n\n- 6\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range inv.edits {
		got = append(got, strings.Join([]string{e.in, e.old, e.new}, "|"))
	}
	if s := strings.ReplaceAll(strings.Join(got, " "), "\n", ""); s != "|1|2 |3|4 f|5| f|6|" {
		t.Errorf("got %s, want four edits", s)
	}
	for _, bad := range []string{"", "Inverted: x\n", "Inverted: x\n- 1\n+ 2\n", "Inverted: x\nfile: a\n+ 2\n", "Inverted: x\nfile: a\n- 1\nthis\n", "file: a\n- 1\n"} {
		if _, err := parseInversion(bad); err == nil {
			t.Errorf("%q: got no error, want one", bad)
		}
	}
}

// repository makes a small repository: rules 1 to 3 have a test each, and the test of
// rule 2 holds whatever the code does.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                          "module example.org/p\n\ngo 1.26\n",
		"docs/conformance/list.md":        "Area: demo\nClaimed: 1-3\nLater: none\n\n1. Sum.\n2. Limit.\n3. Loop.\n",
		"tools/inversions/head.md":        "# Head\n",
		"p/a.go":                          "package p\n\nimport \"time\"\n\nconst Limit = 3\n\ntype T struct{}\n\nfunc (T) sum(a, b int) int {\n\treturn a + b\n}\n\nfunc loop(n int) (sum int) {\n\tfor i := 0; i < n; i++ {\n\t\tsum += i\n\t}\n\treturn sum\n}\n\nfunc quiet() { time.Sleep(0) }\n",
		"p/a_test.go":                     "package p\n\nimport \"testing\"\n\n// conforms: demo 1\nfunc TestSum(t *testing.T) {\n\tif (T{}).sum(2, 2) != 4 {\n\t\tt.Fatal()\n\t}\n}\n\n// conforms: demo 2\nfunc TestLimit(t *testing.T) {}\n\n// conforms: demo 2\nfunc TestLimitToo(t *testing.T) {\n\tif Limit != 3 {\n\t\tt.Fatal()\n\t}\n}\n\n// conforms: demo 3\nfunc TestLoop(t *testing.T) {\n\tif loop(3) != 3 {\n\t\tt.Fatal()\n\t}\n\tquiet()\n}\n",
		"tools/inversions/demo/001.txt":   "Inverted: Sum is one more.\n\nfile: p/a.go\nin: T.sum\n- a + b\n+ a + b + 1\n",
		"tools/inversions/demo/002.txt":   "Inverted: The limit is 4.\n\nfile: p/a.go\n- Limit   =   3\n+ Limit = 4\n",
		"tools/inversions/demo/003.txt":   "Inverted: It goes on for ever.\n\nfile: p/a.go\nin: quiet\n- time.Sleep(0)\n+ time.Sleep(time.Hour)\n",
		"tools/inversions/demo/003-b.txt": "Inverted: It does not compile.\n\nfile: p/a.go\nin: loop\n- sum += i\n+ sum += nothing\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("git", "-C", root, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return root
}

func tryAll(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	if err := run(&out, options{root: root, jobs: 2, copies: filepath.Join(root, ".copies"), grace: time.Second}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

// TestRun: a test that fails, one that cannot, one that hangs and an inversion
// that does not compile are told apart, the second run does nothing, and the
// working tree stays as it is.
func TestRun(t *testing.T) {
	root := repository(t)
	before, err := os.ReadFile(filepath.Join(root, "p/a.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := tryAll(t, root)
	for _, want := range []string{
		"demo-001: 1 of 1 failed", "demo-002: 1 of 2 failed; not: p TestLimit passed", "demo-003: 1 of 1 failed",
		"demo-003-b: does not compile: undefined: nothing", "items 3 of 3 tried, 3 killed; citations 4 of 4 tried, 3 failed",
		"did not fail: demo 2 TestLimit (p)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got no %q in\n%s", want, out)
		}
	}
	kept, _ := os.ReadFile(filepath.Join(root, "tools/inversions/results.json"))
	for _, want := range []string{`"Outcome": "failed"`, `"Why": "a_test.go:8:"`, `"Outcome": "hung"`, `"Why": "waited at a_test.go:27"`} {
		if !strings.Contains(string(kept), want) {
			t.Errorf("got no %s in\n%s", want, kept)
		}
	}
	if after, _ := os.ReadFile(filepath.Join(root, "p/a.go")); string(after) != string(before) {
		t.Error("the code was changed")
	}
	report, _ := os.ReadFile(filepath.Join(root, "docs/inversions.md"))
	for _, want := range []string{"| 2 | The limit is 4. | TestLimitToo (p) | TestLimit (p) |", "| citations | 4 | 4 | 3 | 75.0 % |"} {
		if !strings.Contains(string(report), want) {
			t.Errorf("got no %q in\n%s", want, report)
		}
	}
	if again := tryAll(t, root); strings.Contains(again, "demo-001:") || strings.Contains(again, "demo-002:") {
		t.Errorf("the second run tried again what is known:\n%s", again)
	}
	text, _ := os.ReadFile(filepath.Join(root, "p/a_test.go"))
	if err := os.WriteFile(filepath.Join(root, "p/a_test.go"), append(text, "\n// changed\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	if again := tryAll(t, root); !strings.Contains(again, "demo-001: 1 of 1 failed") {
		t.Errorf("a test has changed, and its inversion was not tried again:\n%s", again)
	}
}

// TestEnough: of the tests of an item each has to fail once, and under each
// inversion one; those that were run under another one come last.
func TestEnough(t *testing.T) {
	root := repository(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("tools/inversions/demo/002-b.txt", "Inverted: The limit is 5.\n\nfile: p/a.go\n- Limit = 3\n+ Limit = 5\n")
	write("p/b_test.go", "package p\n\nimport \"testing\"\n\n// conforms: demo 2\nfunc TestLimitAgain(t *testing.T) {\n\tif Limit > 4 {\n\t\tt.Fatal()\n\t}\n}\n")
	out := tryAll(t, root)
	for _, want := range []string{
		"demo-002: 1 of 3 failed; not: p TestLimitAgain passed, p TestLimit passed",
		"demo-002-b: 1 of 2 failed; not: p TestLimit passed", // TestLimitToo has failed before
		"citations 5 of 5 tried, 4 failed",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("got no %q in\n%s", want, out)
		}
	}
	if again := tryAll(t, root); strings.Contains(again, "demo-002") {
		t.Errorf("the second run tried again what is known:\n%s", again)
	}
}

// TestTried: a failure that the code as it is shows too says nothing, nor does one
// that the next run does not show.
func TestTried(t *testing.T) {
	test := cited{"p", "TestSum"}
	r := &runner{clean: map[cited]clean{test: {true, time.Second}}, grace: time.Minute}
	for name, tt := range map[string]struct {
		inverted, plain []outcome
		want            outcome
	}{
		"failed":                 {[]outcome{failed, failed}, []outcome{passed}, failed},
		"failed by chance":       {[]outcome{failed, passed}, []outcome{passed}, passed},
		"hung":                   {[]outcome{hung}, []outcome{passed}, hung},
		"passed":                 {[]outcome{passed}, nil, passed},
		"skipped":                {[]outcome{skipped}, nil, skipped},
		"a loaded machine":       {[]outcome{failed, passed}, []outcome{failed}, passed},
		"failed when it is calm": {[]outcome{hung, failed, failed, failed}, []outcome{hung, failed, passed}, failed},
		"fails anyway":           {[]outcome{failed, failed, hung}, []outcome{failed, hung, failed}, anyway},
	} {
		next := func(from []outcome) (func(time.Duration) ended, *int) {
			n := 0
			return func(limit time.Duration) ended {
				if limit != 64*time.Second {
					t.Errorf("%s: got a limit of %v, want 64 s", name, limit)
				}
				n++
				return ended{outcome: from[n-1]}
			}, &n
		}
		inverted, ran := next(tt.inverted)
		plain, again := next(tt.plain)
		if got := r.tried(test, inverted, plain); got.outcome != tt.want {
			t.Errorf("%s: got %s, want %s", name, got.outcome, tt.want)
		}
		if *ran != len(tt.inverted) || *again != len(tt.plain) {
			t.Errorf("%s: got %d and %d runs, want %d and %d", name, *ran, *again, len(tt.inverted), len(tt.plain))
		}
	}
}

func TestCheck(t *testing.T) {
	for name, tt := range map[string]struct{ file, text, want string }{
		"all there":           {"x", "", ""},
		"does not apply":      {"p/a.go", "package p\n", "has no function T.sum"},
		"twice":               {"tools/inversions/demo/002.txt", "Inverted: x\nfile: p/a.go\n- return\n+ return\n", `"return" 2 times, want once`},
		"does not compile":    {"tools/inversions/demo/003-b.txt", "Inverted: x\nfile: p/a.go\nin: loop\n- sum += i\n+ sum += nothing\n", "demo-003-b does not compile: a.go:15:10: undefined: nothing"},
		"an import less":      {"tools/inversions/demo/003.txt", "Inverted: x\nfile: p/a.go\nin: quiet\n- time.Sleep(0)\n+ return\n", ""},
		"missing":             {"docs/conformance/list.md", "Area: demo\nClaimed: 1-4\nLater: none\n\n1. A.\n2. B.\n3. C.\n4. D.\n", "write tools/inversions/demo/004.txt"},
		"not claimed":         {"docs/conformance/list.md", "Area: demo\nClaimed: 1-2\nLater: 3\n\n1. A.\n2. B.\n3. C.\n", "demo-003 inverts demo 3, which is not claimed"},
		"needlessly excepted": {"tools/inversions/missing.txt", "demo 1\n", "take it out of tools/inversions/missing.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			root := repository(t)
			if err := os.Remove(filepath.Join(root, "tools/inversions/demo/003-b.txt")); err != nil { // it does not compile
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, tt.file), []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := run(&out, options{root: root, check: true})
			if (err != nil) != (tt.want != "") || !strings.Contains(out.String(), tt.want) {
				t.Errorf("got %v and %q, want %q", err, out.String(), tt.want)
			}
		})
	}
}
