package gate

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestUserOfAConnection: the system's tables tell whose the other end is.
func TestUserOfAConnection(t *testing.T) {
	const table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:24F9 0100007F:0FA0 01 00000000:00000000 00:00000000 00000000     7        0 1 1 0 20 4 30 10 -1\n" +
		"   1: 0100007F:0FA0 0100007F:24F9 01 00000000:00000000 00:00000000 00000000  1001        0 2 1 0 20 4 30 10 -1\n" +
		"   2: 0000000000000000FFFF00000100007F:0FA1 0000000000000000FFFF00000100007F:24F9 01 00000000:00000000 00:00000000 00000000  1002        0 2 1 0 20 4 30 10 -1\n" +
		"   3: x\n"
	server := netip.MustParseAddrPort("127.0.0.1:9465")
	for end, want := range map[string]int{"127.0.0.1:4000": 1001, "127.0.0.1:4001": 1002, "127.0.0.1:4002": -1} {
		uid, ok := userIn(strings.NewReader(table), netip.MustParseAddrPort(end), server)
		if ok != (want >= 0) || ok && uid != want {
			t.Errorf("%s: got %d, %v, want %d", end, uid, ok, want)
		}
	}
}

// TestOtherUsersOfTheMachine: a connection of another user is closed before a byte is read.
func TestOtherUsersOfTheMachine(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	own := ownOnly{l}
	accepted := make(chan net.Addr, 2)
	go func() {
		for {
			c, err := own.Accept()
			if err != nil {
				return
			}
			accepted <- c.RemoteAddr()
			c.Close()
		}
	}()
	if os.Getuid() == 0 { // who may become another user
		sh, err := exec.LookPath("bash")
		if err != nil {
			t.Skip("needs bash")
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		other := exec.Command(sh, "-c", "exec 3<>/dev/tcp/127.0.0.1/"+port+"; head -c1 <&3")
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
		if out, err := other.CombinedOutput(); err != nil && len(out) > 0 && !strings.Contains(string(out), "reset") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := <-accepted; got.String() != c.LocalAddr().String() {
		t.Errorf("got a connection of %s, want only that of this user, %s", got, c.LocalAddr())
	}
}
