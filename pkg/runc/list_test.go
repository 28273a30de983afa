package runc

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func TestListWithDamagedEntries(t *testing.T) {
	onEachRuntime(t, func(t *testing.T, w *world) {
		if s, d, err := w.List(t.Context()); err != nil || len(s) > 0 || len(d) > 0 {
			t.Fatalf("empty: %v, %v, %v", s, d, err)
		}
		w.create("created", "exit 0")
		w.stopped("stopped")
		for _, file := range []string{"state.json", "status"} { // runc's and crun's
			for name, text := range map[string]string{"empty": "", "torn": `{"id":"to`, "object": "{}"} {
				dir := filepath.Join(w.root, name)
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(dir) })
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		nothing := filepath.Join(w.root, "nothing")
		if err := os.Mkdir(nothing, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(nothing) })
		states, damaged, err := w.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]Status{}
		for _, s := range states {
			got[s.ID] = s.Status
		}
		if len(got) != 2 || got["created"] != Created || got["stopped"] != Stopped {
			t.Errorf("states: %v", got)
		}
		var ids []string
		for _, d := range damaged {
			if d.Err == nil {
				t.Errorf("%s: damaged, without an error", d.ID)
			}
			ids = append(ids, d.ID)
		}
		slices.Sort(ids)
		if want := []string{"empty", "nothing", "object", "torn"}; !slices.Equal(ids, want) {
			t.Errorf("damaged: %q, want %q", ids, want)
		}
	})
}

func TestListAsksOneByOneWhereTheListFails(t *testing.T) {
	const states = `
		state)
			case $id in
			good) echo '{"id":"good","status":"stopped"}' ;;
			*) echo '{"level":"error","msg":"torn"}' >"$log"; exit 1 ;;
			esac ;;
		esac`
	for name, list := range map[string]string{
		"crun: one damaged status fails it": `echo '{"level":"error","msg":"torn"}' >"$log"; exit 1`,
		"runc 1.5.2 panics":                 `echo panic >&2; exit 2`,
		"garbage":                           `echo garbage`,
		"runc leaves it out":                `echo '[{"id":"good","status":"stopped"}]'; echo 'load container torn: EOF' >&2`,
		"null":                              `echo null`,
	} {
		r := scripted(t, long, `case $verb in list) `+list+` ;;`+states)
		for _, id := range []string{"good", "torn", ".hidden", "bad id"} {
			if err := os.Mkdir(filepath.Join(r.root, id), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		found, damaged, err := r.List(t.Context())
		if err != nil || len(found) != 1 || found[0].ID != "good" {
			t.Errorf("%s: %v, %v", name, found, err)
		}
		errs := map[string]error{}
		for _, d := range damaged {
			errs[d.ID] = d.Err
		}
		if len(errs) != 3 || !errors.Is(errs[".hidden"], ErrInvalidID) || !errors.Is(errs["bad id"], ErrInvalidID) || errs["torn"] == nil {
			t.Errorf("%s: damaged: %v", name, damaged)
		}
	}
}

func TestListFailsWithARuntimeThatDoesNotAnswer(t *testing.T) {
	for _, c := range []struct{ name, list, calls string }{
		{"at all", "exec sleep 600", "list "},
		{"about one", "exit 1", "list state "}, // and is not asked about the others
	} {
		r := scripted(t, short, `printf '%s ' $verb >>"$root/calls"; [ $verb != list ] || `+c.list+`; exec sleep 600`)
		for i := range 5 {
			if err := os.Mkdir(filepath.Join(r.root, strconv.Itoa(i)), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if s, d, err := r.List(t.Context()); !errors.Is(err, ErrTimeout) || s != nil || d != nil {
			t.Errorf("%s: %v, %v, %v", c.name, s, d, err)
		}
		if calls, _ := os.ReadFile(filepath.Join(r.root, "calls")); string(calls) != c.calls {
			t.Errorf("%s: it was called for %q", c.name, calls)
		}
	}
}

func TestListLeavesOutWhatIsDeletedMeanwhile(t *testing.T) {
	r := scripted(t, long, `case $verb in list) rmdir "$root/a"; echo null ;; state) echo '{"level":"error","msg":"container does not exist"}' >"$log"; exit 1 ;; esac`)
	if err := os.Mkdir(filepath.Join(r.root, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, d, err := r.List(t.Context()); err != nil || len(s) > 0 || len(d) > 0 {
		t.Errorf("%v, %v, %v", s, d, err)
	}
}

func TestListOfAMissingRootIsEmpty(t *testing.T) {
	r := scripted(t, long, `exit 1`)
	if err := os.RemoveAll(r.root); err != nil {
		t.Fatal(err)
	}
	if s, d, err := r.List(t.Context()); err != nil || len(s) > 0 || len(d) > 0 {
		t.Errorf("%v, %v, %v", s, d, err)
	}
}
