package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/reconcile"
	"reconciler.dev/reconciler/pkg/store"
)

// Applied is what became of a container that was applied. Problem says why its bundle cannot be used; empty if it can.
type Applied struct {
	Result  reconcile.Applied `json:"result"`
	Problem string            `json:"problem"`
}

// Apply makes a container wanted, its bundle's path absolute. The error is ErrConflict for a name that a manifest's file
// owns.
func (n *Node) Apply(ctx context.Context, c desired.Container, by string) (Applied, error) {
	result, err := n.Wishes.Apply(ctx, c, by)
	if owned, ok := errors.AsType[*reconcile.OwnedError](err); ok {
		return Applied{}, conflictOf(owned, "edit that file, or give this container another name")
	}
	if err != nil {
		return Applied{}, fmt.Errorf("container %q: %w", c.Name, err)
	}
	d, err := n.desired(c.Name)
	if err != nil {
		return Applied{}, err
	}
	return Applied{result, d.Problem}, nil
}

// Delete takes back what Apply made wanted. The error is ErrConflict for a name that a manifest's file owns.
func (n *Node) Delete(ctx context.Context, name, by string) error {
	err := n.Wishes.Delete(ctx, name, by)
	if owned, ok := errors.AsType[*reconcile.OwnedError](err); ok {
		return conflictOf(owned, "remove that file, or the container from it")
	}
	if errors.Is(err, store.ErrNotFound) {
		return n.notFound(name)
	}
	return err
}

func conflictOf(owned *reconcile.OwnedError, mend string) error {
	owner := owned.Owner
	if file, ok := strings.CutPrefix(owner, reconcile.SourceName+"/"); ok {
		owner = "the file " + file + " of the manifests directory"
	}
	return &Error{Reason: "Conflict", Message: fmt.Sprintf("container %q belongs to %s", owned.Name, owner), Suggestion: mend}
}

// manifestJSON is the manifest of a container.
func manifestJSON(c desired.Container) ([]byte, error) {
	var m struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name        string            `json:"name"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
		Spec desired.Spec `json:"spec"`
	}
	m.APIVersion, m.Kind, m.Spec = desired.APIVersion, desired.Kind, c.Spec
	m.Metadata.Name, m.Metadata.Labels, m.Metadata.Annotations = c.Name, orEmpty(c.Labels), orEmpty(c.Annotations)
	return json.Marshal(m)
}

// parseManifest reads the manifest of one container as strictly as a file's. Whoever sends it knows what its bundle's path
// is relative to; here it must be absolute.
func parseManifest(name string, body []byte) (desired.Container, error) {
	found, errs := desired.Parse(name+".json", body, "")
	if len(errs) > 0 {
		return desired.Container{}, invalid("%v", errors.Join(errs...))
	}
	c := found[0]
	switch {
	case len(found) > 1:
		return c, invalid("one container a request, not %d", len(found))
	case c.Name != name:
		return c, invalid("the manifest is of %q, the path of %q", c.Name, name)
	case !filepath.IsAbs(c.Spec.Bundle):
		return c, invalid("%s.json: spec.bundle: must be an absolute path, not %q", name, c.Spec.Bundle)
	}
	return c, nil
}

func applyContainer(b Backend, name string, w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return invalid("read the manifest: %v", err)
	}
	c, err := parseManifest(name, body)
	if err != nil {
		return err
	}
	applied, err := b.Apply(r.Context(), c, peerOf(r.Context()).String())
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, applied)
}

func deleteContainer(b Backend, name string, w http.ResponseWriter, r *http.Request) error {
	if err := b.Delete(r.Context(), name, peerOf(r.Context()).String()); err != nil {
		return err
	}
	return send(w, http.StatusAccepted, struct{}{})
}
