package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Paths is where everything is. All paths are absolute.
type Paths struct {
	Root      string // of everything, for scratch use; empty if each is alone
	Manifests string
	State     string // lasts over reboots
	Run       string // does not
	Logs      string
	Socket    string // of the API

	// SocketOnly is set when the user named the socket: then only a daemon that answers will do.
	SocketOnly bool
}

// Store is the file of the store.
func (p Paths) Store() string { return filepath.Join(p.State, "reconciler.db") }

// CgroupParent is the default of --cgroup-parent. Off the beaten track it carries the hash of the root, or of the run
// directory, so that two on one machine never share one.
func (p Paths) CgroupParent() string {
	place := p.Root
	switch {
	case place == "" && p.Run == defaultRun:
		return "/reconciler"
	case place == "":
		place = p.Run
	}
	sum := sha256.Sum256([]byte(place))
	return fmt.Sprintf("/reconciler-%x", sum[:4])
}

const defaultRun = "/run/reconciler"

// pathFlags are the flags of Paths. Each has an environment variable, RECONCILER_<NAME>.
var pathFlags = []struct{ name, env, otherwise, below, usage string }{
	{"root", "RECONCILER_ROOT", "", "", "put everything below this `directory`: DIR/manifests, DIR/state, DIR/run, DIR/logs"},
	{"manifests", "RECONCILER_MANIFESTS", "/etc/reconciler/manifests", "manifests", "`directory` of the manifests"},
	{"state", "RECONCILER_STATE", "/var/lib/reconciler", "state", "`directory` of the store and the locks"},
	{"run", "RECONCILER_RUN", defaultRun, "run", "`directory` of what does not outlive a reboot"},
	{"logs", "RECONCILER_LOGS", "/var/log/reconciler", "logs", "`directory` of the containers' output"},
	{"socket", "RECONCILER_SOCKET", "", "", "`path` of the daemon's socket (RUN/reconciler.sock); only a daemon that answers will do then"},
}

func addPathFlags(fs *pflag.FlagSet) {
	for _, f := range pathFlags {
		usage := f.usage
		if f.otherwise != "" {
			usage += fmt.Sprintf(" (%s)", f.otherwise)
		}
		fs.String(f.name, "", usage+" ["+f.env+"]")
	}
}

// pathsOf is Paths by the command line and, where that is silent, by the environment. A directory named alone outranks
// the root, but the command line outranks the environment altogether: `--root DIR` is all of DIR, whatever is exported.
func pathsOf(cmd *cobra.Command) (Paths, error) {
	flags := func(name, _ string) string { return cmd.Flag(name).Value.String() }
	environment := func(_, env string) string { return os.Getenv(env) }
	value := map[string]string{}
	for _, given := range []func(name, env string) string{flags, environment} {
		root := given("root", "RECONCILER_ROOT")
		placed := value["run"] != "" // by the command line, and with it the socket
		for _, f := range pathFlags {
			v := given(f.name, f.env)
			if v == "" && root != "" && f.below != "" {
				v = filepath.Join(root, f.below)
			}
			if value[f.name] == "" && !(f.name == "socket" && placed) {
				value[f.name] = v
			}
		}
	}
	return absolute(value)
}

// absolute fills in the defaults.
func absolute(value map[string]string) (Paths, error) {
	named := value["socket"] != ""
	for _, f := range pathFlags {
		v := value[f.name]
		if v == "" {
			v = f.otherwise
		}
		if f.name == "socket" && !named {
			v = filepath.Join(value["run"], "reconciler.sock")
		}
		if v == "" {
			continue
		}
		abs, err := filepath.Abs(v)
		if err != nil {
			return Paths{}, fmt.Errorf("--%s %s: %w", f.name, v, err)
		}
		value[f.name] = abs
	}
	return Paths{
		Root: value["root"], Manifests: value["manifests"], State: value["state"], Run: value["run"],
		Logs: value["logs"], Socket: value["socket"], SocketOnly: named,
	}, nil
}
