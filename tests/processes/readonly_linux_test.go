package processes

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// readOnly has a node whose disk is an ext4 of its own receive messages. An error of that file
// system remounts it read-only.
const readOnly = `
set -e
truncate -s 600M image && mkfs.ext4 -q image && mkdir disk
mount -o loop,errors=remount-ro image disk
loop=$(losetup --noheadings --output NAME --associated image)
trap 'kill $(jobs -p); wait; umount disk' EXIT
echo the disk is mounted
gamelan node --data-dir disk/a --listen /ip4/127.0.0.1/tcp/0 >a.log 2>&1 &
gamelan node --data-dir b --listen /ip4/127.0.0.1/tcp/0 >b.log 2>&1 &
line=$(gamelan id --address --data-dir disk/a)
gamelan id --data-dir b >/dev/null
yes | gamelan send --data-dir b $line >sent 2>&1 &
gamelan listen --data-dir disk/a --count 1
echo 1 >/sys/fs/ext4/${loop#/dev/}/trigger_fs_error
# The first write after the error may fail for the error itself.
until gamelan health --data-dir disk/a | grep 'degraded: .*read-only'; do sleep 0.1; done
`

// TestDiskTurnsReadOnly: health names the file system that remounted itself read-only, and the
// remedy.
func TestDiskTurnsReadOnly(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-m", "--kill-child", "--fork", "--pid", "--mount-proc", "bash", "-c", readOnly)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(path)+":/usr/sbin:/sbin:"+os.Getenv("PATH"), "GAMELAN_WAIT=1m")
	cmd.Dir, cmd.WaitDelay = t.TempDir(), 5*time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case !regexp.MustCompile(`(?m)^the disk is mounted$`).Match(out):
		t.Logf("this user can mount no ext4 (%v): %s", err, out) // TestDirectoryBecomesReadOnly of internal/kv holds the rule
	case !regexp.MustCompile(`(?m)^degraded: .*/disk/a/.*read-only file system\); mount the file system writable`).Match(out):
		t.Errorf("got %v, %s, want health degraded, with the file system and the remedy", err, out)
	}
}
