package processes

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// machines runs $FIRST on one machine and then $SECOND on another one: two network namespaces that
// a cable joins. Each has a home of its own. $LISTEN runs on the first one, $BACK on the second.
const machines = `
set -e
mount -t tmpfs none /run
ip link set lo up
unshare -n sleep 300 & other=$!
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
ip link add here type veth peer name there
ip link set there netns $other
ip addr add 192.0.2.1/24 dev here && ip link set here up
second() { HOME=$PWD/second nsenter -t $other -n "$@"; }
second ip link set lo up
second ip addr add 192.0.2.2/24 dev there && second ip link set there up
mkdir first second
first() { HOME=$PWD/first "$@"; }
trap 'kill $(jobs -p)' EXIT
echo machines are up

first bash -c "exec $FIRST" >line & # the node of the first machine
until [ -s line ]; do sleep 0.01; done
cat line
LINE=$(cat line)
second bash -c "exec ${SECOND//KEY::ADDRESS/$LINE}" & # that of the second
first gamelan listen --count 1 >heard & listener=$!
second bash -c "${SEND//KEY/${LINE%%::*}}"
wait $listener
cat heard

KEY=$(second gamelan id | sed -n 's/^public key *//p')
second gamelan listen --count 1 >heard & listener=$!
first gamelan disconnect $KEY # so that the first one has to call
first gamelan send $KEY "and back"
wait $listener
cat heard
`

// TestREADMEMachines runs README.md's recipe for two machines as it stands there, in two network
// namespaces. The second machine reaches the first, and the first calls the second.
func TestREADMEMachines(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("unshare", "-Urnm", "sh", "-c", "mount -t tmpfs none /run && ip link add here type veth peer name there").Run(); err != nil {
		t.Logf("this user can make no network namespaces with unshare and ip: %v", err)
		return // TestREADME pastes the same lines on loopback
	}
	env := append(os.Environ(), "PATH="+filepath.Dir(path)+":/usr/sbin:/sbin:"+os.Getenv("PATH"), "GAMELAN_WAIT=1m")
	for _, block := range shellBlocks(t, "README.md") {
		if !strings.Contains(block, "gamelan seed --listen") {
			continue
		}
		lines := regexp.MustCompile(`(?m)^(.*?) *#.*$`).FindAllStringSubmatch(block, -1)
		if len(lines) != 3 {
			t.Fatalf("got %q, want the node of each machine, and a message", block)
		}
		env = append(env, "FIRST="+lines[0][1], "SECOND="+lines[1][1], "SEND="+lines[2][1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-Urnm", "--kill-child", "--fork", "--pid", "--mount-proc", "bash", "-c", machines)
	cmd.Dir, cmd.Env, cmd.WaitDelay = t.TempDir(), env, 5*time.Second
	out, err := cmd.CombinedOutput()
	for _, want := range []string{`(?m)^[0-9a-f]{64}::/ip4/192\.0\.2\.1/tcp/18189$`, `(?m)  hello from the second$`, `(?m)  and back$`} {
		if err != nil || !regexp.MustCompile(want).Match(out) {
			t.Fatalf("got %v and no %s in:\n%s", err, want, out)
		}
	}
}
