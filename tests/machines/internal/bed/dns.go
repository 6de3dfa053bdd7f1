//go:build linux

package bed

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

var dnsAddr = netip.AddrFrom4([4]byte{11, 0, 0, 53})

// DNS is the name server of all machines: dnsmasq, on the internet. Names without a record do
// not exist.
type DNS struct {
	bed   *Bed
	space space
	run   *exec.Cmd
	log   string
}

func (b *Bed) startDNS() (*DNS, error) {
	d := &DNS{bed: b, log: filepath.Join(b.dir, "dns.log")}
	var err error
	if d.space, err = add(b.name+"dns", nil); err != nil {
		return d, err
	}
	wan, err := d.space.tun("wan")
	if err != nil {
		return d, err
	}
	b.Internet.Attach("dns", wan, netip.PrefixFrom(dnsAddr, dnsAddr.BitLen()))
	return d, errors.Join(d.space.ip("addr add %s/32 dev wan\nlink set wan up\nroute add default dev wan", dnsAddr), d.set(nil))
}

// Set replaces all records. A text that is an IP address makes a record A or AAAA, any other
// one a TXT.
func (d *DNS) Set(records map[string][]string) {
	d.bed.t.Helper()
	d.bed.must(d.set(records))
}

func (d *DNS) set(records map[string][]string) error {
	d.stop()
	os.Remove(d.log)
	args := []string{
		"dnsmasq", "--keep-in-foreground", "--conf-file=" + os.DevNull, "--user=root", "--pid-file=", "--no-resolv", "--no-hosts", "--no-daemon",
		"--listen-address=" + dnsAddr.String(), "--bind-interfaces", "--cache-size=0", "--address=/#/", "--log-queries", "--log-facility=" + d.log,
	}
	for name, list := range records {
		for _, text := range list {
			if _, err := netip.ParseAddr(text); err == nil {
				args = append(args, fmt.Sprintf("--host-record=%s,%s", name, text))
			} else {
				args = append(args, fmt.Sprintf("--txt-record=%s,%s", name, text))
			}
		}
	}
	d.run = d.space.command(args...)
	if err := d.run.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(lookEvery) {
		if len(d.Log()) > 0 { // it says that it has started
			return nil
		}
	}
	return fmt.Errorf("bed: the name server did not start: %s", d.run)
}

// Stop ends the name server: queries are refused by its machine.
func (d *DNS) Stop() { d.stop() }

func (d *DNS) stop() {
	if d.run != nil {
		_ = d.run.Process.Kill()
		_ = d.run.Wait()
	}
}

// Log returns what the name server wrote, with a line for each query.
func (d *DNS) Log() string {
	b, _ := os.ReadFile(d.log)
	return string(b)
}
