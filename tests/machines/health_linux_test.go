package machines

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/models"
	"github.com/gamelan-p2p/gamelan/tests/machines/internal/bed"
)

// notice returns what is wrong with a machine's node under a code, and whether there is something.
func notice(m *bed.Machine, code string) (n models.Notice, ok bool) {
	var h inspect.HealthReport
	if m.Get("/healthz", &h) != nil {
		return n, false
	}
	all := slices.Concat(h.Degraded, h.Warnings)
	i := slices.IndexFunc(all, func(n models.Notice) bool { return n.Code == code })
	if i < 0 {
		return n, false
	}
	return all[i], true
}

// TestClockOff: a node whose clock is off learns it from its peers, says so, and the others do not, one of
// which only calls others.
func TestClockOff(t *testing.T) {
	net := fresh(t)
	a, b, c, d := net.Machine("A"), net.Machine("B"), net.Machine("C"), net.Machine("D")
	a.SetClock(-time.Hour)
	others := []*bed.Machine{b, c, d}
	var args []string
	for _, m := range others {
		listen := bed.Listen
		if m == d {
			listen = "nowhere"
		}
		m.Node(append([]string{"--network", nextnet, "--listen", listen}, args...)...)
		args = append(args, "--peer", m.Line())
	}
	a.Node(append([]string{"--network", nextnet, "--listen", bed.Listen}, args...)...)
	var n models.Notice
	took := net.Within(patience*3, "A knows that its clock is off", func() (ok bool) {
		n, ok = notice(a, "clock_off")
		return ok
	})
	t.Logf("after %v: %s", took, n.What)
	if seconds := n.Args["seconds"]; !strings.HasPrefix(n.What, "the clock of this machine is 1 h behind") && !strings.HasPrefix(n.What, "the clock of this machine is 59 min behind") || !strings.HasPrefix(seconds, "-3") {
		t.Errorf("got %+v, want an hour behind", n)
	}
	for _, m := range others {
		net.Within(patience*3, m.Name+" knows the time of the others", func() bool {
			var v models.Node
			return m.Get("/v1/node", &v) == nil && v.Clock != nil && v.Clock.Sources == 3
		})
		if n, ok := notice(m, "clock_off"); ok {
			t.Errorf("%s: got %+v, want no word of its clock", m.Name, n)
		}
	}
	if s := a.Status(); !strings.Contains(s, "set the clock of this machine, and keep it set with NTP") {
		t.Errorf("got the status\n%s", s)
	}
}

// TestOwnIdentity: two machines with one identity both say so, and so does their peer.
func TestOwnIdentity(t *testing.T) {
	net := fresh(t)
	a, b, d := net.Machine("A"), net.Machine("B"), net.Machine("D")
	b.Node("--network", nextnet, "--listen", bed.Listen)
	first := a.Node("--network", nextnet, "--listen", bed.Listen, "--peer", b.Line())
	net.Within(patience, "A is connected", func() bool { return a.Connected(b) })
	d.TakeIdentity(a)
	time.Sleep(20 * time.Second) // what was set up just after a start may be of the program before it
	d.Node("--network", nextnet, "--listen", bed.Listen, "--peer", b.Line())
	for _, m := range []*bed.Machine{a, d} {
		var n models.Notice
		took := net.Within(6*time.Minute, m.Name+" knows of the other", func() (ok bool) {
			n, ok = notice(m, "own_identity")
			return ok
		})
		t.Logf("%s after %v: %s", m.Name, took, n.What)
		other := map[*bed.Machine]*bed.Machine{a: d, d: a}[m]
		if !strings.HasPrefix(n.Args["address"], other.Addr().String()) {
			t.Errorf("%s: got %+v, want the address of %s", m.Name, n, other.Name)
		}
		if p := m.Try("health", "--strict"); p.Code() != 1 || !strings.HasPrefix(p.Out(), "degraded: another node uses the identity of this one") {
			t.Errorf("%s: got %d, %s, want degraded", m.Name, p.Code(), p.Out())
		}
	}
	net.Within(6*time.Minute, "B knows of both", func() bool {
		_, ok := notice(b, "shared_identity")
		return ok
	})
	if !strings.Contains(first.Errs(), "another node uses the identity of this one") {
		t.Errorf("got the log of A\n%s", first.Errs())
	}
}

// TestCutInTheLog: a cable that is pulled makes the node offline, and degraded with the cause; its log
// says when, and when it was online again.
func TestCutInTheLog(t *testing.T) {
	net := fresh(t)
	a, b := net.Machine("A"), net.Machine("B")
	a.Node("--network", nextnet, "--listen", bed.Listen)
	node := b.Node("--network", nextnet, "--listen", bed.Listen, "--peer", a.Line(), "--health-offline-after", "5s")
	net.Within(patience, "B is connected", func() bool { return b.Connected(a) })
	if p := b.Try("health", "--strict"); p.Code() != 0 || !strings.HasPrefix(p.Out(), "ok: online: connected to 1 node") {
		t.Errorf("got %d, %s, want ok", p.Code(), p.Out())
	}
	pulled := time.Now()
	b.Cut()
	net.Within(patience*3, "B is degraded", func() bool {
		n, ok := notice(b, "offline")
		return ok && strings.Contains(n.What, a.Addr().String())
	})
	p := b.Try("health", "--strict")
	if want := regexp.MustCompile(`^degraded: offline for \d+ s: .*` + regexp.QuoteMeta(a.Addr().String()) + `:18189.*\(seed\).*, tried `); p.Code() != 1 || !want.MatchString(p.Out()) {
		t.Errorf("got %d, %s, want the cause first", p.Code(), p.Out())
	}
	t.Log(p.Out())
	b.Mend()
	net.Within(patience*6, "B is ok again", func() bool { return strings.HasPrefix(b.Try("health", "--strict").Out(), "ok: online") })
	line := regexp.MustCompile(`(?m)^time=(\S+) .*msg=offline .*was=online for=`).FindStringSubmatch(node.Errs())
	if line == nil || !regexp.MustCompile(`(?m)msg=online .*was=offline for=`).MatchString(node.Errs()) {
		t.Fatalf("got the log\n%s", node.Errs())
	}
	at, err := time.Parse(time.RFC3339, line[1])
	if after := at.Sub(pulled); err != nil || after < 0 || after > patience*3 {
		t.Errorf("the log has offline at %s, %v after the cable was pulled, %v", line[1], after, err)
	}
}

// TestDiskFull: a disk that fills up makes the node degraded, with the path and what is needed, and is ok when there
// is room again.
func TestDiskFull(t *testing.T) {
	net := fresh(t)
	p := net.Machine("A").Shell(`set -e
		mkdir small && mount -t tmpfs -o size=80m small small
		export GAMELAN_HEALTH_DISK_FREE=48MiB
		gamelan node --data-dir small/d & until gamelan health --data-dir small/d > /dev/null; do sleep 0.1; done
		until gamelan status --json --data-dir small/d | grep -q '"disk":'; do sleep 0.1; done
		gamelan health --strict --data-dir small/d
		echo before $?
		kill %1; wait %1
		head -c 40M /dev/zero > small/much
		gamelan node --data-dir small/d & until gamelan health --data-dir small/d | grep degraded; do sleep 0.1; done
		gamelan health --strict --data-dir small/d || echo full $?
		rm small/much
		until gamelan health --data-dir small/d | grep ok:; do sleep 0.1; done
		kill %1; wait %1`)
	if code := p.Code(); code != 0 {
		t.Fatalf("got the exit code %d\n%s%s", code, p.Out(), p.Errs())
	}
	for _, want := range []string{"before 0", "the disk of small/d is nearly full: ", " MB are free, and the node needs 50 MB", "full 1", `msg="the disk is nearly full"`, `msg="the disk has room again"`} {
		if !strings.Contains(p.Out()+p.Errs(), want) {
			t.Errorf("got\n%s%s\nwant %q", p.Out(), p.Errs(), want)
		}
	}
}
