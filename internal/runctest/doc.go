// Package runctest is the footing of tests that run real containers: it says what the machine can do, makes bundles and
// cgroups that belong to one test, and fails whatever a test leaves behind.
//
//	func TestMain(m *testing.M) { runctest.Main(m) }
//
//	func TestStart(t *testing.T) {
//		runctest.EachRuntime(t, func(t *testing.T, name string) { // or runctest.Require(t, runctest.Runc)
//			runctest.Require(t, runctest.Root)
//			parent := runctest.CgroupParent(t) // first: its cleanup, the last to run, looks for leftovers
//			bundle := runctest.Bundle(t, runctest.BundleOptions{Args: []string{"sleep", "60"}, CgroupsPath: parent + "/a"})
//			runtime := runctest.RuntimePath(t, name)
//			...
//		})
//	}
//
// It imports nothing of ours, so that every package may use it in its own tests.
package runctest
