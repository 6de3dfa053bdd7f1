package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gamelan-p2p/gamelan"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/render"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/internal/freeport"
	"github.com/gamelan-p2p/gamelan/internal/waittest"
)

// patience is how long a test waits for what is to come at once.
const patience = 2 * time.Minute

// waitingTests runs the tests with waittest.Parallel. The programs of the scripts have flags of their own.
type waitingTests struct{ *testing.M }

func (w waitingTests) Run() int {
	waittest.Parallel()
	return w.M.Run()
}

func TestMain(m *testing.M) {
	testscript.Main(waitingTests{m}, map[string]func(){
		"gamelan":  main,
		"embedded": embedded,
		"narrow":   narrow,
		"fakenode": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := fakeNode(ctx, os.Args[1]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
	})
}

// embedded DIR [inspector [clumsy]] is a program of somebody's with a node in it,
// until it is interrupted; clumsy is an actor of that program which a panic has
// stopped.
func embedded() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var opts []gamelan.Option
	if len(os.Args) > 2 {
		opts = append(opts, gamelan.WithInspector())
	}
	clumsy := len(os.Args) > 3
	if clumsy {
		opts = append(opts, gamelan.WithActor("clumsy", func(*gamelan.Node) actor.Actor {
			var seen map[string]int
			return actor.ReceiveFunc(func(c actor.Context) {
				if text, ok := c.Message().(string); ok {
					seen[text]++
				}
			})
		}, gamelan.OnPanic(gamelan.PanicStop)))
	}
	n, err := gamelan.Start(ctx, gamelan.Config{DataDir: os.Args[1], Listen: []string{gamelan.ListenNowhere}}, opts...)
	if err == nil && clumsy {
		pid, _ := n.Actor("clumsy")
		n.System().Root.Send(pid, "a word")
		for len(n.Inspection().Degraded(ctx).Texts()) == 0 {
			runtime.Gosched()
		}
	}
	if err == nil {
		err = os.WriteFile(os.Args[1]+".up", nil, 0o600)
		<-ctx.Done()
		err = errors.Join(err, n.Close(context.Background()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// kadScripts are those of the verbs of the key-value DHT.
const kadScripts = "testdata/script/kad*.txtar"

// longScripts are scripts that wait for what takes a node many seconds. They begin before the
// others, the last one first.
var longScripts = []string{"still.txtar", "width.txtar", "dht.txtar", "silent.txtar"}

// The scripts hold whole command lines and what they print.
func TestScripts(t *testing.T) {
	t.Parallel()
	files := scripts(t, "testdata/script/*.txtar")
	for _, own := range scripts(t, kadScripts) { // TestKadVerbs
		files = slices.DeleteFunc(files, func(f string) bool { return f == own })
	}
	slices.SortStableFunc(files, func(a, b string) int { // package testing starts the last parallel tests first
		return cmp.Compare(slices.Index(longScripts, filepath.Base(a)), slices.Index(longScripts, filepath.Base(b)))
	})
	runScripts(t, files)
}

// TestKadVerbs runs each verb of gamelan kad with and without --json, and each of its exit
// codes.
//
// conforms: kad 66
func TestKadVerbs(t *testing.T) {
	t.Parallel()
	runScripts(t, scripts(t, kadScripts))
}

func scripts(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("got %v, %v for %s", files, err, pattern)
	}
	return files
}

func runScripts(t *testing.T, files []string) {
	t.Helper()
	stores, err := filepath.Abs("../../peerstore/testdata")
	if err != nil {
		t.Fatal(err)
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"status":       status,
		"mode":         mode,
		"waitsocket":   waitSocket,
		"stalesocket":  staleSocket,
		"seed":         fromID(func(i render.Identity) string { return i.Seeds[0] }),
		"nodeid":       fromID(func(i render.Identity) string { return i.NodeID }),
		"port":         fromID(func(i render.Identity) string { return i.Seeds[0][strings.LastIndex(i.Seeds[0], "/")+1:] }),
		"waitlistener": waitListener,
		"lines":        lines,
		"zeros":        zeros,
		"mute":         mute,
		"terminate":    terminate,
		"never":        never,
		"waitfile":     waitFile,
		"waittext":     waitText,
		"interrupted":  interrupted,
		"waitkept":     waitKept,
		"waithealth":   waitHealth,
		"waitconns":    waitConns,
		"waitstored":   waitStored,
		"key":          fromID(func(i render.Identity) string { return i.PublicKey }),
		"short":        fromID(func(i render.Identity) string { return i.PublicKey[:16] }),
		"lasttag":      lastTag,
		"until":        until,
		"keepport":     keepPort,
	}
	serviceCmds(cmds)
	testscript.Run(t, testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_DATA_HOME", filepath.Join(e.WorkDir, "xdg"))
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("XDG_CONFIG_DIRS", filepath.Join(e.WorkDir, "system"))
			e.Setenv("TZ", "UTC")
			e.Setenv("NO_COLOR", "1")
			e.Setenv("GAMELAN_WAIT", "0s")          // the scripts wait for nodes themselves
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else each program built with -race ends a second late
			e.Setenv("STORES", stores)
			e.Setenv("GAMELAN_INVERSION", os.Getenv("GAMELAN_INVERSION")) // of tools/inversions, for the programs of a script
			e.Values["manager"] = new(managers)
			return nil
		},
		Condition: func(c string) (bool, error) { return c == "netns" && ownNetwork(), nil },
		Cmds:      cmds,
	})
}

// ownNetwork reports whether a test may run a program in a network of its own, with
// "unshare -n".
var ownNetwork = sync.OnceValue(func() bool { return exec.Command("unshare", "-n", "true").Run() == nil })

// status CODE COMMAND… runs a command that must end with that exit code.
func status(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg {
		ts.Fatalf("usage: status CODE COMMAND…")
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if x := (*exec.ExitError)(nil); errors.As(err, &x) {
		got = x.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

// mode PERMISSIONS FILE checks the permissions of a file.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s: got mode %s, want %s", args[1], got, args[0])
	}
}

// waitsocket DIR waits until a node answers in DIR.
func waitSocket(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("unix", filepath.Join(ts.MkAbs(args[0]), "gamelan.sock"))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nobody answers in %s: %v", args[0], err)
		}
	}
}

// waitfile FILE waits until there is one.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("there is no %s after a minute", args[0])
		}
	}
}

// waittext FILE waits until something stands in it.
func waitText(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if info, err := os.Stat(ts.MkAbs(args[0])); err == nil && info.Size() > 0 {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s is empty after a minute", args[0])
		}
	}
}

// waitkept DIR N waits until the node in DIR warns of N messages that nobody has
// read.
func waitKept(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(ts.MkAbs(args[0]), client.Options{})
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		n, err := c.Node(context.Background())
		ts.Check(err)
		got := 0
		for _, w := range n.Warnings.Texts() {
			if k, text, _ := strings.Cut(w, " "); strings.Contains(text, "nobody listens") {
				got, err = strconv.Atoi(k)
				ts.Check(err)
			}
		}
		if got == want {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("got %d messages kept, want %d", got, want)
		}
	}
}

// waithealth DIR CODE waits until the health of the node in DIR has a notice with this code.
func waitHealth(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(ts.MkAbs(args[0]), client.Options{})
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		h, err := c.Health(context.Background())
		ts.Check(err)
		if slices.ContainsFunc(slices.Concat(h.Degraded, h.Warnings), func(n models.Notice) bool { return n.Code == args[1] }) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("got %+v, want %s", h, args[1])
		}
	}
}

// waitconns DIR N waits until the node in DIR has N connections.
func waitConns(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(ts.MkAbs(args[0]), client.Options{})
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		n, err := c.Node(context.Background())
		ts.Check(err)
		if n.Held == want {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("got %d connections, want %d", n.Held, want)
		}
	}
}

// waitstored DIR N waits until the node in DIR stores N messages for others.
func waitStored(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(ts.MkAbs(args[0]), client.Options{})
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		s, err := c.StoreForward(context.Background())
		ts.Check(err)
		if s.Server.Messages == want {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("got %d messages stored, want %d", s.Server.Messages, want)
		}
	}
}

// keepport DIR makes the data directory of a node that will listen on a port which nobody takes while
// the node is away.
func keepPort(ts *testscript.TestScript, _ bool, args []string) {
	ports, err := freeport.Ports(1)
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.Mkdir(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, "listen"), fmt.Appendf(nil, "/ip4/127.0.0.1/tcp/%d\n", ports[0]), 0o600))
}

// until REGEXP COMMAND… runs a command again and again until it succeeds and a line of its
// output matches. The command stdout looks at what it has written last.
func until(ts *testscript.TestScript, _ bool, args []string) {
	want := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if err := ts.Exec(args[1], args[2:]...); err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("no line matches %s", args[0])
		}
	}
}

// lasttag DIR NAME puts the tag of the last message that the node in DIR has sent
// over the DHT into a variable.
func lastTag(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("gamelan", "messages", "--json", "--data-dir", args[0]))
	var last models.Report
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		ts.Check(json.Unmarshal([]byte(line), &last))
	}
	ts.Setenv(args[1], last.Tag)
}

// interrupted CODE REGEXP COMMAND… interrupts a command at its first line of output that matches;
// it must then end with that exit code. The commands stdout and stderr look at what it has written.
func interrupted(ts *testscript.TestScript, _ bool, args []string) {
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	want, cmd := regexp.MustCompile(args[1]), exec.Command(args[2], args[3:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), os.Environ()
	for _, name := range []string{"PATH", "HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "GAMELAN_WAIT"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	cmd.Stderr = ts.Stderr()
	ts.Check(cmd.Start())
	lines, found := bufio.NewScanner(out), false
	for lines.Scan() {
		fmt.Fprintln(ts.Stdout(), lines.Text())
		if !found && want.MatchString(lines.Text()) {
			found = true
			ts.Check(cmd.Process.Signal(os.Interrupt))
		}
	}
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); !found || got != code {
		ts.Fatalf("got exit code %d, want %d, and a line %v: %v", got, code, args[1], found)
	}
}

// stalesocket DIR leaves a socket and a token as a node does that was killed.
func staleSocket(ts *testscript.TestScript, _ bool, args []string) {
	d := nodedir.Named(ts.MkAbs(args[0]))
	l, err := inspect.Listen(d.Path)
	ts.Check(err)
	ts.Check(os.WriteFile(d.TokenFile(), []byte(strings.Repeat("0f", 32)), 0o600))
	l.Close()
	info, err := os.Lstat(d.Socket())
	ts.Check(err)
	if info.Mode().Type() != fs.ModeSocket {
		ts.Fatalf("%s: got %s, want a socket", d.Socket(), info.Mode())
	}
}

// fromID makes a command that runs gamelan id in a directory and puts something
// of the answer into a variable: seed DIR NAME.
func fromID(what func(render.Identity) string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(ts.Exec("gamelan", "id", "--json", "--data-dir", args[0]))
		var i render.Identity
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &i))
		ts.Setenv(args[1], what(i))
	}
}

// waitlistener DIR waits until somebody listens to the node in DIR.
func waitListener(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(ts.MkAbs(args[0]), client.Options{})
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		a, err := c.Actor(context.Background(), "node/extensions/handler")
		ts.Check(err)
		if strings.Contains(a.Line, "1 listener") {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nobody listens in %s", args[0])
		}
	}
}

// terminate DIR sends TERM to the node that runs in DIR.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	signalNode(ts, neg, []string{"TERM", args[0]})
}

// never DIR FILE… makes sure that no file holds the secret key or the token of
// the node in DIR, in any form.
func never(ts *testscript.TestScript, _ bool, args []string) {
	var id struct {
		Secret string `json:"secret_key"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0]+"/identity.json")), &id))
	raw, err := hex.DecodeString(id.Secret)
	ts.Check(err)
	secrets := []string{id.Secret, string(raw), base64.StdEncoding.EncodeToString(raw)}
	if token, err := os.ReadFile(ts.MkAbs("token")); err == nil {
		secrets = append(secrets, strings.TrimSpace(string(token)))
	}
	for _, file := range args[1:] {
		text := ts.ReadFile(file)
		if text == "" {
			ts.Fatalf("%s is empty", file)
		}
		for _, secret := range secrets {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				ts.Fatalf("%s holds a secret", file)
			}
		}
	}
}

// lines N FILE writes the numbers from 1 to N, one a line.
func lines(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, i+1)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// zeros N FILE writes N bytes of zero.
func zeros(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), make([]byte, n), 0o600))
}

// mute VAR listens on a port of this machine, and says nothing to those that connect; VAR is
// the port.
func mute(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}
