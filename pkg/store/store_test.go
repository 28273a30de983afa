package store_test

import (
	"testing"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
)

// Both trees keep the same promises.
func TestStore(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) *store.DB { return storetest.Open(t) })
	})
	t.Run("memory", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) *store.DB { return new(store.Memory).Open(storetest.BootID(t)) })
	})
}
