package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Annotations of ours in a derived config.json, which the runtime's state and list show: by them an instance is known
// after the store was lost.
const (
	annotationPrefix = "dev.reconciler."

	AnnotationName       = annotationPrefix + "name"       // of the container
	AnnotationInstance   = annotationPrefix + "instance"   // the runtime's id
	AnnotationGeneration = annotationPrefix + "generation" // of the spec it was made from
	AnnotationSpecHash   = annotationPrefix + "spec-hash"  // of what it was made from
	AnnotationInputHash  = annotationPrefix + "input-hash" // the same without the restart counter
	AnnotationResources  = annotationPrefix + "resources"  // overrides, JSON; absent for none
)

// Params is what an instance adds to its bundle.
type Params struct {
	Bundle      string // the user's; absolute, and without symlinks: runc refuses a root directory below one
	Instance    string
	Name        string
	CgroupPath  string // absolute below the root of each hierarchy: <cgroup parent>/<instance>
	Process     Process
	Annotations map[string]string // besides name and instance; keys are the Annotation constants

	// Resources overrides linux.resources and is an object in the runtime spec's own JSON, applied as a JSON Merge Patch (RFC
	// 7396): objects are merged by key, all else (a list such as devices or hugepageLimits as a whole) replaces what the bundle
	// has, and null removes it. Empty changes nothing. Only its form is checked here.
	Resources json.RawMessage

	OOMScoreAdj int // where the bundle says nothing; see oom_score_adj in proc_pid_oom_score_adj(5)
}

// Process overrides fields of the bundle's process; what is zero is the bundle's own.
type Process struct {
	Args     []string
	Env      map[string]*string // merged by key; nil removes
	Cwd      string
	Terminal *bool
}

// Derive makes the config.json of one instance. Notices are sentences about what the user asked for and does not get. The
// result passes Inspect, and deriving from it again with the same Params gives the same bytes. An error about config is
// an *Error, one about Params is not; the package comment lists what is touched.
func Derive(config []byte, p Params) (derived []byte, notices []string, err error) {
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	tree, err := parse(config)
	if err != nil {
		return nil, nil, err
	}
	if notices, err = tree.cgroup(p.CgroupPath); err != nil {
		return nil, nil, err
	}
	err = errors.Join(tree.paths(p.Bundle), tree.resources(p.Resources), tree.override(p), tree.annotate(p))
	if err != nil {
		return nil, nil, err
	}
	if _, err := tree.facts(); err != nil {
		return nil, nil, err
	}
	derived, err = tree.format()
	if err == nil && len(derived) > MaxConfig {
		err = malformed(config, 0, errTooLarge.Error()+" with what an instance adds")
	}
	if err != nil {
		return nil, nil, err
	}
	return derived, notices, nil
}

// check refuses what JSON cannot carry: encoding/json would write another path than the one that was asked for.
func (p Params) check() error {
	if !filepath.IsAbs(p.Bundle) || !filepath.IsAbs(p.CgroupPath) {
		return fmt.Errorf("bundle %q and cgroup %q must be absolute paths", p.Bundle, p.CgroupPath)
	}
	texts := append([]string{p.Bundle, p.Instance, p.Name, p.CgroupPath, p.Process.Cwd}, p.Process.Args...)
	for key, value := range p.Process.Env {
		if texts = append(texts, key); value != nil {
			texts = append(texts, *value)
		}
	}
	for _, s := range texts {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%q is not UTF-8 text", s)
		}
	}
	return nil
}

func (o object) cgroup(path string) (notices []string, err error) {
	linux, err := o.child("linux")
	if err != nil {
		return nil, err
	}
	own, err := linux.text("cgroupsPath")
	if err != nil {
		return nil, err
	}
	if own != "" && own != path {
		notices = append(notices, fmt.Sprintf("linux.cgroupsPath %.200q of the bundle is not used: the cgroup is %s", own, path))
	}
	linux.m["cgroupsPath"] = path
	return notices, nil
}

func (o object) override(p Params) error {
	process, there, err := o.object("process")
	if err != nil || !there {
		return err
	}
	if len(p.Process.Args) > 0 {
		process.setTexts("args", p.Process.Args)
	}
	if len(p.Process.Env) > 0 {
		env, err := process.texts("env")
		if err != nil {
			return err
		}
		process.setTexts("env", mergeEnv(env, p.Process.Env))
	}
	if p.Process.Cwd != "" {
		process.m["cwd"] = p.Process.Cwd
	}
	if p.Process.Terminal != nil {
		process.m["terminal"] = *p.Process.Terminal
	}
	// Without one the container would inherit the subreaper's, which is there to keep the kernel away from the subreaper.
	_, there, err = as[json.Number](process, "oomScoreAdj", "a number")
	if err == nil && !there {
		process.m["oomScoreAdj"] = json.Number(strconv.Itoa(p.OOMScoreAdj))
	}
	return err
}

// mergeEnv keeps the order of env: a changed variable stays where it was first, new ones follow by name.
func mergeEnv(env []string, changes map[string]*string) []string {
	merged := make([]string, 0, len(env)+len(changes))
	placed := map[string]bool{}
	for _, entry := range env {
		key, _, _ := strings.Cut(entry, "=")
		value, changed := changes[key]
		switch {
		case !changed:
			merged = append(merged, entry)
		case value != nil && !placed[key]:
			merged = append(merged, key+"="+*value)
			placed[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(changes)) {
		if value := changes[key]; value != nil && !placed[key] {
			merged = append(merged, key+"="+*value)
		}
	}
	return merged
}

// annotate sets ours, and nothing else below our prefix: a bundle made by copying a derived one must not claim to be an
// instance that it is not.
func (o object) annotate(p Params) error {
	annotations, err := o.child("annotations")
	if err != nil {
		return err
	}
	maps.DeleteFunc(annotations.m, func(key string, _ any) bool { return strings.HasPrefix(key, annotationPrefix) })
	for key, value := range p.Annotations {
		annotations.m[key] = value
	}
	annotations.m[AnnotationName] = p.Name
	annotations.m[AnnotationInstance] = p.Instance
	return nil
}
