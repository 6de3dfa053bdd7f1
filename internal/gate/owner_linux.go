package gate

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// ownOnly closes connections of other users of this machine: they may have seen the link in the list of
// processes, where the system's command for a browser has it.
type ownOnly struct{ net.Listener }

// Accept returns the next connection of this user, or of root.
func (l ownOnly) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, known := userOf(c); !known || uid == os.Getuid() || uid == 0 {
			return c, nil
		}
		c.Close()
	}
}

// userOf returns the user at the other end of a connection of this machine. known is false if the system does
// not tell; an end that is not there belongs to -1.
func userOf(c net.Conn) (uid int, known bool) {
	here, ok1 := c.LocalAddr().(*net.TCPAddr)
	there, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return 0, false
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		uid, found := userIn(f, there.AddrPort(), here.AddrPort())
		f.Close()
		known = true
		if found {
			return uid, true
		}
	}
	return -1, known
}

// established is the state of a connection that neither side has ended, as the table has it.
const established = "01"

// userIn looks the end of a connection up in a table of the system.
func userIn(table io.Reader, end, other netip.AddrPort) (uid int, ok bool) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || entry(f[1]) != end || entry(f[2]) != other {
			continue
		}
		if f[3] != established || f[9] == "0" { // its program has closed it: nobody's, though the table names root
			return 0, false
		}
		uid, err := strconv.Atoi(f[7])
		return uid, err == nil
	}
	return 0, false
}

// entry reads an address as the table has it: words of the machine's order, in hexadecimal digits.
func entry(text string) (a netip.AddrPort) {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(b)%4 != 0 {
		return a
	}
	for word := range slices.Chunk(b, 4) {
		binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(bytes.Clone(word)))
	}
	ip, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n))
}
