package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/inspect"
	"github.com/gamelan-p2p/gamelan/inspect/client"
)

// maxTokenFile bounds the file of --token-file, in bytes.
const maxTokenFile = 4 << 10

// setRemote sets the node that --node and --token-file name, if they do. What they name is asked in place of
// the node of the data directory; names of peers are still those of the directory.
func (a *app) setRemote(url, file string) error {
	if url == "" && file == "" {
		return nil
	}
	if file == "" {
		return failure.Usage("give its token with --token-file; gamelan token writes that file on the machine of the node", "a node at %s answers nobody without a token", url)
	}
	r, err := readTokenFile(file)
	if err != nil {
		return err
	}
	if url != "" {
		r.URL = url
	}
	if r.URL == "" {
		return failure.Usage("give the address of the node with --node https://HOST:PORT", "%s has a token and no address", file)
	}
	if info, err := os.Stat(file); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		a.Note("Others on this machine can read the token in %s; \"chmod 600 %s\" ends that.", file, nodedir.Quote(file))
	}
	if _, err = client.NewRemote(r, client.Options{}); err != nil {
		return failure.Usage(remoteHint(err), "the node at %s cannot be asked: %s", r.URL, failure.Text(err)).Because(err)
	}
	a.remote = &r
	if url != "" {
		a.remoteArgs = " --node " + nodedir.Quote(url)
	}
	a.remoteArgs += " --token-file " + nodedir.Quote(file)
	return nil
}

// remoteHint returns what to do about a node that cannot be asked.
func remoteHint(err error) string {
	switch {
	case errors.Is(err, client.ErrPlainURL):
		return "set inspect.tls = true on that node, and give https://HOST:PORT"
	case errors.Is(err, client.ErrFingerprint):
		return "write the file anew with gamelan token on the machine of the node"
	case errors.Is(err, inspect.ErrBadToken):
		return "write the file anew with gamelan token on the machine of the node"
	}
	return "give https://HOST:PORT, as gamelan token writes it on the machine of the node"
}

// readTokenFile reads the file of --token-file: an address, a fingerprint and a token, in any order, with white
// space between them, or a token alone.
func readTokenFile(path string) (r client.Remote, err error) {
	b, err := readSome(path)
	if err != nil {
		return r, failure.New("token", "write it with gamelan token on the machine of the node", "%s cannot be read: %s", path, failure.Reason(err)).Because(err)
	}
	for word := range strings.FieldsSeq(string(b)) {
		token, err := inspect.ParseToken(word)
		switch {
		case err == nil:
			r.Token = token
		case strings.HasPrefix(word, "https://"), strings.HasPrefix(word, "http://"):
			r.URL = word
		case strings.HasPrefix(word, "sha256:"):
			r.Fingerprint = word
		default:
			return r, notATokenFile(path)
		}
	}
	if r.Token.IsZero() {
		return r, notATokenFile(path)
	}
	return r, nil
}

func notATokenFile(path string) error {
	return failure.New("token", "write it with gamelan token on the machine of the node", "%s is no file of gamelan token", path)
}

// readSome reads a small file.
func readSome(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is a directory")}
	}
	return io.ReadAll(io.LimitReader(f, maxTokenFile))
}

// asks returns a client of the node of this command.
func (a *app) asks(o client.Options) *client.Client {
	if a.remote == nil {
		return client.New(a.dir.Path, o)
	}
	c, err := client.NewRemote(*a.remote, o)
	if err != nil {
		panic(err) // setRemote has made one
	}
	return c
}

// where says of which node a note is.
func (a *app) where() string {
	if a.remote != nil {
		return "at " + a.remote.URL
	}
	return "in " + a.dir.Path
}

// onlyHere refuses --node for a command that does not ask a running node.
func (a *app) onlyHere(verb any) error {
	if a.remote == nil {
		return nil
	}
	switch verb.(type) {
	case *initCmd, *nodeCmd, *seedCmd, *storeCheckCmd, *tokenCmd:
		return failure.Usage("run it on the machine of the node", "this command works on a data directory, and --node names a node at %s", a.remote.URL)
	}
	return nil
}

// tokenCmd writes what another machine needs to ask this node.
type tokenCmd struct {
	ReadOnly bool   `help:"Write the token of a reader, who changes nothing and sees no messages."`
	Output   string `short:"o" help:"Write a file that only its owner can read; it must not exist (default: standard output)." placeholder:"FILE"`
}

// Help returns the text of gamelan token --help below the flags.
func (*tokenCmd) Help() string {
	return "The line has the address of the node's API, the fingerprint of its certificate, and the token. Whoever has it can ask the node from any machine: keep it secret. " +
		"The setting inspect.listen says where the node listens; from other machines it needs inspect.tls, too.\n\n" +
		"To take a token back, stop the node, remove the files token and token.read in its data directory, and start it again."
}

// tokenJSON is the output of token with --json.
type tokenJSON struct {
	URL         string `json:"url"`
	Fingerprint string `json:"fingerprint,omitempty"` // empty: the system's authorities vouch for the certificate, or there is no TLS
	Token       string `json:"token"`
	Scope       string `json:"scope"` // "read" or "admin"
}

// Run asks the node where it listens, and writes the token that it has.
func (c *tokenCmd) Run(a *app) error {
	at, err := a.client().Access(a.ctx)
	if client.CodeOf(err) == inspect.CodeNotFound {
		return failure.New("no_listen", "run it with gamelan node, and set inspect.listen", "a program, or an older gamelan, runs the node in %s: it is not reached over TCP", a.dir.Path).Because(err)
	}
	if err != nil {
		return err
	}
	if !at.On {
		return failure.New("no_listen", "set inspect.listen = \"0.0.0.0:9465\" and inspect.tls = true, and start it again", "the node in %s is not reached over TCP", a.dir.Path)
	}
	v := tokenJSON{URL: at.URL, Fingerprint: at.Fingerprint, Scope: "admin"}
	file := a.dir.TokenFile()
	if c.ReadOnly {
		file, v.Scope = a.dir.ReadTokenFile(), "read"
	}
	b, err := readSome(file)
	if err != nil {
		return nodedir.Unusable(file, err)
	}
	v.Token = strings.TrimSpace(string(b))
	if _, err := inspect.ParseToken(v.Token); err != nil {
		return failure.New("token", "start the node again: it writes a new one", "%s is damaged", file)
	}
	line := strings.Join(strings.Fields(v.URL+" "+v.Fingerprint+" "+v.Token), " ") + "\n"
	switch {
	case c.Output != "":
		return writeToken(a, c.Output, line)
	case a.JSON:
		return a.PrintJSON(v)
	}
	_, err = io.WriteString(a.Out, line)
	return err
}

// writeToken writes a file that must not exist, for its owner alone.
func writeToken(a *app, path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return reportThere(path)
	case err != nil:
		return failure.New("file", "choose another one with --output", "%s cannot be written: %s", path, failure.Reason(err)).Because(err)
	}
	_, err = f.WriteString(line)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return failure.New("file", "choose another one with --output", "%s cannot be written: %s", path, failure.Reason(err)).Because(err)
	}
	a.Note("Wrote %s. Next: move it to the other machine, and use it there: gamelan --token-file %s status", path, nodedir.Quote(path))
	return nil
}
