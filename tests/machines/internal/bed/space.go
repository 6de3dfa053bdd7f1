//go:build linux

package bed

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	prefix     = "gamelan-machines-" // of namespaces and folders; a process id follows
	spaces     = "/run/netns"
	spaceFiles = "/etc/netns" // files that "ip netns exec" lays over those of /etc
)

// space is a network namespace, by its name.
type space string

// ip runs commands of the program ip, one a line.
func (s space) ip(format string, args ...any) error {
	return feed(fmt.Sprintf(format, args...), "ip", "-n", string(s), "-batch", "-")
}

// nft loads rules.
func (s space) nft(rules string) error {
	return feed(rules, "ip", "netns", "exec", string(s), "nft", "-f", "-")
}

func feed(stdin, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bed: %s: %w\n%s\ngiven:\n%s", cmd, err, out, stdin)
	}
	return nil
}

// command returns a program that runs in the namespace, and ends with this process.
func (s space) command(args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", string(s)}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// do calls f on a thread that is in the namespace. A socket that f opens stays there.
func (s space) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer own.Close()
	there, err := os.Open(filepath.Join(spaces, string(s)))
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("bed: enter %s: %w", s, err)
	}
	err = f()
	if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // the thread would go on there
	}
	return err
}

// set writes kernel parameters of the namespace, such as net/ipv4/ip_forward.
func (s space) set(parameters map[string]string) error {
	return s.do(func() error {
		var all error
		for name, value := range parameters {
			all = errors.Join(all, os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644))
		}
		return all
	})
}

// tun makes a TUN device. Each Read of it is a packet that leaves the namespace through it.
func (s space) tun(name string) (*os.File, error) {
	var dev *os.File
	err := s.do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("bed: /dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			unix.Close(fd)
			return err
		}
		dev = os.NewFile(uintptr(fd), name) // waits for packets only if it is a device by now
		return nil
	})
	return dev, err
}

// forgetConnections empties the table of connections that rules of nft and NAT go by.
func (s space) forgetConnections() error {
	return s.do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		const header, family, remove = unix.SizeofNlMsghdr, 4, 2 // sizes; IPCTNL_MSG_CT_DELETE, of all if it names none
		var b [header + family]byte
		b[0], b[4], b[5], b[6] = byte(len(b)), remove, unix.NFNL_SUBSYS_CTNETLINK, unix.NLM_F_REQUEST
		return unix.Sendto(fd, b[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
}

// processes returns the processes in the namespace.
func (s space) processes() []int {
	var there, other unix.Stat_t
	if unix.Stat(filepath.Join(spaces, string(s)), &there) != nil {
		return nil
	}
	var found []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && unix.Stat(filepath.Join("/proc", e.Name(), "ns/net"), &other) == nil && other.Ino == there.Ino && other.Dev == there.Dev {
			found = append(found, pid)
		}
	}
	return found
}

// signal sends a signal to every process in the namespace.
func (s space) signal(sig syscall.Signal) {
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, sig) // one that has ended needs none
	}
}

// kill ends every process in the namespace.
func (s space) kill() error {
	return s.until(syscall.SIGKILL, func(int) bool { return false })
}

// stop stops every process in the namespace.
func (s space) stop() error {
	return s.until(syscall.SIGSTOP, func(pid int) bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		return err == nil && bytes.Contains(status, []byte("\nState:\tT"))
	})
}

// until sends a signal to every process in the namespace, until each is as it should be or has
// ended.
func (s space) until(sig syscall.Signal, good func(pid int) bool) error {
	for end := time.Now().Add(signalLimit); ; time.Sleep(signalLook) {
		s.signal(sig)
		left := slices.DeleteFunc(s.processes(), good)
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("bed: processes %v do not take the signal %v", left, sig)
		}
	}
}

const (
	signalLimit = 10 * time.Second
	signalLook  = 5 * time.Millisecond
)

// add makes a namespace, with files that its programs see in place of those of /etc.
func add(name string, etc map[string]string) (space, error) {
	for file, text := range etc {
		path := filepath.Join(spaceFiles, name, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	s := space(name)
	if err := feed("", "ip", "netns", "add", name); err != nil {
		return s, err
	}
	return s, s.ip("link set lo up")
}

// remove ends what runs in the namespace, and removes it. It is no error if it does not exist.
func (s space) remove() error {
	err := s.kill()
	if _, missing := os.Stat(filepath.Join(spaces, string(s))); missing == nil {
		err = errors.Join(err, feed("", "ip", "netns", "delete", string(s)))
	}
	err = errors.Join(err, os.RemoveAll(filepath.Join(spaceFiles, string(s))))
	os.Remove(spaceFiles) // if it is empty
	return err
}

// Sweep removes what processes left that did not come to close their beds.
func Sweep() error {
	var all error
	for _, name := range leftovers(spaces) {
		all = errors.Join(all, space(name).remove())
	}
	for _, name := range leftovers(spaceFiles) {
		all = errors.Join(all, os.RemoveAll(filepath.Join(spaceFiles, name)))
	}
	for _, name := range leftovers(os.TempDir()) {
		all = errors.Join(all, os.RemoveAll(filepath.Join(os.TempDir(), name)))
	}
	return all
}

// leftovers returns the names in a folder that are of a bed whose process has ended.
func leftovers(dir string) []string {
	var found []string
	entries, _ := os.ReadDir(dir) // without the folder there is nothing in it
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), prefix)
		number, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		if ours && err == nil && pid != os.Getpid() && syscall.Kill(pid, 0) == syscall.ESRCH {
			found = append(found, e.Name())
		}
	}
	return found
}
