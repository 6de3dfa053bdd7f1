package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/adrg/xdg"
	"github.com/alecthomas/kong"

	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/daemonconfig"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/failure"
	"github.com/gamelan-p2p/gamelan/cmd/gamelan/internal/nodedir"
	"github.com/gamelan-p2p/gamelan/internal/settings"
)

// configFilesText describes the places of a configuration file, for all machines.
const configFilesText = "gamelan/gamelan.toml in the configuration directories of XDG, which are ~/.config and /etc/xdg, and /etc/gamelan/gamelan.toml"

// configFiles returns the possible paths of a configuration file, in order.
func configFiles() []string {
	var all []string
	for _, dir := range append([]string{xdg.ConfigHome}, xdg.ConfigDirs...) {
		all = append(all, filepath.Join(dir, "gamelan", "gamelan.toml"))
	}
	if runtime.GOOS != "windows" {
		all = append(all, "/etc/gamelan/gamelan.toml")
	}
	return all
}

// setSources sets the sources of the settings. file and dir are the values of --config and
// --data-dir, or "".
func (a *app) setSources(file, dir string) {
	a.sources = daemonconfig.Sources{Files: configFiles(), Own: 1, Environ: os.Environ(), Flags: map[string][]string{}}
	if file != "" {
		a.sources.Files, a.sources.Own, a.sources.Named = []string{file}, 0, true
		if file != os.Getenv("GAMELAN_CONFIG") {
			a.configArg = " --config " + nodedir.Quote(file)
		}
	}
	if dir != "" {
		a.sources.Flags["data_dir"] = []string{dir}
	}
}

// load reads the settings, including the flags of a verb.
func (a *app) load(flags map[string][]string) *daemonconfig.Loaded {
	s := a.sources
	s.Flags = maps.Clone(s.Flags)
	maps.Copy(s.Flags, flags)
	return daemonconfig.Load(s)
}

// locate sets the data directory. It ignores problems of other settings: the verb only
// needs to find the node.
func (a *app) locate(l *daemonconfig.Loaded) error {
	path, from, unknown := daemonconfig.DataDir(l)
	if len(unknown) > 0 {
		return daemonconfig.Problems(unknown)
	}
	switch {
	case from.Kind == "flag":
		a.dir = nodedir.Named(path)
	case path == "":
		if !filepath.IsAbs(os.Getenv("HOME")) && !filepath.IsAbs(os.Getenv("XDG_DATA_HOME")) && runtime.GOOS != "windows" {
			return failure.Usage("name the data directory with --data-dir or GAMELAN_DATA_DIR, or set HOME", "there is no home directory: HOME is %q, and user %d has no entry with one", os.Getenv("HOME"), os.Getuid())
		}
		a.dir = nodedir.Dir{Path: nodedir.Default(), Args: a.configArg}
	default:
		a.dir = nodedir.Dir{Path: path, Args: a.configArg}
	}
	a.dir.Group = l.Config.Node.DataDirGroup
	a.dir.Args += a.remoteArgs
	a.Args = a.dir.Args
	return nil
}

// settingFlagsType is a struct with a flag for every setting except the data
// directory, whose flag all verbs have.
var settingFlagsType = sync.OnceValue(func() reflect.Type {
	var fields []reflect.StructField
	for i, s := range daemonconfig.Settings {
		if s.Key == "data_dir" {
			continue
		}
		f := reflect.StructField{Name: fieldName(i), Type: reflect.TypeFor[*string]()}
		help := fmt.Sprintf("%s (default: %s)", s.Doc, s.Default())
		more := ""
		switch {
		case s.List():
			f.Type = reflect.TypeFor[[]string]()
			help = "May be given several times. " + help
			more = ` sep:"none"`
		case s.Kind == settings.Switch:
			f.Type = reflect.TypeFor[*bool]()
			if !strings.HasPrefix(s.FlagName(), "no-") {
				more = ` negatable:""`
			}
		}
		f.Tag = reflect.StructTag(fmt.Sprintf("name:%s help:%s placeholder:%s%s",
			strconv.Quote(s.FlagName()), strconv.Quote(help), strconv.Quote(placeholder(s)), more))
		if section := s.Section(); section != "" {
			f.Tag += reflect.StructTag(" group:" + strconv.Quote("Flags of the settings "+section+".*:"))
		}
		fields = append(fields, f)
	}
	return reflect.StructOf(fields)
})

func fieldName(i int) string { return "S" + strconv.Itoa(i) }

func placeholder(s *daemonconfig.Setting) string {
	switch s.Kind {
	case settings.Count, settings.Types:
		return "N"
	case settings.Size:
		return "SIZE"
	case settings.Duration:
		return "TIME"
	case settings.Addrs:
		return "ADDR"
	case settings.Seeds:
		return "KEY::ADDR"
	}
	return "NAME"
}

// settingFlags returns the values of the flags of settingFlagsType, by the key of the
// setting.
func settingFlags(p kong.Plugins) map[string][]string {
	given := map[string][]string{}
	v := reflect.ValueOf(p[0]).Elem()
	for i, s := range daemonconfig.Settings {
		f := v.FieldByName(fieldName(i))
		if !f.IsValid() || f.IsNil() {
			continue
		}
		switch f := f.Interface().(type) {
		case []string:
			given[s.Key] = f
		case *string:
			given[s.Key] = []string{*f}
		case *bool:
			given[s.Key] = []string{strconv.FormatBool(*f)}
		}
	}
	return given
}
