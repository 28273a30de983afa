package api

import (
	"testing"

	"reconciler.dev/reconciler/internal/runctest"
)

func TestMain(m *testing.M) { runctest.Main(m) }
