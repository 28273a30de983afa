package store

import (
	"hash/fnv"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// A file of bbolt has two heads, written in turn; the newer one that is whole counts. Where one is not, the file reads as it
// was one transaction ago. A power cut seldom does that, since a head is less than a sector of a disk.
//
//	page header 16 | magic 4 | version 4 | page size 4 | flags 4 | root 16 | freelist 8 | pages 8 | transaction 8 | checksum 8
const headSum = headerSize + 56

// oneHeaded is the mark of a store that may have lost its last transaction, nil if it has not.
func oneHeaded(f *os.File, b *bbolt.DB) (*Restored, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	page := b.Info().PageSize
	heads := make([]byte, 2*page)
	if _, err := f.ReadAt(heads, 0); err != nil {
		return nil, err
	}
	if wholeHead(heads[:page]) && wholeHead(heads[page:]) {
		return nil, nil
	}
	return &Restored{At: time.Now().UTC(), Snapshot: info.ModTime().UTC(),
		Why: "one of the two heads of the store is damaged, so its last transaction may be missing; it is used as it was before"}, nil
}

func wholeHead(page []byte) bool {
	h := fnv.New64a()
	h.Write(page[headerSize:headSum])
	return order.Uint64(page[headSum:]) == h.Sum64()
}
