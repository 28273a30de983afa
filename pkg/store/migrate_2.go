package store

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// toSchema2 gives what is desired the bound of its log that schema 1 did not have, with the default of that day: else
// the same manifest would count as edited when it is read again.
func toSchema2(tx *bbolt.Tx) error {
	b := tx.Bucket(bucketDesired)
	for _, r := range rowsOf(b) {
		d, err := putIn(r.value, json.RawMessage(`{"maxSize":"10Mi","maxFiles":3}`), "container", "spec", "log")
		if err != nil {
			continue // it is no record: that is told where it is read
		}
		if err := b.Put(r.key, d); err != nil {
			return err
		}
	}
	return nil
}

// putIn puts a value into an object of objects, and leaves the text of all others as it is.
func putIn(object, value json.RawMessage, path ...string) (json.RawMessage, error) {
	if len(path) == 0 {
		return value, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, fmt.Errorf("null holds no %s", path[0])
	}
	inner, err := putIn(fields[path[0]], value, path[1:]...)
	if err != nil {
		return nil, err
	}
	fields[path[0]] = inner
	return json.Marshal(fields)
}
