package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gamelan-p2p/gamelan/inspect/codes"
)

// induced says where each code of the registry is induced for real: a function of a test that runs a node, or a script of the command.
// There the node itself, its doctor or the outcome of a message says the code.
var induced = map[string]string{
	"actor_failed":         "conditions/actors_test.go TestBubbleActorFailed",
	"actor_panicked":       "../panics_test.go TestPanicsShow",
	"actor_stuck":          "conditions/actors_test.go TestBubbleActorStuck",
	"alone":                "network/health_test.go TestBubbleAloneAtFirst",
	"clock_off":            "machines/health_linux_test.go TestClockOff",
	"connectivity_silent":  "../cmd/gamelan/internal/daemon/watchdog_test.go TestWatchdogIsSilentWhenTheNodeDoesNotWork",
	"deaf":                 "processes/files_test.go TestOutOfFiles",
	"dial_banned":          "../doctor_test.go TestDoctorOfAPeer",
	"dial_excluded":        "../doctor_test.go TestDoctorTriesWhatADialWouldTry",
	"dial_failed":          "machines/codes_linux_test.go TestDialsThatThisMachineStops",
	"dial_forbidden":       "machines/codes_linux_test.go TestDialsThatThisMachineStops",
	"dial_foreign":         "conditions/dials_test.go TestBubbleWhatAnswers",
	"dial_hung_up":         "machines/faults_linux_test.go networkFaults",
	"dial_mute":            "conditions/dials_test.go TestBubbleWhatAnswers",
	"dial_no_address":      "conditions/dials_test.go TestBubbleNoAddress",
	"dial_no_answer":       "../doctor_test.go TestDoctorOfAPeer",
	"dial_no_port":         "machines/codes_linux_test.go TestDialsThatThisMachineStops",
	"dial_no_route":        "machines/codes_linux_test.go TestDialsThatThisMachineStops",
	"dial_other_key":       "../doctor_test.go TestDoctorOfAPeer",
	"dial_prohibited":      "machines/faults_linux_test.go peerFaults",
	"dial_proxy":           "machines/faults_linux_test.go proxyFault",
	"dial_refused":         "../doctor_test.go TestDoctorOfAPeer",
	"dial_secret":          "../cmd/gamelan/testdata/script/private.txtar",
	"dial_turned_away":     "../doctor_test.go TestDoctorOfAPeer",
	"dial_unlisted":        "../admission_test.go TestAdmission",
	"dial_unresolved":      "machines/faults_linux_test.go nameFaults",
	"dial_unseen":          "../both_ends_test.go TestDoctorOfBothEnds",
	"dial_unseen_here":     "../both_ends_test.go TestDoctorOfBothEnds",
	"disk_full":            "network/health_test.go TestDiskFull",
	"draining":             "../drain_test.go TestDrainEndsWishes",
	"ended":                "../cmd/gamelan/internal/daemon/watchdog_test.go TestWatchdogIsSilentWhenTheNodeDoesNotWork",
	"ended_there":          "../both_ends_test.go TestDoctorOfBothEnds",
	"few_files":            "processes/files_test.go TestOutOfFiles",
	"few_nodes":            "network/health_test.go TestBubbleFewNodes",
	"files_gone":           "processes/files_test.go TestOutOfFiles",
	"foreign_peer":         "hostile/foreign_test.go TestForeignPeers",
	"foreign_peer_no_dht":  "hostile/foreign_test.go TestForeignPeers",
	"in_doubt":             "network/health_test.go TestBubbleInDoubt",
	"inbox_damaged":        "conditions/disk_test.go TestBubbleDamagedRecords",
	"inbox_dropped":        "inboxes/inbox_test.go TestBubbleInboxFull",
	"inbox_failed":         "conditions/disk_test.go TestBubbleDiskRefuses",
	"inbox_full":           "inboxes/inbox_test.go TestBubbleInboxFull",
	"inbox_high":           "conditions/disk_test.go TestBubbleInboxHigh",
	"inbox_shelf":          "../cmd/gamelan/testdata/script/inbox.txtar",
	"inbox_unheard":        "../cmd/gamelan/testdata/script/inbox.txtar",
	"kad_unwritten":        "conditions/disk_test.go TestBubbleDiskRefuses",
	"key_in_clear":         "../profile_test.go TestLessonProfile",
	"listen_gone":          "machines/codes_linux_test.go TestAddressesThatAreWrong",
	"listener_silent":      "machines/codes_linux_test.go TestListenerIsSilent",
	"log_failed":           "../cmd/gamelan/testdata/script/logfull.txtar",
	"loopback_only":        "machines/codes_linux_test.go TestLoopbackOnly",
	"needs_restart":        "../cmd/gamelan/testdata/script/service.txtar",
	"no_secret":            "../cmd/gamelan/testdata/script/private.txtar",
	"not_admitted":         "../admission_test.go TestAdmission",
	"not_reached":          "machines/reach_linux_test.go TestReached",
	"offline":              "network/health_test.go TestBubbleOffline",
	"own_identity":         "machines/health_linux_test.go TestOwnIdentity",
	"own_panicked":         "messages/panics_test.go TestBubblePanicPolicies",
	"own_stopped":          "messages/panics_test.go TestBubblePanicStops",
	"peer_full":            "conditions/disk_test.go TestBubbleDiskRefuses",
	"peer_lost":            "network/health_test.go TestBubblePeerLost",
	"peer_silent":          "../doctor_test.go TestDoctorOfAPeer",
	"peer_takes_plain":     "../cmd/gamelan/testdata/script/dht.txtar",
	"peer_without_dht":     "../cmd/gamelan/testdata/script/dht.txtar",
	"peers_damaged":        "conditions/disk_test.go TestBubbleDamagedRecords",
	"peers_unwritten":      "durable/child_test.go fillDisk",
	"private_only":         "machines/faults_linux_test.go networkFaults",
	"profile_shared":       "../cmd/gamelan/testdata/script/dht.txtar",
	"program":              "../part_test.go TestWithSectionAndHealth",
	"refused_here":         "../both_ends_test.go TestDoctorOfBothEnds",
	"refused_there":        "../both_ends_test.go TestDoctorOfBothEnds",
	"restarting":           "network/health_test.go TestBubbleRestarting",
	"seed_names":           "network/health_test.go TestBubbleAloneAtFirst",
	"seeds_silent":         "network/health_test.go TestBubbleSeedsSilent",
	"settings_refused":     "../cmd/gamelan/testdata/script/service.txtar",
	"shared_identity":      "machines/health_linux_test.go TestOwnIdentity",
	"source_limited":       "machines/faults_linux_test.go busyFault",
	"source_refused":       "hostile/sources_test.go TestIdentityRotation",
	"stopping":             "../cmd/gamelan/testdata/script/service.txtar",
	"stored_failed":        "conditions/disk_test.go TestBubbleDiskRefuses",
	"stored_full":          "stored/full_test.go TestBubbleStoredFull",
	"takes_nothing":        "hostile/not_taken_test.go TestResetInNegotiation",
	"tor":                  "network/tor_test.go TestBubbleTorAddress",
	"undecodable":          "messages/messagings_test.go TestBubbleUselessFrames",
	"unhandled":            "stored/unhandled_test.go TestBubbleStoredCopyOfUnhandled",
	"wrong_public_address": "machines/codes_linux_test.go TestAddressesThatAreWrong",
}

// running are imports of files whose tests run nodes, and of those of the command.
var running = []string{module, module + "/gamelantest", module + "/tests/machines/internal/bed", module + "/tests/internal/bubbled"}

// TestCodesAreInduced: each code of the registry is said by a node that is in that state. The table names the test, which is there, runs a
// node, and names the code.
func TestCodesAreInduced(t *testing.T) {
	for c := range codes.All() {
		if _, ok := induced[c.Name]; !ok {
			t.Errorf("%s is induced by no test: bring a real node into this state, and add the test to the table", c.Name)
		}
	}
	for name, where := range induced {
		c := codes.Named(name)
		if c == nil {
			t.Errorf("the table has %s, which is no code", name)
			continue
		}
		file, function, _ := strings.Cut(where, " ")
		if err := induces(filepath.FromSlash(file), function, name); err != "" {
			t.Errorf("%s: %s: %s", name, where, err)
		}
	}
}

// induces returns why a function of a test, or a script, does not induce a code; empty if it does.
func induces(file, function, code string) string {
	word := regexp.MustCompile(`\b` + code + `\b`)
	if strings.HasSuffix(file, ".txtar") {
		text, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "stdout ") && word.MatchString(line) {
				return ""
			}
		}
		return "no line of the script wants it"
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return err.Error()
	}
	runs := slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return slices.Contains(running, strings.Trim(i.Path.Value, `"`)) })
	if !runs && filepath.Base(filepath.Dir(file)) != "processes" { // these run the command
		return "the file runs no node"
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Name.Name != function {
			continue
		}
		named := false
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				named = named || ok && x.Name == "codes" && n.Sel.Name == variables()[code]
			case *ast.BasicLit:
				named = named || n.Kind == token.STRING && word.MatchString(n.Value)
			}
			return true
		})
		if !named {
			return "the function does not name it"
		}
		return ""
	}
	return "there is no such function"
}

// variables returns the names of the registry's variables, by code.
var variables = sync.OnceValue(func() map[string]string {
	all := make(map[string]string)
	text, err := os.ReadFile("../inspect/codes/list.go")
	if err != nil {
		panic(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\t(\w+) += code\("(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		all[m[2]] = m[1]
	}
	return all
})

// TestInducesCanFail holds the check itself.
func TestInducesCanFail(t *testing.T) {
	for want, c := range map[string][3]string{
		"":                               {"../doctor_test.go", "TestDoctorOfAPeer", "dial_banned"},
		"the function does not name it":  {"../doctor_test.go", "TestDoctorOfAPeer", "dial_excluded"},
		"there is no such function":      {"../doctor_test.go", "TestNothing", "dial_banned"},
		"the file runs no node":          {"../internal/actors/trunk/causes_test.go", "TestCauses", "dial_banned"},
		"no line of the script wants it": {"../cmd/gamelan/testdata/script/private.txtar", "", "dial_banned"},
	} {
		if got := induces(filepath.FromSlash(c[0]), c[1], c[2]); got != want {
			t.Errorf("%v: got %q, want %q", c, got, want)
		}
	}
}
