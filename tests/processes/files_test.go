//go:build unix

package processes

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// TestOutOfFiles gives a node few file descriptors and takes them with idle connections that come back. The node
// says at its start that they are few, logs once that it cannot accept, and is degraded with a
// remedy: some descriptors are kept for those who ask.
func TestOutOfFiles(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dir := filepath.Join(t.TempDir(), "a")
	n := startNodeWith(t, w, "ulimit -n 40", dir, "--listen", "/ip4/127.0.0.1/tcp/0")
	w.Close()
	_, addr, _ := strings.Cut(n.seed, "::")
	where, err := manet.ToNetAddr(ma.StringCast(addr))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var idle sync.WaitGroup
	defer idle.Wait()
	defer cancel()
	for range 60 {
		idle.Go(func() { comeBack(ctx, where) })
	}
	var log []string
	for lines := bufio.NewScanner(r); lines.Scan(); {
		log = append(log, lines.Text())
		if strings.Contains(lines.Text(), "a connection cannot be accepted") {
			break
		}
	}
	all := strings.Join(log, "\n")
	for _, want := range []string{"may have 40 files open", "too many open files; the last ones are kept", "ulimit -n", "LimitNOFILE"} {
		if !strings.Contains(all, want) {
			t.Errorf("got the log %q, want %q in it", all, want)
		}
	}
	out, errs, code := run(t, nil, "health", "--timeout", "1m", "--data-dir", dir)
	if code != 0 || !strings.Contains(out, "degraded") || !strings.Contains(out, "ulimit -n") {
		t.Errorf("health: exit %d, %s%s, want degraded with a remedy", code, out, errs)
	}
	out, errs, _ = run(t, nil, "health", "--json", "--timeout", "1m", "--data-dir", dir)
	for _, want := range []string{`"code":"few_files"`, `"code":"deaf"`} {
		if !strings.Contains(out, want) {
			t.Errorf("health: got %s%s, want %s", out, errs, want)
		}
	}
	waitFor(t, "the doctor to say that the files are gone", func() bool { // between two connections some are free
		out, _, code := run(t, nil, "doctor", "--json", "--data-dir", dir)
		return code == 1 && strings.Contains(out, `"cause":{"code":"files_gone"`)
	})
	n.stop()
}

// comeBack holds one idle connection after another until ctx ends.
func comeBack(ctx context.Context, where net.Addr) {
	for ctx.Err() == nil {
		c, err := new(net.Dialer).DialContext(ctx, where.Network(), where.String())
		if err != nil {
			return // the node has stopped
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		_, _ = io.Copy(io.Discard, c)
		stop()
		c.Close()
	}
}
