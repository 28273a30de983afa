package store

import "go.etcd.io/bbolt"

// Bolt lets tests damage, fill and measure what is below the store.
func Bolt(db *DB) *bbolt.DB { return db.tree.(boltTree).db }
