package store

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"
)

// toSchema2 moves each config.json to a bucket of its own, since it is most of a record and lists do without it. It also
// gives what is desired the bound of its log that schema 1 did not have, with the default of that day: else the same
// manifest would count as edited when it is read again.
func toSchema2(tx *bbolt.Tx) error {
	configs, err := tx.CreateBucket(bucketConfigs)
	if err != nil {
		return err
	}
	b := boltBucket{tx.Bucket(bucketDesired), bucketDesired, nil}
	for _, r := range rowsOf(b) {
		var d map[string]json.RawMessage
		if json.Unmarshal(r.value.raw, &d) != nil {
			continue // it is no record: that is told where it is read
		}
		if config := d["config"]; config != nil && string(config) != "null" {
			if err := configs.Put(r.key, config); err != nil {
				return err
			}
		}
		delete(d, "config")
		container, err := putIn(d["container"], json.RawMessage(`{"maxSize":"10Mi","maxFiles":3}`), "spec", "log")
		if err != nil {
			continue
		}
		d["container"] = container
		raw, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if err := b.Put(r.key, raw); err != nil {
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
