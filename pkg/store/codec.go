package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"reconciler.dev/reconciler/pkg/desired"
)

// number is a key that sorts as the number does.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// nameOf is the name in an instance's id. ok is false if the id is not that of the attempt.
func nameOf(instance string, attempt int) (name string, ok bool) {
	name, ok = strings.CutSuffix(instance, "."+strconv.Itoa(attempt))
	return name, ok && name != "" && attempt > 0
}

func put(b bucket, key []byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(key, raw)
}

// decode reads one value of a bucket and holds it against its key: an empty or misfiled record must not pass for a
// blank one, it would give attempt numbers out again.
func decode[T any](bucket []byte, key string, raw []byte, fits func(*T) bool) (T, error) {
	var v T
	err := json.Unmarshal(raw, &v)
	if err == nil && !fits(&v) {
		err = fmt.Errorf("it is not the record of %s", key)
	}
	if err != nil {
		var none T
		return none, &RecordError{Bucket: string(bucket), Name: key, Err: err}
	}
	return v, nil
}

func decodeDesired(name string, raw []byte) (*Desired, error) {
	if raw == nil {
		return nil, ErrNotFound
	}
	d, err := decode(bucketDesired, name, raw, func(d *Desired) bool { return d.Container.Name == name })
	if err != nil {
		return nil, err
	}
	return &d, nil
}

func decodeVerbs(name string, raw []byte) (Verbs, error) {
	if raw == nil {
		return Verbs{}, nil
	}
	return decode(bucketOverrides, name, raw, func(*Verbs) bool { return true })
}

// decodeDown is nil for what does not hold the node now.
func (db *DB) decodeDown(raw []byte) (*Down, error) {
	if raw == nil {
		return nil, nil
	}
	d, err := decode(bucketMeta, string(keyDown), raw, func(d *Down) bool { return d.BootID != "" })
	if err != nil || d.BootID != db.boot {
		return nil, err
	}
	return &d, nil
}

// override is d as it shows at each container.
func (d *Down) override() *Override {
	by := "down by " + d.By
	if d.Reason != "" {
		by += ": " + d.Reason
	}
	return &Override{State: desired.Stopped, By: by, At: d.At}
}

func decodeRecord(name string, raw []byte) (Record, error) {
	if raw == nil {
		return Record{Name: name}, nil
	}
	r, err := decode(bucketStatus, name, raw, func(r *Record) bool { return r.Name == name })
	r.Name = name
	return r, err
}

func decodeSource(name string, raw []byte) (Source, error) {
	return decode(bucketSources, name, raw, func(s *Source) bool { return s.Name == name })
}

func decodeAttempt(name string, key, raw []byte) (Attempt, error) {
	return decode(bucketAttempts, historyKey(name, key), raw, func(a *Attempt) bool {
		is, ok := nameOf(a.Instance, a.Number)
		return ok && is == name && string(number(uint64(a.Number))) == string(key)
	})
}

func decodeExit(name string, key, raw []byte) (Exit, error) {
	return decode(bucketExits, historyKey(name, key), raw, func(e *Exit) bool {
		is, ok := nameOf(e.Instance, e.Attempt)
		return ok && is == name && string(number(uint64(e.Attempt))) == string(key)
	})
}

func decodeEvent(key, raw []byte) (Event, error) {
	return decode(bucketEvents, keyString(key), raw, func(e *Event) bool {
		return string(number(e.Seq)) == string(key)
	})
}

func historyKey(name string, key []byte) string { return name + "/" + keyString(key) }

// keyString shows a number key to people.
func keyString(key []byte) string {
	if len(key) != 8 {
		return fmt.Sprintf("%x", key)
	}
	return strconv.FormatUint(binary.BigEndian.Uint64(key), 10)
}
