package tests

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the import path of the root package. Folders below it are written
// without it: "internal/transport/mux", and "" for the root package itself.
const module = "github.com/gamelan-p2p/gamelan"

// layers says how deep a folder lies; the longest matching prefix counts. A
// file may import what lies deeper than itself, and of its own house what lies no higher,
// but in the house actors, where a room imports only lower rooms, the trunk no part of the node,
// and no part another.
var layers = map[string]int{
	"identity": 0, "supervisor": 0, "internal": 0,
	"protocol": 1, "internal/protocol": 1, "inspect": 1, "internal/gate": 2, "internal/rawpeer": 1, "internal/story": 1, "internal/lost": 1, "internal/taps": 1,
	"transport": 2, "internal/transport": 2, "peerstore": 2, "dht/wire": 2, "kad/overlay": 2,
	"dht": 3, "internal/dht": 3, "internal/kad": 3, "internal/actors/park": 3, "internal/actors/link": 3, "internal/wirecheck": 3, "internal/settings": 3,
	"config": 4, "actors": 4, "kad": 5, "internal/kad/keep": 5,
	// The rooms of the trunk, and the trunk, which joins them.
	"internal/actors/base": 5, "internal/actors/peerbook": 6, "internal/actors/connections": 7, "internal/actors/dialling": 8,
	"internal/actors/connectivity": 9, "internal/actors/messengers": 9, "internal/actors/users": 10, "internal/actors/trunk": 11,
	"internal/actors": 12, "internal/kad/comms": 12, // the parts of a node
	"internal/nodetest": 12, "internal/nodeview": 12, "internal/receive": 12, "internal/streams": 12, "internal/assemble": 12,
	"":            13,
	"gamelantest": 14, "inspect/control": 14, "inspect/metrics": 14,
	"cmd": 15, "examples": 15,
	"tests": 16,
}

// sameLayer lists the imports across folders of equal depth that are wanted.
var sameLayer = map[string][]string{
	"identity":                {"internal/ristretto"},
	"internal/nodetest":       {"internal/actors/dhtpart"},
	"internal/receive":        {"internal/actors/inboxpart"},
	"internal/assemble":       {"internal/actors", "internal/kad", "internal/nodeview"}, // it builds all parts
	"internal/actors/safpart": {"internal/actors/safpart/store"},
}

// insides is the package by which tests look inside a node; of what is not for tests
// only the root package, which sets it, imports it.
const insides = "internal/nodetest"

// shown are the packages of what sections and warnings consist of. These are built where their data
// is. Of the root package only the files in showing import them: their methods return such types.
var (
	shown   = []string{"inspect/models", "inspect/codes"}
	showing = []string{"inspection.go", "dht.go"}
)

// narrow lists folders that may import less of ours than their layer allows; the longest prefix counts. nil
// is all that the layer allows.
var narrow = map[string][]string{
	"supervisor":      {"supervisor"},
	"inspect":         {"inspect/codes", "inspect/models", "supervisor"},
	"inspect/client":  {"inspect", "internal/datadir"},
	"inspect/control": nil,
	"inspect/metrics": {"inspect", "inspect/models", "internal/listenat"},
	"inspect/models":  {},
}

// command lists what the packages of the command may import of the command itself
// ("…/internal" left out) and of the node. Only the verbs and those not listed may
// import all of it.
var command = map[string][]string{
	"failure":  {},
	"bitset":   {},
	"disguise": {},
	"loglevel": {},
	"nodedir":  {"failure", ""},
	"api":      {"failure"},
	"phrases":  {"api", "failure", "nodedir"},
	"outlast":  {"failure"},
	"render":   {"api", "bitset", "failure"},
	"daemon":   {"api", "daemonconfig", "failure", "loglevel", "nodedir", "render", ""},
}

// strangers are houses that must not meet.
var strangers = []struct {
	a, b string
}{
	{a: "transport", b: "peerstore"},
	{a: "kad", b: "dht"},
}

// confined says which folders may import a package that is not ours. An import
// outside the standard library that no line covers is refused, so a new
// dependency has to be entered here, and in docs/adr/0005-dependencies.md.
// No folder at all means: in tests only.
var confined = map[string][]string{
	"github.com/asynkron/protoactor-go/actor":       {"supervisor", "inspect", "actors", "internal/actors", "kad", "internal/kad", "internal/receive", "internal/streams", "internal/assemble", "", "gamelantest", "cmd", "examples", "tests"},
	"github.com/asynkron/protoactor-go/eventstream": {"supervisor"},
	"github.com/flynn/noise":                        {"internal/transport/noise"},
	"github.com/hashicorp/yamux":                    {"internal/transport/mux"},
	"github.com/cockroachdb/pebble/v2":              {"internal/kv"},
	"github.com/oasisprotocol/curve25519-voi":       {"internal/ristretto"},
	"google.golang.org/protobuf":                    {"internal/protofield", "internal/protocol/pb", "internal/protocol/identify", "internal/protocol/more", "internal/protocol/reach", "internal/protocol/why", "internal/protocol/manycalls", "internal/protocol/onecall", "protocol/rpc", "dht/wire", "internal/kad/nativewire", "cmd/protoc-gen-gamelan", "examples", "tests"},
	"golang.org/x/crypto":                           {"identity", "internal/ristretto", "protocol", "internal/transport/noise", "dht/wire", "kad/overlay", "internal/kad/keep"},
	"golang.org/x/net":                              {},
	"golang.org/x/sys":                              {"internal/slept", "transport/tcp", "internal/kv", "cmd", "tests/machines"},
	"golang.org/x/term":                             {"cmd"},
	"github.com/multiformats/go-multiaddr":          {"protocol", "internal/protocol", "transport", "internal/transport", "internal/dht", "peerstore", "config", "actors", "internal/actors", "kad", "internal/kad", "internal/assemble", "", "inspect/control", "gamelantest", "cmd", "examples", "tests"},
	"github.com/alecthomas/kong":                    {"cmd"},
	"github.com/prometheus/client_golang":           {"inspect/metrics"}, // a program that does not ask for metrics has none of it
	"github.com/adrg/xdg":                           {"cmd"},
	"github.com/google/renameio/v2":                 {"internal/kv", "internal/replace"},
	"github.com/gofrs/flock":                        {"internal/kv", "config", "", "cmd"},
	"github.com/pelletier/go-toml/v2":               {"internal/settings"},
	"github.com/coreos/go-systemd/v22":              {"cmd"},
	"go.uber.org/goleak":                            {"gamelantest"},
	"github.com/cockroachdb/datadriven":             {"internal/kad/script"}, // used by tests alone
	"github.com/google/go-cmp":                      nil,
	"github.com/google/jsonschema-go":               nil,
	"github.com/gtank/ristretto255":                 nil,
	"github.com/rogpeppe/go-internal":               nil,
	"pgregory.net/rapid":                            nil,

	// Of the standard library, what opens sockets.
	"net":      {"transport", "internal/transport", "inspect", "internal/gate", "internal/listenat", "internal/streams", "", "examples/http", "internal/rawpeer", "internal/wirecheck", "internal/freeport", "gamelantest", "cmd", "tests/internal", "tests/seednode", "tests/onion/tornet", "tests/machines"},
	"net/http": {"inspect", "internal/gate", "internal/listenat", "examples/http", "gamelantest", "tests/onion/tornet", "tests/machines"},
	"net/url":  {"inspect", "internal/gate", "internal/actors", "kad", "cmd/gamelan/internal/daemon"}, // of verbs
}

// partNames are names of parts of a node, and of their sections, which package inspect does not
// know: a part gives it its sections and verbs.
var partNames = []string{"saf", "kad", "network", "discovery", "tor", "ledger", "rpc"}

// partNamesIn says which of these names a file of package inspect has all the same, and why.
var partNamesIn = map[string]map[string]string{
	"inspect/guard.go":   {"network": "a method of net.Addr"},
	"inspect/handler.go": {"ledger": "its address has filters and pages"},
	"inspect/ledger.go":  {"ledger": "filters and pages of messages sent"},
}

// pure folders hold values, codecs and machines: no goroutine, clock, socket,
// disk or actor. They import of ours only what is pure as well.
var (
	pure   = []string{"identity", "protocol", "internal/protocol", "dht", "internal/dht", "kad/overlay", "internal/kad/gateway", "internal/kad/limit", "internal/kad/lookup", "internal/kad/nativewire", "internal/kad/put", "internal/kad/record", "internal/kad/requests", "internal/kad/script", "internal/kad/seedwire", "internal/kad/sim", "internal/kad/table", "internal/kad/upkeep", "internal/kad/values", "internal/transport/dial", "internal/transport/connpool", "internal/transport/keepalive", "transport/tor", "internal/ristretto", "internal/deadline", "internal/queue", "internal/share", "internal/story", "internal/lost", "internal/backoff", "internal/lru", "internal/protofield", "internal/words"}
	impure = []string{"net", "net/http", "os", "os/exec", "syscall", "github.com/asynkron/protoactor-go"}
)

// notInPure and notInActors are calls of package time that a folder must not
// make; the clock is an argument there, or supervisor's.
var (
	notInPure   = []string{"Now", "After", "AfterFunc", "Sleep", "Since", "Until", "Tick", "NewTicker", "NewTimer"}
	notInActors = []string{"Now", "After", "AfterFunc", "Sleep", "Since", "Until", "Tick", "NewTicker", "NewTimer"}
)

// seeded are the names of math/rand and math/rand/v2 that pure code may use:
// everything that is built from a source, nothing that draws from the shared one.
var seeded = []string{"New", "NewSource", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "Source64", "PCG", "ChaCha8", "Zipf"}

// otherFolders are top-level folders without a package of this module.
var otherFolders = []string{"bench", "dist", "docs", "packaging", "tools"}

// TestArchitecture checks every file of the module that is not a test.
//
// conforms: kad 67
func TestArchitecture(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			switch name := d.Name(); {
			case rel == ".":
				return nil
			case strings.HasPrefix(name, "."), name == "testdata":
				return filepath.SkipDir
			case !strings.Contains(rel, "/") && !knownFolder(rel):
				t.Errorf("%s: got an unknown top-level folder, want one of the layers in tests/arch_test.go", rel)
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return filepath.SkipDir // another module
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, v := range violations(t, rel, src) {
			t.Error(v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatalf("got no Go file under %s, want the whole module", root)
	}
}

func knownFolder(top string) bool {
	_, ok := layers[top]
	return ok || slices.Contains(otherFolders, top)
}

// violations lists what src, the file at the slash-separated path name, does
// against the rules.
func violations(t *testing.T, name string, src []byte) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	folder := ""
	if i := strings.LastIndex(name, "/"); i >= 0 {
		folder = name[:i]
	}
	c := checker{fset: fset, name: name, folder: folder, names: map[string]string{}}
	if _, ok := layerOf(folder); !ok {
		c.report(file.Name, "got folder %q in no layer", folder)
		return c.found
	}
	for _, spec := range file.Imports {
		c.importSpec(spec)
	}
	if within(folder, pure) {
		c.pureCode(file)
	}
	if house(folder) == "actors" || house(folder) == "kad" {
		c.actorCode(file)
	}
	if folder == "inspect" {
		c.namesNoPart(file, partNamesIn[name])
	}
	return c.found
}

// checker walks one file.
type checker struct {
	fset   *token.FileSet
	name   string
	folder string
	names  map[string]string // local name of an import → its path
	found  []string
}

func (c *checker) report(n ast.Node, format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf("%s: %s", c.fset.Position(n.Pos()), fmt.Sprintf(format, args...)))
}

func (c *checker) importSpec(spec *ast.ImportSpec) {
	path, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		c.report(spec, "got an import path that is not a string: %v", err)
		return
	}
	local := path[strings.LastIndex(path, "/")+1:]
	if path == "math/rand/v2" {
		local = "rand"
	}
	if spec.Name != nil {
		local = spec.Name.Name
	}
	if local == "." {
		c.report(spec, "got a dot import of %s, want a name", path)
	}
	c.names[local] = path

	if path == module || strings.HasPrefix(path, module+"/") {
		c.ours(spec, strings.TrimPrefix(strings.TrimPrefix(path, module), "/"))
		return
	}
	c.theirs(spec, path)
}

// ours checks an import of another folder of this module.
func (c *checker) ours(n ast.Node, path string) {
	theirLayer, ok := layerOf(path)
	if !ok {
		c.report(n, "got an import of %q, which is in no layer", path)
		return
	}
	ownLayer, _ := layerOf(c.folder)
	free := house(path) == house(c.folder) && (house(path) != "actors" && theirLayer <= ownLayer || path == c.folder)
	if !free && theirLayer >= ownLayer && !within(path, sameLayer[house(c.folder)]) && !within(path, sameLayer[c.folder]) {
		c.report(n, "%q (layer %d) imports %q (layer %d), want lower layers only", c.folder, ownLayer, path, theirLayer)
	}
	if allowed := narrowOf(c.folder); allowed != nil && !within(path, allowed) {
		c.report(n, "%q imports %q, want nothing of ours but %v", c.folder, path, allowed)
	}
	if path == insides && c.folder != "" && !within(c.folder, []string{"tests"}) {
		c.report(n, "%q imports %q, which is for tests and benchmarks", c.folder, path)
	}
	if within(path, shown) && c.folder == "" && !slices.Contains(showing, c.name) {
		c.report(n, "%s imports %q, want sections in the packages of the parts and in internal/nodeview", c.name, path)
	}
	c.command(n, path)
	if within(c.folder, pure) && !within(path, pure) {
		c.report(n, "pure package %q imports %q, want only %v", c.folder, path, pure)
	}
	for _, s := range strangers {
		if own, their := house(c.folder), house(path); own == s.a && their == s.b || own == s.b && their == s.a {
			c.report(n, "%q imports %q, want %s and %s to know nothing of each other", c.folder, path, s.a, s.b)
		}
	}
}

// narrowOf returns what narrow says of a folder, nil for nothing.
func narrowOf(folder string) []string {
	for f := folder; ; {
		if allowed, ok := narrow[f]; ok {
			return allowed
		}
		i := strings.LastIndex(f, "/")
		if i < 0 {
			return nil
		}
		f = f[:i]
	}
}

// command checks an import of a package of the command.
func (c *checker) command(n ast.Node, path string) {
	const in = "cmd/gamelan/internal/"
	allowed, ok := command[strings.TrimPrefix(c.folder, in)]
	ofCommand := strings.HasPrefix(path, in)
	if !ok || !strings.HasPrefix(c.folder, in) || path != "" && !ofCommand {
		return
	}
	if path = strings.TrimPrefix(path, in); !slices.Contains(allowed, path) {
		c.report(n, "%q imports %q, want of the command and the root package only %q", c.folder, path, allowed)
	}
}

// theirs checks an import of the standard library or of another module.
func (c *checker) theirs(n ast.Node, path string) {
	if within(c.folder, pure) {
		for _, p := range impure {
			if path == p || p != "net" && p != "os" && strings.HasPrefix(path, p+"/") {
				c.report(n, "pure package %q imports %s", c.folder, path)
			}
		}
	}
	rule, best := []string(nil), ""
	for prefix, folders := range confined {
		std := !strings.Contains(strings.SplitN(prefix, "/", 2)[0], ".")
		if path == prefix || !std && strings.HasPrefix(path, prefix+"/") {
			if len(prefix) > len(best) {
				rule, best = folders, prefix
			}
		}
	}
	switch {
	case best == "" && !strings.Contains(strings.SplitN(path, "/", 2)[0], "."):
		// standard library, free
	case best == "":
		c.report(n, "got an import of %s, which no rule covers: a new dependency needs a line in tests/arch_test.go and in docs/adr/0005-dependencies.md", path)
	case !within(c.folder, rule):
		c.report(n, "%q imports %s, want it only in %q", c.folder, path, rule)
	}
}

func (c *checker) pureCode(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			c.report(n, "pure package %q starts a goroutine", c.folder)
		case *ast.ChanType:
			c.report(n, "pure package %q uses a channel", c.folder)
		case *ast.SelectorExpr:
			path, name := c.selected(n)
			switch {
			case path == "time" && slices.Contains(notInPure, name):
				c.report(n, "pure package %q calls time.%s, want the time as an argument", c.folder, name)
			case (path == "math/rand" || path == "math/rand/v2") && !slices.Contains(seeded, name):
				c.report(n, "pure package %q calls rand.%s, want randomness as an argument", c.folder, name)
			}
		}
		c.channelOperation(n, "pure package")
		return true
	})
}

func (c *checker) actorCode(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			c.report(n, "an actor starts a goroutine, want supervisor.Go or supervisor.Do")
		case *ast.SelectorExpr:
			if path, name := c.selected(n); path == "time" && slices.Contains(notInActors, name) {
				c.report(n, "an actor calls time.%s, want supervisor.Now, At, After or Every", name)
			}
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				if index, isIndex := n.Fun.(*ast.IndexExpr); isIndex {
					sel, ok = index.X.(*ast.SelectorExpr)
				}
			}
			if !ok {
				break
			}
			path, name := c.selected(sel)
			switch {
			case path != "":
				// a function of a package, such as supervisor.Spawn
			case name == "Result" && len(n.Args) == 0, name == "Wait" && len(n.Args) == 0:
				c.report(n, "an actor waits in .%s(), want a message or a task", name)
			case strings.HasPrefix(name, "Spawn"):
				c.report(n, "an actor calls .%s, want supervisor.Spawn", name)
			}
		}
		c.channelOperation(n, "actor in")
		return true
	})
}

// nameWord is a word of an identifier or of a text.
var nameWord = regexp.MustCompile(`[A-Z]+[a-z]*|[a-z]+`)

// namesNoPart reports names of parts in identifiers and strings, but for those in allowed.
func (c *checker) namesNoPart(file *ast.File, allowed map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		text := ""
		switch n := n.(type) {
		case *ast.Ident:
			text = n.Name
		case *ast.BasicLit:
			text = n.Value
		}
		for _, word := range nameWord.FindAllString(text, -1) {
			if word = strings.ToLower(word); slices.Contains(partNames, word) && allowed[word] == "" {
				c.report(n, "%q names the part %s in %s, want it to know no part", c.folder, word, text)
			}
		}
		return true
	})
}

// channelOperation reports sending, receiving and select.
func (c *checker) channelOperation(n ast.Node, who string) {
	switch n := n.(type) {
	case *ast.SendStmt:
		c.report(n, "%s %q sends on a channel", who, c.folder)
	case *ast.SelectStmt:
		c.report(n, "%s %q selects on channels", who, c.folder)
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.report(n, "%s %q receives from a channel", who, c.folder)
		}
	}
}

// selected gives the import path and the name of pkg.Name, and an empty path
// where the left side is not an imported package.
func (c *checker) selected(n *ast.SelectorExpr) (path, name string) {
	if id, ok := n.X.(*ast.Ident); ok {
		path = c.names[id.Name]
	}
	return path, n.Sel.Name
}

// house is the top-level folder to which a folder belongs. What lies in internal/transport, say,
// is the inside of transport.
func house(folder string) string {
	first, rest, _ := strings.Cut(folder, "/")
	if first != "internal" {
		return first
	}
	inside, _, _ := strings.Cut(rest, "/")
	if layer, ok := layers[inside]; ok && inside != "" && layer > 0 {
		return inside
	}
	return first
}

// within says whether folder is one of folders or lies below one. The root
// package lies below nothing, and nothing lies below it.
func within(folder string, folders []string) bool {
	for _, f := range folders {
		if folder == f || f != "" && strings.HasPrefix(folder, f+"/") {
			return true
		}
	}
	return false
}

// layerOf finds the layer by the longest prefix that layers names.
func layerOf(folder string) (int, bool) {
	for f := folder; ; {
		if l, ok := layers[f]; ok && (f != "" || folder == "") {
			return l, true
		}
		i := strings.LastIndex(f, "/")
		if i < 0 {
			return 0, false
		}
		f = f[:i]
	}
}

// TestArchitectureRefuses shows that each rule can fail: every snippet breaks
// one of them and must be found, with these words in the report.
func TestArchitectureRefuses(t *testing.T) {
	const m = module
	tests := []struct {
		name, file, src, want string
	}{
		{"upward", "protocol/a.go", `import _ "` + m + `/transport"`, "lower layers only"},
		{"sideways", "cmd/gamelan/a.go", `import _ "` + m + `/examples/chat"`, "lower layers only"},
		{"a part from the settings", "config/a.go", `import _ "` + m + `/internal/actors/inboxpart"`, "lower layers only"},
		{"the trunk from the settings", "config/a.go", `import _ "` + m + `/actors"`, "lower layers only"},
		{"a room from a lower one", "internal/actors/connections/a.go", `import _ "` + m + `/internal/actors/messengers"`, "lower layers only"},
		{"the trunk from a room", "internal/actors/users/a.go", `import _ "` + m + `/internal/actors/trunk"`, "lower layers only"},
		{"the trunk from what programs see", "actors/a.go", `import _ "` + m + `/internal/actors/trunk"`, "lower layers only"},
		{"root from actors", "actors/a.go", `import _ "` + m + `"`, "lower layers only"},
		{"a part from the trunk", "actors/a.go", `import _ "` + m + `/internal/actors/rpcpart"`, "lower layers only"},
		{"a part from another one", "internal/actors/rpcpart/a.go", `import _ "` + m + `/internal/actors/kadpart"`, "lower layers only"},
		{"kad from actors by longest prefix", "dht/a.go", `import _ "` + m + `/kad"`, "layer 5"},
		{"inside a node", "cmd/gamelan/a.go", `import _ "` + m + `/internal/nodetest"`, "for tests and benchmarks"},
		{"a part from internal", "internal/kv/a.go", `import _ "` + m + `/internal/actors/dhtpart"`, "lower layers only"},
		{"a section in the root", "tor.go", `import _ "` + m + `/inspect/models"`, "want sections in the packages of the parts"},
		{"a warning in the root", "start.go", `import _ "` + m + `/inspect/codes"`, "want sections in the packages of the parts"},
		{"the root from the view", "internal/nodeview/a.go", `import _ "` + m + `"`, "lower layers only"},
		{"a part from the view", "internal/nodeview/a.go", `import _ "` + m + `/internal/actors/torpart"`, "lower layers only"},
		{"unlisted sibling", "identity/a.go", `import _ "` + m + `/internal/kv"`, "lower layers only"},
		{"supervisor alone", "supervisor/a.go", `import _ "` + m + `/internal/credit"`, "want nothing of ours"},
		{"inspect narrow", "inspect/a.go", `import _ "` + m + `/identity"`, "want nothing of ours"},
		{"transport and peerstore", "transport/tcp/a.go", `import _ "` + m + `/peerstore"`, "know nothing of each other"},
		{"peerstore and transport", "peerstore/a.go", `import _ "` + m + `/transport"`, "know nothing of each other"},
		{"machines from bytes", "dht/wire/a.go", `import _ "` + m + `/dht"`, "lower layers only"},
		{"kad and dht", "internal/kad/table/a.go", `import _ "` + m + `/dht/envelope"`, "know nothing of each other"},
		{"dht and kad", "internal/dht/saf/a.go", `import _ "` + m + `/internal/kad/table"`, "know nothing of each other"},
		{"inspect and its client", "inspect/a.go", `import _ "` + m + `/inspect/client"`, "want nothing of ours"},
		{"inspect and control", "inspect/a.go", `import _ "` + m + `/inspect/control"`, "lower layers only"},
		{"metrics from inspect", "inspect/a.go", `import _ "` + m + `/inspect/metrics"`, "want nothing of ours"},
		{"metrics from the root", "start.go", `import _ "` + m + `/inspect/metrics"`, "lower layers only"},
		{"metrics and the node", "inspect/metrics/a.go", `import _ "` + m + `"`, "want nothing of ours"},
		{"client_golang from inspect", "inspect/a.go", `import _ "github.com/prometheus/client_golang/prometheus"`, "want it only in"},
		{"client_golang from the root", "start.go", `import _ "github.com/prometheus/client_golang/prometheus"`, "want it only in"},
		{"client_golang from the command", "cmd/gamelan/a.go", `import _ "github.com/prometheus/client_golang/prometheus"`, "want it only in"},
		{"models and inspect", "inspect/models/a.go", `import _ "` + m + `/inspect"`, "want nothing of ours"},
		{"client and the node", "inspect/client/a.go", `import _ "` + m + `"`, "lower layers only"},
		{"client and the store", "inspect/client/a.go", `import _ "` + m + `/internal/kv"`, "want nothing of ours"},
		{"client and the command", "inspect/client/a.go", `import _ "` + m + `/cmd/gamelan/internal/failure"`, "lower layers only"},
		{"control from the root", "wire.go", `import _ "` + m + `/inspect/control"`, "lower layers only"},
		{"control and the command", "inspect/control/a.go", `import _ "` + m + `/cmd/gamelan/internal/failure"`, "lower layers only"},
		{"outlast and daemon", "cmd/gamelan/internal/outlast/a.go", `import _ "` + m + `/cmd/gamelan/internal/daemon"`, "of the command"},
		{"render and daemon", "cmd/gamelan/internal/render/a.go", `import _ "` + m + `/cmd/gamelan/internal/daemon"`, "of the command"},
		{"words and render", "cmd/gamelan/internal/phrases/a.go", `import _ "` + m + `/cmd/gamelan/internal/render"`, "of the command"},
		{"render and the node", "cmd/gamelan/internal/render/a.go", `import _ "` + m + `"`, "of the command"},
		{"daemon and outlast", "cmd/gamelan/internal/daemon/a.go", `import _ "` + m + `/cmd/gamelan/internal/outlast"`, "of the command"},
		{"verb and HTTP", "cmd/gamelan/a.go", `import _ "net/http"`, "want it only in"},
		{"unknown folder of ours", "actors/a.go", `import _ "` + m + `/helpers"`, "in no layer"},
		{"in an unknown folder", "helpers/a.go", ``, "in no layer"},
		{"pure and supervisor", "protocol/rpc/a.go", `import _ "` + m + `/supervisor"`, "pure package"},
		{"pure and impure sibling", "internal/transport/dial/a.go", `import _ "` + m + `/transport/tcp"`, "pure package"},
		{"noise", "internal/transport/upgrade/a.go", `import _ "github.com/flynn/noise"`, "want it only in"},
		{"yamux", "actors/a.go", `import _ "github.com/hashicorp/yamux"`, "want it only in"},
		{"pebble below its prefix", "peerstore/a.go", `import _ "github.com/cockroachdb/pebble/v2/vfs"`, "want it only in"},
		{"protobuf", "actors/a.go", `import _ "google.golang.org/protobuf/proto"`, "want it only in"},
		{"ristretto", "identity/a.go", `import _ "github.com/oasisprotocol/curve25519-voi/curve"`, "want it only in"},
		{"oracle outside tests", "internal/ristretto/a.go", `import _ "github.com/gtank/ristretto255"`, "want it only in"},
		{"protoactor", "transport/a.go", `import _ "github.com/asynkron/protoactor-go/actor"`, "want it only in"},
		{"protoactor remote", "supervisor/a.go", `import _ "github.com/asynkron/protoactor-go/remote"`, "no rule covers"},
		{"new dependency", "cmd/gamelan/a.go", `import _ "github.com/spf13/cobra"`, "no rule covers"},
		{"sockets", "actors/a.go", `import _ "net"`, "want it only in"},
		{"dot import", "actors/a.go", `import . "time"`, "dot import"},
		{"inspect and a part's path", "inspect/a.go", `var _ = "/v1/saf/{verb}"`, "names the part saf"},
		{"inspect and a part's name", "inspect/a.go", `func openKadHere() {}`, "names the part kad"},
		{"inspect and a part's field", "inspect/a.go", `var _ = a.Ledger`, "names the part ledger"},
		{"pure disk", "protocol/a.go", `import _ "os"`, "imports os"},
		{"pure socket", "internal/transport/dial/a.go", `import _ "net"`, "imports net"},
		{"pure goroutine", "dht/a.go", `func f() { go f() }`, "starts a goroutine"},
		{"pure channel", "identity/a.go", `var c chan int`, "uses a channel"},
		{"pure receive", "identity/a.go", `func f() { <-g() }`, "receives from a channel"},
		{"pure clock", "internal/protocol/frame/a.go", "import \"time\"\nvar _ = time.Now()", "calls time.Now"},
		{"pure clock renamed", "protocol/a.go", "import clock \"time\"\nfunc f() { clock.Sleep(1) }", "calls time.Sleep"},
		{"pure clock as a value", "protocol/a.go", "import \"time\"\nvar now = time.Now", "calls time.Now"},
		{"pure chance", "internal/transport/connpool/a.go", "import \"math/rand/v2\"\nvar _ = rand.IntN(3)", "calls rand.IntN"},
		{"actor goroutine", "actors/a.go", `func f() { go f() }`, "starts a goroutine"},
		{"actor clock", "kad/a.go", "import \"time\"\nvar _ = time.AfterFunc(1, nil)", "calls time.AfterFunc"},
		{"actor send", "actors/a.go", `func f(c chan int) { c <- 1 }`, "sends on a channel"},
		{"actor receive", "actors/a.go", `func f(c chan int) int { return <-c }`, "receives from a channel"},
		{"actor select", "actors/a.go", `func f() { select {} }`, "selects on channels"},
		{"actor future", "actors/a.go", `func f(x F) { x.RequestFuture(nil, nil, 1).Result() }`, "waits in .Result()"},
		{"actor wait", "actors/a.go", `func f(x F) { x.Wait() }`, "waits in .Wait()"},
		{"actor spawn", "actors/a.go", `func f(ctx F) { ctx.SpawnNamed(nil, "a") }`, "calls .SpawnNamed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := violations(t, tt.file, []byte("package p\n"+tt.src+"\n"))
			if !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, tt.want) }) {
				t.Errorf("got %q, want a violation with %q", got, tt.want)
			}
		})
	}
}

// TestArchitectureAllows shows that the rules leave the intended imports alone.
func TestArchitectureAllows(t *testing.T) {
	const m = module
	tests := []struct{ name, file, src string }{
		{"downward", "actors/a.go", `import _ "` + m + `/internal/transport/mux"`},
		{"own folder", "internal/transport/upgrade/a.go", `import _ "` + m + `/internal/transport/noise"`},
		{"ristretto", "identity/a.go", `import _ "` + m + `/internal/ristretto"`},
		{"no part in a longer word", "inspect/a.go", `func networker() string { return "a tornado in safety" }`},
		{"a part in the models", "inspect/models/a.go", `type Kad struct{}`},
		{"inspect and supervisor", "inspect/a.go", `import _ "` + m + `/supervisor"`},
		{"the trunk from a part", "internal/actors/rpcpart/a.go", `import _ "` + m + `/actors"`},
		{"settings from a part", "internal/actors/inboxpart/a.go", `import _ "` + m + `/config"`},
		{"verb and daemon", "cmd/gamelan/a.go", `import _ "` + m + `/cmd/gamelan/internal/daemon"`},
		{"daemon and render", "cmd/gamelan/internal/daemon/a.go", `import _ "` + m + `/cmd/gamelan/internal/render"`},
		{"outlast and failure", "cmd/gamelan/internal/outlast/a.go", `import _ "` + m + `/cmd/gamelan/internal/failure"`},
		{"client and inspect", "inspect/client/a.go", `import _ "` + m + `/inspect"`},
		{"control and the node", "inspect/control/a.go", `import _ "` + m + `"`},
		{"root", "wire.go", `import _ "` + m + `/kad"`},
		{"what the root returns", "inspection.go", `import _ "` + m + `/inspect/models"`},
		{"bytes from machines", "dht/a.go", `import _ "` + m + `/dht/wire"`},
		{"inside from the house", "kad/a.go", `import _ "` + m + `/internal/kad/keep"`},
		{"seeded chance", "dht/a.go", "import \"math/rand/v2\"\nfunc f(r *rand.Rand) int { return r.IntN(3) }"},
		{"time as a value", "protocol/a.go", "import \"time\"\nfunc f(now time.Time) time.Time { return now.Add(time.Second) }"},
		{"addresses", "protocol/a.go", `import _ "net/netip"`},
		{"supervisor's spawn", "actors/a.go", "import \"" + m + "/supervisor\"\nfunc f(c C) { supervisor.Spawn(c, nil) }"},
		{"wire code may wait", "internal/transport/mux/a.go", "import \"time\"\nvar _ = time.Now\nfunc f(c chan int) { go f(c); <-c }"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := violations(t, tt.file, []byte("package p\n"+tt.src+"\n")); len(got) != 0 {
				t.Errorf("got %q, want no violation", got)
			}
		})
	}
}

// TestPartNamesAllowed shows that each exception for the name of a part is needed.
func TestPartNamesAllowed(t *testing.T) {
	for name, allowed := range partNamesIn {
		src, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for part := range allowed {
			c := checker{fset: set, folder: "inspect"}
			c.namesNoPart(file, nil)
			if !slices.ContainsFunc(c.found, func(v string) bool { return strings.Contains(v, "names the part "+part+" ") }) {
				t.Errorf("%s: got no %q, want the exception removed", name, part)
			}
		}
	}
}
