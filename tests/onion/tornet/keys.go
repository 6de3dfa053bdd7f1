package tornet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

var (
	voterLine       = regexp.MustCompile(`(?m)^fingerprint ([0-9A-F]{40})$`)
	fingerprintLine = regexp.MustCompile(`(?m)^\S+ ((?:[0-9A-F]{4} ?){10})$`)
)

// makeKeys makes the keys of all authorities and relays: each has an identity, the
// authorities also a certificate to vote with.
func (n *Network) makeKeys() error {
	all := n.relaying()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, r := range all {
		wg.Go(func() { errs[i] = r.makeKeys(n.gencert) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *relay) makeKeys(gencert string) error {
	if err := os.MkdirAll(r.path("data", "keys"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(r.path("none"), nil, 0o600); err != nil {
		return err
	}
	if r.authority() {
		if err := r.makeCertificate(gencert); err != nil {
			return err
		}
	}
	out, err := command(r.tor, "", "--list-fingerprint", "--DataDirectory", r.path("data"), "--Nickname", r.name,
		"--ORPort", fmt.Sprintf("%s:%d", loopback, r.orPort), "--Address", loopback, "--SocksPort", "0",
		"--Log", "err stderr", "-f", r.path("none"), "--defaults-torrc", r.path("none"))
	if err != nil {
		return err
	}
	found := fingerprintLine.FindStringSubmatch(out)
	if found == nil {
		return fmt.Errorf("tornet: no fingerprint of %s in %q", r.name, out)
	}
	r.fingerprint = strings.ReplaceAll(found[1], " ", "")
	return nil
}

func (r *relay) makeCertificate(gencert string) error {
	keys := r.path("data", "keys")
	certificate := filepath.Join(keys, "authority_certificate")
	_, err := command(gencert, "private test network\n", "--create-identity-key", "--passphrase-fd", "0", "-m", "24",
		"-a", fmt.Sprintf("%s:%d", loopback, r.dirPort), "-i", filepath.Join(keys, "authority_identity_key"),
		"-s", filepath.Join(keys, "authority_signing_key"), "-c", certificate)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(certificate)
	if err != nil {
		return err
	}
	found := voterLine.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("tornet: no fingerprint in %s", certificate)
	}
	r.voter = string(found[1])
	return nil
}

// command runs a program to its end and returns what it wrote.
func command(program, input string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Stdin = environment(), strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("tornet: %s: %w: %s", program, err, out)
	}
	return string(out), nil
}
