package store

import (
	"bytes"
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

// placeOf is the place of a key in an outer bucket, or in that of a name in it.
func placeOf(outer, name, key []byte) place {
	switch {
	case name != nil:
		return place{string(outer), string(name) + "/" + keyString(key)}
	case bytes.Equal(outer, bucketEvents):
		return place{string(outer), keyString(key)}
	}
	return place{string(outer), string(key)}
}

// encode is the text of a value.
func encode(v any) ([]byte, error) {
	if raw, ok := v.([]byte); ok {
		return raw, nil
	}
	return json.Marshal(v)
}

// decode reads one value and holds it against its key: an empty or misfiled record must not pass for a blank one, it
// would give attempt numbers out again.
func decode[T any](val value, fits func(*T) bool) (T, error) {
	v, kept := val.kept.(T)
	var text []byte
	var err error
	if !kept {
		text, err = val.unsealed()
	}
	if !kept && err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err == nil && !fits(&v) {
		err = fmt.Errorf("it is not the record of %s", val.at.key)
	}
	if err != nil {
		var none T
		return none, &RecordError{Bucket: val.at.bucket, Name: val.at.key, Err: err}
	}
	return v, nil
}

func decodeDesired(name string, val value) (*Desired, error) {
	if val.none() {
		return nil, ErrNotFound
	}
	d, err := decode(val, func(d *Desired) bool { return d.Container.Name == name })
	if err != nil {
		return nil, err
	}
	return &d, nil
}

func decodeVerbs(val value) (Verbs, error) {
	if val.none() {
		return Verbs{}, nil
	}
	return decode(val, func(*Verbs) bool { return true })
}

// decodeDown is nil for what does not hold the node now.
func (db *DB) decodeDown(val value) (*Down, error) {
	if val.none() {
		return nil, nil
	}
	d, err := decode(val, func(d *Down) bool { return d.BootID != "" })
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
	return &Override{State: desired.Stopped, By: by, At: d.At, InDoubt: d.InDoubt}
}

func decodeRecord(name string, val value) (Record, error) {
	if val.none() {
		return Record{Name: name}, nil
	}
	r, err := decode(val, func(r *Record) bool { return r.Name == name })
	r.Name = name
	return r, err
}

func decodeSource(name string, val value) (Source, error) {
	return decode(val, func(s *Source) bool { return s.Name == name })
}

func decodeAttempt(name string, key []byte, val value) (Attempt, error) {
	return decode(val, func(a *Attempt) bool {
		is, ok := nameOf(a.Instance, a.Number)
		return ok && is == name && string(number(uint64(a.Number))) == string(key)
	})
}

func decodeExit(name string, key []byte, val value) (Exit, error) {
	return decode(val, func(e *Exit) bool {
		is, ok := nameOf(e.Instance, e.Attempt)
		return ok && is == name && string(number(uint64(e.Attempt))) == string(key)
	})
}

func decodeEvent(key []byte, val value) (Event, error) {
	return decode(val, func(e *Event) bool {
		return string(number(e.Seq)) == string(key)
	})
}

// keyString shows a number key to people.
func keyString(key []byte) string {
	if len(key) != 8 {
		return fmt.Sprintf("%x", key)
	}
	return strconv.FormatUint(binary.BigEndian.Uint64(key), 10)
}

// configOf is a config.json, nil if there is none.
func configOf(val value) ([]byte, error) {
	if kept, ok := val.kept.([]byte); ok || val.none() {
		return kept, nil
	}
	text, err := val.unsealed()
	if err != nil {
		return nil, &RecordError{Bucket: val.at.bucket, Name: val.at.key, Err: err}
	}
	return text, nil
}
