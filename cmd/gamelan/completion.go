package main

import (
	"fmt"
	"strings"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"One of bash, zsh and fish."`
}

// Help returns the text of gamelan completion --help below the flags.
func (*completionCmd) Help() string {
	return "bash: source <(gamelan completion bash). zsh: gamelan completion zsh > a directory of $fpath, as _gamelan. fish: gamelan completion fish | source."
}

func (c *completionCmd) Run(a *app) error {
	write := map[string]func([]verb) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err := fmt.Fprint(a.Out, write(verbs(a.parser)))
	return err
}

// below returns the patterns "PATH WORD" for a case statement of a shell, where WORD is a
// verb below PATH.
func below(all []verb, separator string) string {
	var paths []string
	for _, v := range all[1:] {
		paths = append(paths, `"`+v.path+`"`)
	}
	return strings.Join(paths, separator)
}

// namesOnly is the end of a shell's command that turns the table of gamelan peers names into
// the names.
const namesOnly = `2>/dev/null | sed '1d;s/ .*//'`

// peerVerbs returns the patterns of a shell for the verbs after which a name of a peer may
// follow.
func peerVerbs(all []verb, separator string) string {
	var paths []string
	for _, v := range all {
		if v.takesPeer() {
			paths = append(paths, `"`+v.path+`"`)
		}
	}
	return strings.Join(paths, separator)
}

// longFlags returns the flags of a verb as a user types them.
func longFlags(v verb, all []verb) []string {
	var words []string
	for _, f := range v.every(all[0]) {
		words = append(words, "--"+f.Name)
		if f.Tag != nil && f.Tag.Negatable != "" {
			words = append(words, "--no-"+f.Name)
		}
	}
	return words
}

func bashCompletion(all []verb) string {
	var b strings.Builder
	b.WriteString("# bash completion of gamelan, written by gamelan completion bash.\n" +
		"_gamelan() {\n" +
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at=gamelan words= dir= w i\n" +
		"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tw=${COMP_WORDS[i]}\n\t\t[ \"${COMP_WORDS[i-1]}\" != --data-dir ] || dir=$w\n\t\tcase \"$at $w\" in\n")
	fmt.Fprintf(&b, "\t\t%s) at=\"$at $w\" ;;\n\t\tesac\n\tdone\n", below(all, " | "))
	b.WriteString("\tcase \"$at $prev\" in\n")
	for _, v := range all {
		for _, f := range v.flags() {
			switch values := choices(f); {
			case len(values) > 0:
				fmt.Fprintf(&b, "\t%q) words=%q ;;\n", v.path+" --"+f.Name, strings.Join(values, " "))
			case takesValue(f) && v.path == "gamelan":
				fmt.Fprintf(&b, "\t*\" --%s\") COMPREPLY=(); return ;; # a file\n", f.Name)
			case takesValue(f):
				fmt.Fprintf(&b, "\t%q) COMPREPLY=(); return ;;\n", v.path+" --"+f.Name)
			}
		}
	}
	b.WriteString("\tesac\n\t[ -n \"$words\" ] || case \"$at\" in\n")
	for _, v := range all {
		fmt.Fprintf(&b, "\t%q) words=%q ;;\n", v.path, strings.Join(append(v.words(), longFlags(v, all)...), " "))
	}
	fmt.Fprintf(&b, "\tesac\n\tcase \"$at\" in\n\t%s) words=\"$words $(%s)\" ;;\n", peerVerbs(all, " | "), `"${COMP_WORDS[0]}" peers names ${dir:+--data-dir "$dir"} `+namesOnly)
	b.WriteString("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _gamelan gamelan\n")
	return b.String()
}

// described returns a word with its description in the form of zsh.
func described(word, help string) string {
	return "'" + strings.NewReplacer(":", `\:`).Replace(word) + ":" + strings.NewReplacer("'", `'\''`).Replace(help) + "'"
}

func zshCompletion(all []verb) string {
	var b strings.Builder
	b.WriteString("#compdef gamelan\n# zsh completion of gamelan, written by gamelan completion zsh.\n" +
		"_gamelan() {\n\tlocal at=gamelan w\n\tlocal -a list\n" +
		"\tfor w in ${words[2,CURRENT-1]}; do\n\t\tcase \"$at $w\" in\n")
	fmt.Fprintf(&b, "\t\t%s) at=\"$at $w\" ;;\n\t\tesac\n\tdone\n\tcase \"$at ${words[CURRENT-1]}\" in\n", below(all, "|"))
	for _, v := range all {
		for _, f := range v.own() {
			if values := choices(f); len(values) > 0 {
				fmt.Fprintf(&b, "\t%q)\n\t\tlist=(%s)\n\t\tcompadd -a list\n\t\treturn\n\t\t;;\n", v.path+" --"+f.Name, strings.Join(values, " "))
			}
		}
	}
	b.WriteString("\tesac\n\tcase \"$at\" in\n")
	for _, v := range all {
		fmt.Fprintf(&b, "\t%q)\n\t\tlist=(\n", v.path)
		for _, w := range v.words() {
			fmt.Fprintf(&b, "\t\t\t%s\n", described(w, helpOf(v, w)))
		}
		for _, f := range v.every(all[0]) {
			fmt.Fprintf(&b, "\t\t\t%s\n", described("--"+f.Name, shown(f.Value)))
		}
		b.WriteString("\t\t)\n\t\t;;\n")
	}
	fmt.Fprintf(&b, "\tesac\n\tcase \"$at\" in\n\t%s) list+=(${(f)\"$(gamelan peers names %s)\"}) ;;\n", peerVerbs(all, "|"), namesOnly)
	b.WriteString("\tesac\n\t_describe gamelan list || _files\n}\nif [ \"$funcstack[1]\" = _gamelan ]; then\n\t_gamelan \"$@\"\nelse\n\tcompdef _gamelan gamelan\nfi\n")
	return b.String()
}

// helpOf returns the help of a word below a verb.
func helpOf(v verb, word string) string {
	for _, c := range v.node.Children {
		if c.Name == word {
			return c.Help
		}
	}
	return ""
}

func fishCompletion(all []verb) string {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'" }
	var b strings.Builder
	b.WriteString("# fish completion of gamelan, written by gamelan completion fish.\n" +
		"function __gamelan_at\n\tset -l at gamelan\n\tfor w in (commandline -opc)[2..-1]\n\t\tswitch \"$at $w\"\n")
	fmt.Fprintf(&b, "\t\t\tcase %s\n\t\t\t\tset at \"$at $w\"\n\t\tend\n\tend\n\ttest \"$at\" = \"$argv[1]\"\nend\n", below(all, " "))
	for _, v := range all {
		when := quote("__gamelan_at " + quote(v.path))
		for _, w := range v.words() {
			fmt.Fprintf(&b, "complete -c gamelan -n %s -a %s -d %s\n", when, quote(w), quote(helpOf(v, w)))
		}
		if v.takesPeer() {
			fmt.Fprintf(&b, "complete -c gamelan -n %s -a %s -d name\n", when, quote("(gamelan peers names "+namesOnly+")"))
		}
		for _, f := range v.own() {
			if v.path == "gamelan" {
				fmt.Fprintf(&b, "complete -c gamelan -l %s -d %s", f.Name, quote(shown(f.Value)))
			} else {
				fmt.Fprintf(&b, "complete -c gamelan -n %s -l %s -d %s", when, f.Name, quote(shown(f.Value)))
			}
			if takesValue(f) {
				b.WriteString(" -r")
			}
			if values := choices(f); len(values) > 0 {
				fmt.Fprintf(&b, " -a %s", quote(strings.Join(values, " ")))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
