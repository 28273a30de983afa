package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"hash/fnv"

	"go.etcd.io/bbolt"
)

// A value lies in the file behind its seal: the CRC-32C, 4 bytes, of its place and its text. So a flipped bit is one
// record's error, and a value that got under another key is not believed there.
const sealSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errSeal = errors.New("its checksum does not fit, so it is damaged")

func (p place) seal(text []byte) []byte {
	sum := crc32.Checksum([]byte(p.bucket+"\x00"+p.key+"\x00"), castagnoli)
	return binary.BigEndian.AppendUint32(nil, crc32.Update(sum, castagnoli, text))
}

// unsealed is the text of a value of a file.
func (v value) unsealed() ([]byte, error) {
	if len(v.raw) < sealSize || !bytes.Equal(v.raw[:sealSize], v.at.seal(v.raw[sealSize:])) {
		return nil, errSeal
	}
	return v.raw[sealSize:], nil
}

// What no seal tells is a key that is gone, and a name that is gone reads as one that nobody wants. So meta/names is a
// checksum of the schema and of all keys of the outer buckets but of events, kept with each change of them.

// counted says whether meta/names counts a key of an outer bucket.
func counted(outer, key []byte) bool {
	return !bytes.Equal(outer, bucketEvents) && !bytes.Equal(key, keyNames)
}

// part is what a key adds to the checksum, or takes off.
func part(outer, key []byte) uint64 {
	h := fnv.New64a()
	for _, b := range [][]byte{outer, {0}, key} {
		h.Write(b)
	}
	return h.Sum64()
}

// namesOf is the checksum as it has to be, if the schema is n.
func namesOf(tx *bbolt.Tx, n int) []byte {
	sum := part(keySchema, schemaText(n))
	for _, outer := range buckets {
		b := tx.Bucket(outer)
		if b == nil {
			continue // a schema that did not have it
		}
		for k := range (boltBucket{b, outer, nil}).from(nil) {
			if counted(outer, k) {
				sum ^= part(outer, k)
			}
		}
	}
	return number(sum)
}

// changed notes that a key came or went.
func (b boltBucket) changed(key []byte) error {
	if b.name != nil || !counted(b.outer, key) {
		return nil
	}
	meta := b.Tx().Bucket(bucketMeta)
	sum := meta.Get(keyNames)
	if len(sum) != 8 {
		return damaged("meta/names has %d bytes", len(sum))
	}
	return meta.Put(keyNames, number(binary.BigEndian.Uint64(sum)^part(b.outer, key)))
}

// check holds the tree of a store of the current schema against what no single record can tell.
func check(tx *bbolt.Tx) error {
	for _, outer := range buckets {
		b := tx.Bucket(outer)
		if b == nil {
			return damaged("bucket %s is missing", outer)
		}
		holdsBuckets := bytes.Equal(outer, bucketAttempts) || bytes.Equal(outer, bucketExits)
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if (v == nil) != holdsBuckets {
				return damaged("%s/%q is not what it has to be", outer, k)
			}
		}
	}
	events := tx.Bucket(bucketEvents)
	if last, _ := events.Cursor().Last(); len(last) == 8 && binary.BigEndian.Uint64(last) > events.Sequence() {
		return damaged("there are more events than were counted")
	}
	if !bytes.Equal(namesOf(tx, current()), tx.Bucket(bucketMeta).Get(keyNames)) {
		return damaged("the names in it are not those that were put there")
	}
	return nil
}
