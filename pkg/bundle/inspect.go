package bundle

import (
	"fmt"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// PIDNamespace says whose pid namespace a container's processes live in.
type PIDNamespace string

const (
	Private PIDNamespace = "Private" // its own: it ends with its init, all at once
	Shared  PIDNamespace = "Shared"  // the host's: its other processes outlive its init
	Joined  PIDNamespace = "Joined"  // somebody else's, given by path: as Shared
)

// Facts is what a config.json says that decides how its instances are run and cleaned up.
type Facts struct {
	PIDNamespace PIDNamespace
	PIDPath      string   // of a Joined one
	Hooks        bool     // there is at least one, of any kind
	Root         string   // root.path; relative to the bundle unless this is a derived config.json
	Cwd          string   // process.cwd, absolute in the container
	Args         []string // never empty
	Terminal     bool
}

// Inspect reads what must be known of a config.json and refuses one that no runtime would run, or that runtimes would
// read in another way than we do. An error is an *Error and names the field, or the line and column of a syntax error.
func Inspect(config []byte) (Facts, error) {
	tree, err := parse(config)
	if err != nil {
		return Facts{}, err
	}
	return tree.facts()
}

func (o object) facts() (f Facts, err error) {
	if err := o.process(&f); err != nil {
		return Facts{}, err
	}
	root, there, err := o.object("root")
	if err != nil {
		return Facts{}, err
	}
	if f.Root, err = root.text("path"); err != nil {
		return Facts{}, err
	}
	if !there || f.Root == "" {
		return Facts{}, wrong("root.path", "is missing: name the root file system, such as rootfs")
	}
	if f.Hooks, err = o.hooks(); err != nil {
		return Facts{}, err
	}
	f.PIDNamespace, f.PIDPath, err = o.pidNamespace()
	if err != nil {
		return Facts{}, err
	}
	if err := o.checkResources(); err != nil {
		return Facts{}, err
	}
	return f, nil
}

func (o object) process(f *Facts) error {
	p, there, err := o.object("process")
	if err != nil {
		return err
	}
	if !there {
		return wrong("process", "is missing: there is nothing to run")
	}
	if f.Args, err = p.texts("args"); err != nil {
		return err
	}
	if len(f.Args) == 0 || f.Args[0] == "" {
		return wrong("process.args", "must not be empty: give the command to run")
	}
	if f.Cwd, err = p.text("cwd"); err != nil {
		return err
	}
	if !filepath.IsAbs(f.Cwd) {
		return wrong("process.cwd", "must be an absolute path in the container, is %.60q", f.Cwd)
	}
	if _, err := p.texts("env"); err != nil {
		return err
	}
	f.Terminal, _, err = as[bool](p, "terminal", "true or false")
	return err
}

// hooks reports whether there are any. Kinds of hooks that are not known today count as well.
func (o object) hooks() (bool, error) {
	hooks, _, err := o.object("hooks")
	if err != nil {
		return false, err
	}
	for _, kind := range hooks.m {
		if list, ok := kind.([]any); !ok && kind != nil || len(list) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// pidNamespace reads the namespaces as runtimes do: no pid entry is the host's namespace, one without a path is a new
// one. The kind of entry must be certain, since a wrong answer would leave processes behind.
func (o object) pidNamespace() (PIDNamespace, string, error) {
	linux, _, err := o.object("linux")
	if err != nil {
		return "", "", err
	}
	namespaces, err := linux.objects("namespaces")
	if err != nil {
		return "", "", err
	}
	found, at := Shared, ""
	for i, ns := range namespaces {
		name, err := ns.text("type")
		if err != nil {
			return "", "", err
		}
		path, err := ns.text("path")
		if err != nil {
			return "", "", err
		}
		switch {
		case name != string(specs.PIDNamespace):
		case found != Shared:
			return "", "", wrong(fmt.Sprintf("linux.namespaces[%d]", i), "is a second pid namespace: remove one")
		case path == "":
			found = Private
		default:
			found, at = Joined, path
		}
	}
	return found, at, nil
}
