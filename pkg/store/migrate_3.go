package store

import (
	"go.etcd.io/bbolt"
)

// toSchema3 seals every value: see seal.go. What is wrong already stays wrong: whoever reads it is told.
func toSchema3(tx *bbolt.Tx) error {
	for _, outer := range buckets {
		b := boltBucket{tx.Bucket(outer), outer, nil}
		for _, r := range rowsOf(b) {
			in := b.inner(r.key)
			if in == nil {
				if err := sealRow(b, r); err != nil {
					return err
				}
				continue
			}
			for _, r := range rowsOf(in) {
				if err := sealRow(in.(boltBucket), r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func sealRow(b boltBucket, r row) error {
	if string(b.outer) == string(bucketMeta) && string(r.key) == string(keySchema) {
		return nil // versions that know of no seals read it, too
	}
	return b.Put(r.key, append(r.value.at.seal(r.value.raw), r.value.raw...))
}
