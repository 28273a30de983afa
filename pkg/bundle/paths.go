package bundle

import (
	"errors"
	"path/filepath"
	"slices"
)

// paths makes absolute what runtimes take from the directory of the config.json they read: the derived one's is another.
// They join such paths with it by their text, as is done here: a symlink before a .. is not followed.
func (o object) paths(bundle string) error {
	return errors.Join(o.rootPath(bundle), o.bindSources(bundle), o.hookPaths(bundle), o.seccompAgent(bundle))
}

func (o object) rootPath(bundle string) error {
	root, there, err := o.object("root")
	if err != nil || !there {
		return err // what is missing is told last
	}
	return root.makeAbsolute("path", bundle)
}

func (o object) bindSources(bundle string) error {
	mounts, err := o.objects("mounts")
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		bind, err := mount.isBind()
		if err != nil {
			return err
		}
		source, err := mount.text("source")
		switch {
		case err != nil:
			return err
		case bind && source == "":
			return wrong(mount.field("source"), "is missing: a bind mount needs one")
		case bind:
			mount.m["source"] = absolute(bundle, source)
		}
	}
	return nil
}

// isBind goes by the options, as runtimes do. A mount of type bind without the option is refused by all of them, at each
// create anew.
func (o object) isBind() (bool, error) {
	name, err := o.text("type")
	if err != nil {
		return false, err
	}
	options, err := o.texts("options")
	if err != nil {
		return false, err
	}
	bind := slices.Contains(options, "bind") || slices.Contains(options, "rbind")
	if name == "bind" && !bind {
		return false, wrong(o.field("options"), "must have bind or rbind: runtimes refuse a mount of type bind without one")
	}
	return bind, nil
}

// hostHooks are the kinds whose path is one of the host, according to the runtime spec's config.md: startContainer's is
// one in the container. It must be absolute, but runc 1.1 runs a relative one from the bundle where its directory is that.
var hostHooks = []string{"prestart", "createRuntime", "createContainer", "poststart", "poststop"}

func (o object) hookPaths(bundle string) error {
	hooks, _, err := o.object("hooks")
	if err != nil {
		return err
	}
	for _, kind := range hostHooks {
		list, err := hooks.objects(kind)
		if err != nil {
			return err
		}
		for _, hook := range list {
			if err := hook.makeAbsolute("path", bundle); err != nil {
				return err
			}
		}
	}
	return nil
}

// seccompAgent is the socket on which a seccomp agent listens.
func (o object) seccompAgent(bundle string) error {
	linux, _, err := o.object("linux")
	if err != nil {
		return err
	}
	seccomp, _, err := linux.object("seccomp")
	if err != nil {
		return err
	}
	return seccomp.makeAbsolute("listenerPath", bundle)
}

// makeAbsolute leaves a path alone that is not there.
func (o object) makeAbsolute(key, bundle string) error {
	path, err := o.text(key)
	if err == nil && path != "" {
		o.m[key] = absolute(bundle, path)
	}
	return err
}

func absolute(bundle, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(bundle, path)
}
