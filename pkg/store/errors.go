package store

import (
	"errors"
	"fmt"
)

// Of a change or a question.
var (
	ErrNotFound      = errors.New("not in the store")
	ErrMismatch      = errors.New("the exit is of another process than the attempt's")
	ErrNotStarted    = errors.New("no start of that attempt is on record")
	ErrAttemptReused = errors.New("attempt numbers are never used twice")
)

// Of the file.
var (
	ErrNewerSchema = errors.New("the store was written by a newer version of this program")
	ErrCorrupt     = errors.New("the store's file is damaged")
	ErrLocked      = errors.New("the store is in use by another process")
	ErrReadOnly    = errors.New("this is a copy of the store for reading")
	ErrClosed      = errors.New("the store is closed")
)

// RecordError is a single record that cannot be read. The others are not affected.
type RecordError struct {
	Bucket string // "status", "exits", ...
	Name   string // of the container, source or event sequence the record is of
	Err    error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("record %s/%s of the store cannot be read: %v", e.Bucket, e.Name, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }
