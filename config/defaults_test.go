package config_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/config"
)

const number = `[0-9](?:[0-9,]*[0-9])?(?:\s?(?:GiB|MiB|KiB|s|min|h)\b)?`

// documented finds the defaults that the comment of a field, or of several, names.
var (
	documented = regexp.MustCompile(`[Dd]efaults?\s+(` + number + `(?:(?:,\s|\sand\s)` + number + `)*)`)
	numbers    = regexp.MustCompile(`([0-9](?:[0-9,]*[0-9])?)\s?(GiB|MiB|KiB|s|min|h)?`)
)

// TestDefaultsAreThoseDocumented compares each default with the number in the
// comment of its field, so that neither is changed without the other.
func TestDefaultsAreThoseDocumented(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []ast.Node
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	all := reflect.ValueOf(config.Default())
	values := map[string]reflect.Value{
		"Config": all, "DHTConfig": reflect.ValueOf(config.DefaultDHT()), "InboxConfig": reflect.ValueOf(config.DefaultInbox()),
	}
	values["StoreForwardLimits"] = all.FieldByName("StoreForward").FieldByName("Limits")
	for f, v := range all.Fields() {
		if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == all.Type().PkgPath() {
			values[f.Type.Name()] = v
		}
	}
	compared := 0
	compare := func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		defaults, known := values[spec.Name.Name]
		fields, isStruct := spec.Type.(*ast.StructType)
		if !known || !isStruct {
			return true
		}
		for _, f := range fields.Fields.List {
			found := documented.FindStringSubmatch(f.Doc.Text())
			if found == nil {
				continue
			}
			wants := numbers.FindAllStringSubmatch(found[1], -1)
			if len(wants) != len(f.Names) {
				t.Errorf("%s.%s: the comment has %d defaults for %d fields: %q", spec.Name.Name, f.Names[0].Name, len(wants), len(f.Names), found[0])
				continue
			}
			for i, name := range f.Names {
				v, want := defaults.FieldByName(name.Name), amount(t, wants[i])
				var got int64
				if v.CanUint() {
					got = int64(v.Uint())
				} else {
					got = v.Int()
				}
				if got != want {
					t.Errorf("%s.%s: the comment says %d, the default is %d", spec.Name.Name, name.Name, want, got)
				}
				compared++
			}
		}
		return true
	}
	for _, file := range files {
		ast.Inspect(file, compare)
	}
	if compared < 35 {
		t.Errorf("compared %d defaults, want 35 at least: has the wording of the comments changed?", compared)
	}
}

// amount is a number with its unit.
func amount(t *testing.T, found []string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(found[1], ",", ""), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string]int64{"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": int64(time.Second), "min": int64(time.Minute), "h": int64(time.Hour)}
	return n * unit[found[2]]
}
