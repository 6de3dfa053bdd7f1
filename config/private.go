package config

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gofrs/flock"

	"github.com/gamelan-p2p/gamelan/internal/datadir"
	"github.com/gamelan-p2p/gamelan/internal/replace"
	"github.com/gamelan-p2p/gamelan/internal/settings"
	"github.com/gamelan-p2p/gamelan/peerstore"
	"github.com/gamelan-p2p/gamelan/protocol"
)

// PrivateConfig describes a private network, which only nodes with its secret can join. It is the
// content of a network file, see [ReadNetwork].
type PrivateConfig struct {
	// Name is for people: 1 to 32 small letters, digits and dashes, and not the name of another
	// network. Nodes do not compare it, but an identity stays on the network that it was made for.
	Name string

	// Secret are the 32 random bytes that make a node a member. The node dials with them, and lets in
	// who has them.
	Secret *protocol.NetworkSecret

	// Accept is a second secret, which the node lets in but never dials with. It is for changing the
	// secret while the network runs: first every node accepts the new one, then every node dials with
	// it and accepts the old one. nil: none.
	Accept *protocol.NetworkSecret

	// Rotation says which of the two secrets is new: [RotationBegun] or [RotationSwitched]. Empty: there is
	// one secret, or nobody knows. Nodes do not look at it; [PrivateConfig.Rotate] does.
	Rotation string

	// Seeds are peers to know from the start, as those of [Config.Seeds].
	Seeds []string
}

// Errors of the file of a private network.
var (
	// ErrNetworkOpen reports a network file that others can read or change. Its secret may be known.
	ErrNetworkOpen = errors.New("gamelan: the network file is open to others; make it private with chmod 600")
	// ErrNetworkDamaged reports a file that is not one of a private network.
	ErrNetworkDamaged = errors.New("gamelan: the file is not one of a private network")
)

// NetworkSuffix ends the names of network files.
const NetworkSuffix = ".network"

// IsNetworkFile reports whether a text for [Config.Network] is the path of a network file: it has a
// slash, or ends with [NetworkSuffix].
func IsNetworkFile(text string) bool {
	return strings.HasSuffix(text, NetworkSuffix) || strings.ContainsAny(text, `/`+string(filepath.Separator))
}

// NewNetwork returns a private network with a new secret. The error matches
// [protocol.ErrBadNetworkName] if the name is bad.
func NewNetwork(name string) (PrivateConfig, error) {
	if err := protocol.CheckNetworkName(name); err != nil {
		return PrivateConfig{}, err
	}
	secret, err := protocol.NewNetworkSecret(rand.Reader)
	return PrivateConfig{Name: name, Secret: secret}, err
}

// networkFile is the layout of a network file.
type networkFile struct {
	Name, Secret, Accept, Rotation string
	Seeds                          []string
}

const maxNetworkSeeds = 1000

// networkTable are the keys of a network file.
var networkTable = sync.OnceValue(func() *settings.Table {
	type opt = settings.Options
	secret := opt{Hidden: true, Form: "64 hexadecimal digits in quotes", Valid: func(text string) error {
		switch _, err := protocol.ParseNetworkSecret(text); {
		case err == nil:
			return nil
		case strings.Trim(text, "0123456789abcdefABCDEF") != "":
			return errors.New("it has another character")
		case len(text) != 2*protocol.SecretSize:
			return fmt.Errorf("it has %d digits", len(text))
		}
		return errors.New("it is not random")
	}}
	return &settings.Table{
		Program: "gamelan", Verb: "network create", Example: "name", Fault: fault,
		Rows: []*settings.Row{
			settings.Words("name", func(f *networkFile) *string { return &f.Name }, "", protocol.MaxNetworkName, `"acme"`).With(opt{Valid: func(text string) error {
				if err := protocol.CheckNetworkName(text); err != nil {
					_, why, _ := strings.Cut(err.Error(), ": ")
					_, why, _ = strings.Cut(why, ": ")
					return errors.New(why)
				}
				return nil
			}}),
			settings.Words("secret", func(f *networkFile) *string { return &f.Secret }, "", 2*protocol.SecretSize, `"…"`).With(secret),
			settings.Words("accept", func(f *networkFile) *string { return &f.Accept }, "", 2*protocol.SecretSize, `"…"`).With(secret),
			settings.Words("rotation", func(f *networkFile) *string { return &f.Rotation }, "", len(RotationSwitched), `"begun"`).With(opt{
				Form: `"begun" or "switched" in quotes`, Valid: func(text string) error {
					if text != RotationBegun && text != RotationSwitched {
						return errors.New("it is neither begun nor switched")
					}
					return nil
				},
			}),
			settings.List("seeds", settings.Seeds, func(f *networkFile) *[]string { return &f.Seeds }, maxNetworkSeeds, `[`+aSeed+`::/ip4/203.0.113.7/tcp/18189"]`),
		},
	}
})

// ParsePrivate decodes the content of a network file. path is for errors, which never show a secret;
// an error matches [ErrNetworkDamaged] and has a line for each thing that is wrong.
func ParsePrivate(path string, b []byte) (PrivateConfig, error) {
	p, problems := parsePrivate(path, b)
	if len(problems) > 0 {
		return PrivateConfig{}, errors.Join(ErrNetworkDamaged, problems)
	}
	return p, nil
}

func parsePrivate(path string, b []byte) (p PrivateConfig, problems settings.Problems) {
	t := networkTable()
	l := settings.New(t, networkFile{})
	l.ReadDocument(path, b)
	for _, r := range t.Rows[:2] {
		if len(l.Problems) == 0 && l.Origin(r.Key).Kind == "default" {
			l.Problems = append(l.Problems, &settings.Problem{
				File: path, Line: 1, Key: r.Key, Message: "there is no " + r.Key, Expected: r.Expected(), Example: r.FileExample(),
			})
		}
	}
	f := &l.Config
	if len(l.Problems) == 0 && strings.EqualFold(f.Secret, f.Accept) {
		accept, _ := t.Find("accept")
		l.Problems = append(l.Problems, &settings.Problem{
			File: path, Line: l.Origin("accept").Line, Key: accept.Key, Message: "accept is the same as secret", Expected: "another one, or none", Example: accept.FileExample(),
		})
	}
	if len(l.Problems) == 0 && f.Rotation != "" && f.Accept == "" {
		accept, _ := t.Find("accept")
		l.Problems = append(l.Problems, &settings.Problem{
			File: path, Line: l.Origin("rotation").Line, Key: "rotation", Message: "there is no accept, so no change of the secret is under way", Expected: "accept, or no rotation", Example: accept.FileExample(),
		})
	}
	if len(l.Problems) > 0 {
		return p, l.Problems
	}
	p = PrivateConfig{Name: f.Name, Rotation: f.Rotation, Seeds: f.Seeds}
	p.Secret, _ = protocol.ParseNetworkSecret(f.Secret) // its row has checked it
	if f.Accept != "" {
		p.Accept, _ = protocol.ParseNetworkSecret(f.Accept)
	}
	return p, nil
}

// maxNetworkFile is the size of the largest network file, in bytes.
const maxNetworkFile = 1 << 20

// ReadNetwork reads a network file. It refuses one that others than its owner and its group can read,
// or that another account than this one and root can change, with [ErrNetworkOpen]. The error of a bad file
// matches [ErrNetworkDamaged] and names lines; it never shows a secret.
func ReadNetwork(path string) (PrivateConfig, error) {
	b, _, err := readNetwork(path)
	if err != nil {
		return PrivateConfig{}, err
	}
	return ParsePrivate(path, b)
}

func readNetwork(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|datadir.NonBlock, 0) // opening a pipe would wait
	if err != nil {
		return nil, nil, fmt.Errorf("gamelan: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("gamelan: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("gamelan: %w", &fs.PathError{Op: "read", Path: path, Err: errors.New("it is not a regular file")})
	}
	if owner, _, ok := datadir.OwnerOf(info); ok {
		switch {
		case owner != 0 && owner != os.Geteuid():
			return nil, nil, fmt.Errorf("%w: %s belongs to the user with the id %d", ErrNetworkOpen, path, owner)
		case info.Mode().Perm()&0o027 != 0: // a group may read it, as that of a service
			return nil, nil, fmt.Errorf("%w: %s (mode %04o)", ErrNetworkOpen, path, info.Mode().Perm())
		}
	}
	if info.Size() > maxNetworkFile {
		return nil, nil, fmt.Errorf("%w: %s has more than %d bytes", ErrNetworkDamaged, path, maxNetworkFile)
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if n < len(b) && err != nil {
		return nil, nil, fmt.Errorf("gamelan: %w", err)
	}
	return b, info, nil
}

// WriteNew writes the network to a file that must not exist, for this account alone. An existing one
// is never replaced: the error matches [fs.ErrExist].
func (p PrivateConfig) WriteNew(path string) error {
	if err := p.validate(); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	_, err = f.WriteString(p.text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("gamelan: %w", err)
	}
	return nil
}

// ChangeNetwork changes a network file: it writes the file anew, as a whole or not at all, with the
// same owner and mode, and without comments that it had. Programs that change it at the same time wait for each
// other. An error of change leaves it as it is.
func ChangeNetwork(path string, change func(*PrivateConfig) error) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	unlock, err := lockNetwork(path)
	if err != nil {
		return err
	}
	defer unlock()
	b, info, err := readNetwork(path)
	if err != nil {
		return err
	}
	p, err := ParsePrivate(path, b)
	if err != nil {
		return err
	}
	if err := change(&p); err != nil {
		return err
	}
	if err := p.validate(); err != nil {
		return err
	}
	if err := replace.Like(path, info, strings.NewReader(p.text())); err != nil {
		return fmt.Errorf("gamelan: %w", err)
	}
	return nil
}

// lockNetwork waits until no other program changes a network file of the same folder. It locks the folder,
// since the file itself is replaced; Windows cannot do that, and gets a file for it.
func lockNetwork(path string) (unlock func(), err error) {
	lock := flock.New(filepath.Dir(path), flock.SetFlag(os.O_RDONLY))
	if runtime.GOOS == "windows" {
		lock = flock.New(path + ".lock")
	}
	if err := lock.Lock(); err != nil {
		return nil, fmt.Errorf("gamelan: lock of the network file: %w", err)
	}
	return func() { _ = lock.Close() }, nil
}

// AddSeed adds a peer to the seeds, given as KEY::ADDRESS. Other addresses of the same key are replaced.
func (p *PrivateConfig) AddSeed(text string) error {
	seed, err := peerstore.ParseSeed(text)
	if err != nil {
		return err
	}
	p.RemoveSeed(seed.Key.String())
	p.Seeds = append(p.Seeds, text)
	return nil
}

// RemoveSeed removes the seed with that public key, and reports whether there was one.
func (p *PrivateConfig) RemoveSeed(key string) bool {
	before := len(p.Seeds)
	p.Seeds = slices.DeleteFunc(slices.Clone(p.Seeds), func(s string) bool {
		of, _, _ := strings.Cut(s, "::")
		return strings.EqualFold(of, key)
	})
	return len(p.Seeds) < before
}

const networkHeader = `# A private network of Gamelan. Whoever has this file can join it: copy it only
# to machines of the network, on a way that nobody else can read, and keep it
# readable for the node alone (chmod 600). Programs that change it write it
# anew, without comments of yours.
`

// text returns the content of the file.
func (p *PrivateConfig) text() string {
	var b strings.Builder
	b.WriteString(networkHeader)
	fmt.Fprintf(&b, "\nname = %s\nsecret = %s\n", settings.TOML(p.Name), settings.TOML(hex.EncodeToString(p.Secret.Bytes())))
	if p.Accept != nil {
		fmt.Fprintf(&b, "\n# A second secret, which nodes let in but do not dial with.\naccept = %s\n", settings.TOML(hex.EncodeToString(p.Accept.Bytes())))
	}
	if p.Rotation != "" {
		fmt.Fprintf(&b, "# How far the change is: \"begun\", accept is the new secret; \"switched\", secret is.\nrotation = %s\n", settings.TOML(p.Rotation))
	}
	b.WriteString("\n# Peers that every node knows from the start.\nseeds = [\n")
	for _, s := range p.Seeds {
		fmt.Fprintf(&b, "  %s,\n", settings.TOML(s))
	}
	b.WriteString("]\n")
	return b.String()
}

// validate returns an error if the network cannot be joined.
func (p *PrivateConfig) validate() error {
	if len(p.Seeds) > maxNetworkSeeds {
		return badf("Private", "%d seeds, at most %d; leave some out", len(p.Seeds), maxNetworkSeeds)
	}
	if err := protocol.CheckPrivate(p.Name, p.Secret, p.Accept); err != nil {
		return bad("Private", err)
	}
	if err := p.checkRotation(); err != nil {
		return bad("Private", err)
	}
	return nil
}

// joinPrivate returns the private network that the settings name, nil for none.
func (s *Settled) joinPrivate() (*PrivateConfig, error) {
	switch {
	case s.Private != nil && s.Network != "":
		return nil, badf("Network", "Private is set as well; leave one of them out")
	case s.Private != nil && s.Profile != nil:
		return nil, badf("Private", "Profile is set as well; leave one of them out")
	case s.Private != nil:
		p := *s.Private
		return &p, p.validate()
	case s.Profile != nil || !IsNetworkFile(s.Network):
		return nil, nil
	}
	p, err := ReadNetwork(s.Network)
	if err != nil {
		return nil, bad("Network", err)
	}
	return &p, nil
}
