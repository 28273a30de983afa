package api

import (
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// What a restored store says is in doubt is not by being said again, though it is the same.
func TestSaidAgainIsNotInDoubt(t *testing.T) {
	w := newWorld(t)
	w.want("web", nil)
	boot, err := subreaper.BootID()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	doubt := func(v *store.Verbs) error {
		v.Override = &store.Override{State: desired.Stopped, By: "root", At: at, InDoubt: true}
		return nil
	}
	held := store.Down{By: "root", At: at, BootID: boot, InDoubt: true}
	if err := w.DB.UpdateVerbs(t.Context(), "web", doubt); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.Commit(t.Context(), store.Change{Down: &held}); err != nil {
		t.Fatal(err)
	}
	if c, err := w.Container(t.Context(), "web"); err != nil || c.Status.Override == nil || !c.Status.Override.InDoubt {
		t.Errorf("%+v, %v", c, err)
	}
	down, err := w.Down(t.Context(), "", "uid 7")
	if err != nil || down.InDoubt || down.By != "uid 7" {
		t.Errorf("%+v, %v", down, err)
	}
	if err := w.Up(t.Context(), "", "root"); err != nil {
		t.Fatal(err)
	}
	if err := w.Stop(t.Context(), "web", "uid 7"); err != nil {
		t.Fatal(err)
	}
	d, err := w.DB.Desired("web")
	if err != nil || d.Verbs.Override == nil || d.Verbs.Override.InDoubt || d.Verbs.Override.By != "uid 7" {
		t.Errorf("%+v, %v", d, err)
	}
}
