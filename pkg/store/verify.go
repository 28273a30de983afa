package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// The layout of bbolt's pages, format version 2 (bbolt refuses any other). Integers are in the machine's byte order.
//
//	page    id 8 | flags 2 | count 2 | overflow 4 | count elements | their keys and values
//	branch  pos 4 | ksize 4 | child page 8
//	leaf    flags 4 | pos 4 | ksize 4 | vsize 4
//	bucket  root page 8 | sequence 8 | if root is 0, a whole leaf page; it is the value of a leaf with flag 1
//
// pos counts from the element itself. A page with overflow n goes on over the n pages behind it.
const (
	headerSize  = 16 // of page and bucket
	elementSize = 16
	flagBranch  = 1
	flagLeaf    = 2
	flagBucket  = 1
)

var order = binary.NativeEndian

// verify walks every page in use of the file that tx reads, and returns ErrCorrupt where following it would make bbolt
// panic, fault, loop or miss a key. bbolt's own check cannot serve: it panics on what it is here to find.
func verify(file *os.File, tx *bbolt.Tx) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return damaged("%d of %d bytes are there", info.Size(), tx.Size())
	}
	page := uint64(tx.DB().Info().PageSize)
	w := walker{file: file, page: page, end: uint64(tx.Size()) / page, seen: map[uint64]bool{}}
	_, err = w.tree(uint64(tx.Cursor().Bucket().Root()), nil, nil)
	return err
}

type walker struct {
	file io.ReaderAt
	page uint64 // bytes
	end  uint64 // the first page id not in use
	seen map[uint64]bool
}

func damaged(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, a...))
}

// tree walks the page id and those below it. Its keys must be at least low and greater than last; it returns its own
// last key.
func (w *walker) tree(id uint64, low, last []byte) ([]byte, error) {
	buf, err := w.read(id)
	if err != nil {
		return nil, err
	}
	last, err = w.node(buf, low, last)
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return last, nil
}

// read returns a page with its overflow. No page is read twice, so a loop ends.
func (w *walker) read(id uint64) ([]byte, error) {
	if id < 2 || id >= w.end {
		return nil, damaged("there is no page %d", id)
	}
	head := make([]byte, headerSize)
	if err := w.readAt(head, id); err != nil {
		return nil, err
	}
	overflow := uint64(order.Uint32(head[12:]))
	if order.Uint64(head) != id || overflow >= w.end-id {
		return nil, damaged("the head of page %d is not one", id)
	}
	for n := id; n <= id+overflow; n++ {
		if w.seen[n] {
			return nil, damaged("page %d is used twice", n)
		}
		w.seen[n] = true
	}
	buf := make([]byte, (overflow+1)*w.page)
	return buf, w.readAt(buf, id)
}

func (w *walker) readAt(buf []byte, id uint64) error {
	_, err := w.file.ReadAt(buf, int64(id*w.page))
	if errors.Is(err, io.EOF) {
		return damaged("the file ends within page %d", id)
	}
	return err
}

// node walks the elements of one page, as it lies in buf.
func (w *walker) node(buf, low, last []byte) ([]byte, error) {
	if len(buf) < headerSize {
		return nil, damaged("a page of %d bytes", len(buf))
	}
	flags, count := order.Uint16(buf[8:]), int(order.Uint16(buf[10:]))
	if headerSize+count*elementSize > len(buf) {
		return nil, damaged("%d elements do not fit", count)
	}
	element := w.leaf
	switch {
	case flags == flagBranch && count > 0:
		element = w.branch
	case flags != flagLeaf:
		return nil, damaged("flags %#x with %d elements", flags, count)
	}
	for i := range count {
		var err error
		if last, err = element(buf[headerSize+i*elementSize:], low, last); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// branch walks the child of the branch element that e begins with.
func (w *walker) branch(e, low, last []byte) ([]byte, error) {
	key, err := cut(e, order.Uint32(e), order.Uint32(e[4:]))
	if err != nil {
		return nil, err
	}
	if err := ordered(key, low, last); err != nil {
		return nil, err
	}
	return w.tree(order.Uint64(e[8:]), key, last)
}

// leaf checks the leaf element that e begins with, and walks the bucket it may hold.
func (w *walker) leaf(e, low, last []byte) ([]byte, error) {
	pos, ksize, vsize := order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
	key, err := cut(e, pos, ksize)
	if err != nil {
		return nil, err
	}
	value, err := cut(e, pos, ksize, vsize)
	if err != nil {
		return nil, err
	}
	if err := ordered(key, low, last); err != nil {
		return nil, err
	}
	if order.Uint32(e)&flagBucket != 0 {
		if err := w.bucket(value); err != nil {
			return nil, fmt.Errorf("bucket %q: %w", key, err)
		}
	}
	return key, nil
}

func (w *walker) bucket(value []byte) error {
	if len(value) < headerSize {
		return damaged("a bucket of %d bytes", len(value))
	}
	var err error
	if root := order.Uint64(value); root != 0 {
		_, err = w.tree(root, nil, nil)
	} else {
		_, err = w.node(value[headerSize:], nil, nil)
	}
	return err
}

// cut returns the last of the given lengths' worth of bytes, which lie one after the other from pos on.
func cut(e []byte, pos uint32, sizes ...uint32) ([]byte, error) {
	from, to := uint64(pos), uint64(pos)
	for _, n := range sizes {
		from, to = to, to+uint64(n)
	}
	if to > uint64(len(e)) {
		return nil, damaged("an element reaches beyond its page")
	}
	return e[from:to:to], nil
}

func ordered(key, low, last []byte) error {
	if bytes.Compare(key, low) < 0 || last != nil && bytes.Compare(key, last) <= 0 {
		return damaged("key %q is out of order", key)
	}
	return nil
}
