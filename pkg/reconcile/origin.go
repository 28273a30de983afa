package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"reconciler.dev/reconciler/pkg/bundle"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
)

// origin is what an instance carries of where it comes from.
func origin(d *store.Desired, attempt *store.Attempt) map[string]string {
	annotations := map[string]string{
		bundle.AnnotationGeneration: strconv.FormatInt(d.Generation, 10),
		bundle.AnnotationInputHash:  d.InputHash,
		bundle.AnnotationSpecHash:   attempt.SpecHash,
	}
	if attempt.Resources != nil {
		annotations[bundle.AnnotationResources] = string(attempt.Resources)
	}
	return annotations
}

// Origin reads what Launch wrote on an instance: the annotations of its derived config.json, which lies where only root
// writes. It is nil for what was not made by Launch as it is now, and for what the runtime knows nothing of.
//
// A runtime keeps exec.fifo in its directory of a container from create until start has opened it.
func (n *Node) Origin(instance string) (*observed.Origin, error) {
	path := filepath.Join(n.Bundles, instance, "config.json")
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	config, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var carried struct{ Annotations map[string]string }
	facts, err := bundle.Inspect(config)
	if err != nil || json.Unmarshal(config, &carried) != nil || carried.Annotations[bundle.AnnotationInstance] != instance {
		return nil, nil // torn by a power cut, or a stranger's
	}
	at := func(key string) string { return carried.Annotations[key] }
	o := &observed.Origin{
		InputHash: at(bundle.AnnotationInputHash), SpecHash: at(bundle.AnnotationSpecHash),
		Private: facts.PIDNamespace == bundle.Private && !facts.Hooks, MadeAt: info.ModTime().UTC(),
	}
	if text := at(bundle.AnnotationResources); json.Valid([]byte(text)) {
		o.Resources = json.RawMessage(text)
	}
	dir := filepath.Join(n.RuntimeRoot, instance)
	if _, err := os.Lstat(dir); err != nil {
		return nil, ignoreGone(err)
	}
	_, err = os.Lstat(filepath.Join(dir, "exec.fifo"))
	o.Started = errors.Is(err, fs.ErrNotExist)
	if ignoreGone(err) != nil {
		return nil, fmt.Errorf("is %s started: %w", instance, err)
	}
	return o, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
