package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gamelan-p2p/gamelan/inspect/client"
)

// notifications is the other end of a service manager's socket.
type notifications struct {
	conn *net.UnixConn
	came chan struct{}

	mu    sync.Mutex
	texts []string
	seen  int
}

// serviceCmds are the commands of scripts that stand for a service manager.
func serviceCmds(cmds map[string]func(*testscript.TestScript, bool, []string)) {
	cmds["manager"] = newManager
	cmds["notified"] = notified
	cmds["signal"] = signalNode
	cmds["signaluntilgone"] = signalUntilGone
	cmds["waitcredit"] = waitCredit
	cmds["hupearly"] = hupEarly
}

// manager opens a socket for word of a service, and names it in NOTIFY_SOCKET.
func newManager(ts *testscript.TestScript, _ bool, _ []string) {
	path := filepath.Join(ts.Getenv("WORK"), "notify")
	os.Remove(path) // of an earlier one
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	ts.Check(err)
	n := &notifications{conn: conn, came: make(chan struct{}, 1)}
	go func() {
		b := make([]byte, 64<<10)
		for {
			k, err := conn.Read(b)
			if err != nil {
				return
			}
			n.mu.Lock()
			n.texts = append(n.texts, string(b[:k]))
			n.mu.Unlock()
			select {
			case n.came <- struct{}{}:
			default:
			}
		}
	}()
	ts.Defer(func() { conn.Close() })
	ts.Value("manager").(*managers).set(n)
	ts.Setenv("NOTIFY_SOCKET", path)
}

// managers holds the service manager of a script.
type managers struct{ *notifications }

func (m *managers) set(n *notifications) { m.notifications = n }

// notified REGEXP waits for word of the service that matches, after what was
// waited for before.
func notified(ts *testscript.TestScript, _ bool, args []string) {
	n := ts.Value("manager").(*managers).notifications
	want, end := regexp.MustCompile("(?m)"+args[0]), time.After(patience)
	for {
		n.mu.Lock()
		for ; n.seen < len(n.texts); n.seen++ {
			if want.MatchString(n.texts[n.seen]) {
				n.seen++
				n.mu.Unlock()
				return
			}
		}
		texts := slices.Clone(n.texts)
		n.mu.Unlock()
		select {
		case <-n.came:
		case <-end:
			ts.Fatalf("got %q, want %s", texts, args[0])
		}
	}
}

// signalsByName are the signals that scripts send. Unix has STOP as well.
var signalsByName = map[string]syscall.Signal{"HUP": syscall.SIGHUP, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}

// signal NAME DIR… sends a signal to the nodes that run in the directories, one right after the
// other; a directory that is there twice gets it twice.
func signalNode(ts *testscript.TestScript, _ bool, args []string) {
	var nodes []*os.Process
	for _, dir := range args[1:] {
		node := background(ts, dir)
		if node == nil {
			ts.Fatalf("no node runs in %s", dir)
		}
		nodes = append(nodes, node)
	}
	for _, node := range nodes {
		ts.Check(node.Signal(signalsByName[args[0]]))
	}
	for _, node := range nodes {
		switch args[0] {
		case "TERM": // one that does not end shows what it waits for
			time.AfterFunc(2*time.Minute, func() { _ = node.Signal(syscall.SIGABRT) })
		case "STOP": // a script that has failed meanwhile waits for all its nodes
			time.AfterFunc(2*time.Minute, func() { _ = node.Signal(syscall.SIGKILL) })
		}
	}
}

// background is the process of the node in dir, nil if there is none.
func background(ts *testscript.TestScript, dir string) *os.Process {
	for _, c := range ts.BackgroundCmds() {
		if (slices.Contains(c.Args, "node") || slices.Contains(c.Args, "seed")) && slices.Contains(c.Args, dir) {
			return c.Process
		}
	}
	return nil
}

// signaluntilgone NAME DIR sends a signal to the node that runs in DIR again and
// again until it has ended.
func signalUntilGone(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(ts.MkAbs(args[1]), client.Options{})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := c.Node(context.Background()); err != nil {
			return
		}
		if b := background(ts, args[1]); b != nil {
			_ = b.Signal(signalsByName[args[0]]) // it may end meanwhile
		}
		if time.Now().After(end) {
			ts.Fatalf("the node in %s has not ended", args[1])
		}
	}
}

// waitcredit DIR N waits until the node in DIR has messages of N bytes in work: more than it
// sends of its own accord.
func waitCredit(ts *testscript.TestScript, _ bool, args []string) {
	c := client.New(ts.MkAbs(args[0]), client.Options{})
	least, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		n, err := c.Node(context.Background())
		ts.Check(err)
		if n.Credit.Used >= least {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nothing is in work in %s", args[0])
		}
	}
}

// hupearly DIR FIFO sends HUP to the node in DIR as soon as it reads the FIFO, and
// then lets it read that there is nothing. Later there is an empty file instead.
func hupEarly(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[1])
	var fifo *os.File
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var err error
		if fifo, err = os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			break
		}
		if !errors.Is(err, syscall.ENXIO) || time.Now().After(end) { // ENXIO: nobody reads
			ts.Fatalf("nobody reads %s: %v", path, err)
		}
	}
	signalNode(ts, false, []string{"HUP", args[0]})
	ts.Check(os.Remove(path))
	ts.Check(os.WriteFile(path, nil, 0o600))
	ts.Check(fifo.Close())
}
