package torconn

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"

	"github.com/gamelan-p2p/gamelan/internal/trusted"
	"github.com/gamelan-p2p/gamelan/transport/tor"
)

// Accounts returns the accounts of which the first that exists counts as Tor's, if none is set:
// those of Debian, Arch, macOS and BSD, and Fedora.
func Accounts() []string { return []string{"debian-tor", "tor", "_tor", "toranon"} }

// AccountError reports an account of Tor that was set and does not exist.
type AccountError struct{ Name string }

// Error says what to set.
func (e *AccountError) Error() string {
	return fmt.Sprintf("there is no account %q; set tor.user to the account that runs Tor, or to its number", e.Name)
}

// ReadCookie returns the first bytes of the first of the files that exists, at most one more
// than a cookie has, and which one it was. Only root, this program's account and Tor's may be
// able to change it: the given account, by its name or number, or one of [Accounts]. The error
// is a *[tor.UnsafeError] otherwise.
//
// spec: V 35
func ReadCookie(files []string, account string) ([]byte, tor.CookieFile, error) {
	uid, name, err := lookUp(account)
	if err != nil {
		return nil, tor.CookieFile{}, err
	}
	// A program of this account could change this node, whatever the cookie says.
	trusts := func(owner int) bool { return owner == 0 || owner == uid || owner == os.Geteuid() }
	var missing error
	for _, file := range files {
		f, owner, err := trusted.Open(file, trusts)
		switch unsafe, _ := errors.AsType[*trusted.UnsafeError](err); {
		case errors.Is(err, fs.ErrNotExist):
			if missing == nil {
				missing = err
			}
			continue
		case unsafe != nil:
			return nil, tor.CookieFile{}, &tor.UnsafeError{Path: unsafe.Path, Owner: unsafe.Owner, Mode: unsafe.Mode, Tor: name}
		case err != nil:
			return nil, tor.CookieFile{}, err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, tor.CookieLen+1))
		return b, tor.CookieFile{Path: file, Owner: owner}, err
	}
	return nil, tor.CookieFile{}, missing
}

// lookUp returns the user id of Tor's account and its name: -1 and none if there is no account
// of Tor, and none was given.
func lookUp(account string) (uid int, name string, err error) {
	names := Accounts()
	if account != "" {
		names = []string{account}
	}
	for _, name := range names {
		if found, err := user.Lookup(name); err == nil {
			if uid, err := strconv.Atoi(found.Uid); err == nil {
				return uid, name, nil
			}
		}
	}
	if account == "" {
		return -1, "", nil
	}
	if uid, err := strconv.ParseUint(account, 10, 31); err == nil { // it may exist in Tor's container alone
		return int(uid), account, nil
	}
	return -1, "", &AccountError{account}
}
