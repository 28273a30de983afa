package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/store/storetest"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// crashEnv makes the test binary the process that is killed: it holds the path of the store.
const crashEnv = "STORE_TEST_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		commitUntilKilled(path)
	}
	if path := os.Getenv(restoreEnv); path != "" {
		openAndTell(path)
	}
	os.Exit(m.Run())
}

// epoch is when things happen.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// numbered is the change that records exit n, and an event that says so.
func numbered(n int) store.Change {
	name := "c" + strconv.Itoa(n/50) // what is kept of one name is bounded
	instance := name + "." + strconv.Itoa(n+1)
	p := subreaper.Process{PID: n + 1, StartTime: uint64(n), BootID: "boot"}
	return store.Change{
		Attempt: &store.Attempt{Number: n + 1, Instance: instance, Process: &p, StartCommitted: epoch},
		Exit: &store.Exit{Instance: instance, Attempt: n + 1, Process: p, ExitCode: new(n % 256), Signal: new(0),
			Source: subreaper.SourceWaitid, StartedAt: epoch, FinishedAt: epoch},
		Events: []store.Event{{Reason: "Exited", Object: name, Message: strconv.Itoa(n)}},
	}
}

// commitUntilKilled commits numbers from several goroutines, and prints each once it is acknowledged.
func commitUntilKilled(path string) {
	db, err := store.Open(path, store.Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	events, err := db.Events(0, 0)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var next atomic.Int64
	for _, e := range events {
		n, _ := strconv.ParseInt(e.Message, 10, 64)
		next.Store(max(next.Load(), n+1))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				n := int(next.Add(1) - 1)
				if err := db.Commit(context.Background(), numbered(n)); err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
				fmt.Println(n)
			}
		})
	}
	wg.Wait()
}

func TestKillLosesNoAcknowledgedCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reconciler.db")
	rng := rand.New(rand.NewPCG(2, 71))
	acknowledged := map[int]bool{}
	for range 20 {
		for _, n := range killedAfter(t, path, 1+rng.IntN(60)) {
			acknowledged[n] = true
		}
		db, err := store.Open(path, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if db.Recovered() != "" {
			t.Fatal(db.Recovered())
		}
		holdAgainst(t, db, acknowledged)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		storetest.Check(t, path)
	}
}

// killedAfter runs the crashing process, kills it after so many acknowledgements, and returns all that it gave.
func killedAfter(t *testing.T, path string, acks int) (given []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Errorf("the process said: %s", lines.Text())
		}
		given = append(given, n)
		if len(given) == acks {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(given) < acks {
		t.Fatalf("the process ended with %v after %d commits", err, len(given))
	}
	return given
}

// holdAgainst: each acknowledged exit is there, each exit that is there is whole and has its one event.
func holdAgainst(t *testing.T, db *store.DB, acknowledged map[int]bool) {
	t.Helper()
	events, err := db.Events(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	told := map[int]int{}
	last := 0
	for _, e := range events {
		n, err := strconv.Atoi(e.Message)
		if err != nil {
			t.Fatal(err)
		}
		told[n]++
		last = max(last, n)
	}
	recorded := map[int]bool{}
	for i := range last/50 + 1 {
		exits, err := db.Exits("c" + strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range exits {
			n := e.Attempt - 1
			recorded[n] = true
			if e.ExitCode == nil || *e.ExitCode != n%256 || e.PID != n+1 || told[n] != 1 {
				t.Errorf("exit %d: %+v, told %d times", n, e, told[n])
			}
		}
	}
	for n := range acknowledged {
		if !recorded[n] {
			t.Errorf("exit %d was acknowledged and is lost", n)
		}
	}
	if len(told) != len(recorded) {
		t.Errorf("%d events tell of %d exits", len(told), len(recorded))
	}
}
