package processes

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestInboxMemory fills an inbox with large messages: they lie on the disk, not
// in memory, and what has no room waits at the sender.
func TestInboxMemory(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 42 MiB")
	}
	// most is what a node may have in memory, with garbage. With GAMELAN_LONG, as in CI, it is less than twice
	// what is in the inbox, which the node would have if it kept the messages there.
	messages, most := 6, 260<<20 // 42 MiB in the inbox
	if long() {
		messages, most = 34, 420<<20 // 238 MiB
	}
	const size = "320MiB" // plain messages may have three quarters of it
	dir := t.TempDir()
	alice := startNode(t, filepath.Join(dir, "alice"))
	defer alice.stop()
	bob := startNodeWith(t, nil, "export GOMEMLIMIT=160MiB", filepath.Join(dir, "bob"), "--inbox-max-bytes", size) // garbage does not count
	defer bob.stop()
	body := filepath.Join(dir, "body")
	if err := os.WriteFile(body, bytes.Repeat([]byte("0123456789abcdef"), 7<<16), 0o600); err != nil { // 7 MiB
		t.Fatal(err)
	}
	for i := range messages {
		if _, errs, code := run(t, nil, "send", "--quiet", "--data-dir", alice.dir, bob.seed, "--file", body); code != 0 {
			t.Fatalf("send %d: got exit %d: %s", i, code, errs)
		}
	}
	waitFor(t, "all to be kept", func() bool { return inboxOf(t, bob).Messages == messages })
	if got := resident(t, bob.cmd); got > most {
		t.Errorf("got %d MiB resident with %d MiB in the inbox, want at most %d", got>>20, int(inboxOf(t, bob).Bytes)>>20, most>>20)
	} else {
		t.Logf("%d MiB resident with %d MiB in the inbox", got>>20, int(inboxOf(t, bob).Bytes)>>20)
	}
	cmd := command(t, "listen", "--raw", "--count", strconv.Itoa(messages), "--data-dir", bob.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, out); err != nil || n != int64(messages)*(7<<20+1) {
		t.Errorf("got %d bytes, %v, want %d", n, err, messages*(7<<20+1))
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	waitFor(t, "all to be acknowledged", func() bool { return inboxOf(t, bob).Messages == 0 })
	if got := resident(t, bob.cmd); got > most {
		t.Errorf("got %d MiB resident behind the listener, want at most %d", got>>20, most>>20)
	} else {
		t.Logf("%d MiB resident behind the listener", got>>20)
	}
}
