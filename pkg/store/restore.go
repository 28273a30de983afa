package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// Restored is the mark of a store that was put together from a snapshot, or has lost its last transaction. What it says may
// be older than what runs: which names are wanted and how, what verbs said, how far each attempt had come. The mark stands
// until all manifests were read (Change.ManifestsRead), over restarts, and for as long Record.InDoubt is set.
type Restored struct {
	At       time.Time `json:"at"`
	Snapshot time.Time `json:"snapshot"` // when what it says was written
	Why      string    `json:"why"`      // a sentence
}

// prepare sees to it that there is a whole store at path which this program can read. It returns what Recovered will.
//
// At each instant of it, a damaged file has a name, and path is either what it was or a whole store.
func prepare(path, boot string, o Options) (recovered string, err error) {
	err = inspect(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err == nil || !missing && !errors.Is(err, ErrCorrupt) {
		return "", err
	}
	snapshot, snapshotErr := snapshotOf(path), inspect(snapshotOf(path))
	if snapshotErr != nil && !errors.Is(snapshotErr, fs.ErrNotExist) && !errors.Is(snapshotErr, ErrCorrupt) {
		return "", errors.Join(err, fmt.Errorf("its snapshot %s: %w", snapshot, snapshotErr)) // it may be good, for all we know
	}
	if missing && errors.Is(snapshotErr, fs.ErrNotExist) {
		return "", build(path, "", boot, "", o)
	}
	recovered = fmt.Sprintf("the store %s is gone", path)
	if !missing {
		aside, asideErr := setAside(path)
		if asideErr != nil {
			return "", errors.Join(err, asideErr)
		}
		recovered = fmt.Sprintf("the store %s could not be used (%v) and is kept as %s", path, err, aside)
	}
	switch {
	case snapshotErr == nil:
		return recovered + "; it was restored from its snapshot", build(path, snapshot, boot, recovered, o)
	case errors.Is(snapshotErr, fs.ErrNotExist):
		recovered += "; a new one was begun"
	default:
		aside, err := setAside(snapshot)
		if err != nil {
			return "", errors.Join(snapshotErr, err)
		}
		recovered += fmt.Sprintf("; its snapshot could not be used (%v) and is kept as %s; a new one was begun", snapshotErr, aside)
	}
	return recovered, build(path, "", boot, recovered, o)
}

// corrupt is what the names of files that were set aside go on with.
const corrupt = ".corrupt-"

// setAside gives a file that cannot be used a name under which it is kept for whoever wants to look into it. It is still
// there under its own until another one takes its place. A file that was set aside before is not set aside again.
func setAside(path string) (aside string, err error) {
	file, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	beside, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	for _, e := range beside {
		kept, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), filepath.Base(path)+corrupt) && os.SameFile(kept, file) {
			return filepath.Join(filepath.Dir(path), e.Name()), nil
		}
	}
	aside = path + corrupt + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Link(path, aside); err != nil {
		return "", err
	}
	return aside, syncDir(path)
}

// build puts a store in place at path: made aside, from a snapshot or from nothing, and with an event that tells of it
// where it stands for one that was lost.
func build(path, snapshot, boot, lost string, o Options) error {
	aside := path + ".new"
	f, err := createAside(aside)
	if err != nil {
		return err
	}
	var mark Restored
	if snapshot != "" {
		if mark, err = fill(f, snapshot); err != nil {
			return errors.Join(err, f.Close(), os.Remove(aside))
		}
		mark.Why = lost + "; it was restored from its snapshot"
	}
	b, err := openBolt(f, o.bolt(lockWait))
	if err != nil {
		return errors.Join(err, os.Remove(aside))
	}
	err = b.Update(func(tx *bbolt.Tx) error {
		switch {
		case snapshot != "":
			if err := migrate(tx); err != nil {
				return err
			}
			return doubt(boltTx{tx}, mark, boot)
		case lost != "":
			if err := plant(tx); err != nil {
				return err
			}
			return putEvents(boltTx{tx}, []Event{recoveredEvent(lost)})
		}
		return plant(tx)
	})
	if err := errors.Join(err, b.Close()); err != nil {
		return errors.Join(err, os.Remove(aside))
	}
	return replace(aside, path)
}

func recoveredEvent(message string) Event {
	return Event{Time: time.Now().UTC(), Type: Warning, Reason: "StoreRecovered", Object: "node", Message: message}
}

// fill copies a snapshot.
func fill(to *os.File, snapshot string) (Restored, error) {
	from, err := os.OpenFile(snapshot, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return Restored{}, err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return Restored{}, err
	}
	_, err = io.Copy(to, from)
	return Restored{At: time.Now().UTC(), Snapshot: info.ModTime().UTC()}, err
}

// doubt makes what a snapshot says true to what is known of it: that it was so once. What cannot be read stays as it is.
func doubt(tx tx, mark Restored, boot string) error {
	when := mark.Snapshot.Format(time.RFC3339)
	events := []Event{recoveredEvent(mark.Why + ", as of " + when +
		": what happened since is not in it, and what `apply` said since is to be applied again")}
	tell := func(object, what string) {
		events = append(events, Event{Time: mark.At, Type: Warning, Reason: "InDoubt", Object: object,
			Message: what + ", as of " + when + "; it stops nothing that runs until it is said again"})
	}
	meta := tx.bucket(bucketMeta)
	err := errors.Join(doubtRecords(tx.bucket(bucketStatus)), doubtVerbs(tx.bucket(bucketOverrides), tell), doubtHold(meta, boot, tell))
	return errors.Join(err, meta.put(keyRestored, mark), putEvents(tx, events))
}

// doubtRecords leaves no attempt on record that had run nothing: it may have run since, and may have ended. Only what is left
// of it can tell, so its number alone stays.
func doubtRecords(status bucket) error {
	for _, row := range rowsOf(status) {
		r, err := decodeRecord(string(row.key), row.value)
		if err != nil {
			continue
		}
		r.Attempts = slices.DeleteFunc(slices.Clone(r.Attempts), func(a Attempt) bool { return !a.Over && a.StartCommitted.IsZero() })
		if err := status.put(row.key, r); err != nil {
			return err
		}
	}
	return nil
}

// doubtVerbs marks what verbs said: it may have been taken back.
func doubtVerbs(verbs bucket, tell func(object, what string)) error {
	for _, row := range rowsOf(verbs) {
		v, err := decodeVerbs(row.value)
		if err != nil || v.Override == nil {
			continue
		}
		v.Override = new(*v.Override) // what is read may be shared
		v.Override.InDoubt = true
		if err := verbs.put(row.key, v); err != nil {
			return err
		}
		tell(string(row.key), fmt.Sprintf("%s by %s", v.Override.State, v.Override.By))
	}
	return nil
}

// doubtHold marks what holds the node, likewise.
func doubtHold(meta bucket, boot string, tell func(object, what string)) error {
	d, err := decode(meta.get(keyDown), func(d *Down) bool { return d.BootID == boot })
	if err != nil {
		return nil // there is none, or none that counts
	}
	d.InDoubt = true
	tell("node", d.override().By+"; `reconciler down` or `up` says it")
	return meta.put(keyDown, d)
}

// Restored is the mark of a restored store, nil if there is none. Only one that cannot be read is a *RecordError.
func (db *DB) Restored() (*Restored, error) {
	val, err := db.value(bucketMeta, string(keyRestored))
	if err != nil || val.none() {
		return nil, err
	}
	mark, err := decode(val, func(*Restored) bool { return true })
	if err != nil {
		return nil, err
	}
	return &mark, nil
}
