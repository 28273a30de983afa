package reconcile

import (
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/observed"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

// states enumerates the small enums that rows are made of.
func states() func(yield func(state) bool) {
	soon, past := store.Wait{Until: testEpoch.Add(time.Second), Length: time.Minute}, store.Wait{Until: testEpoch.Add(-1), Length: 1}
	far := store.Wait{Until: testEpoch.Add(time.Hour), Length: time.Minute}
	return func(yield func(state) bool) {
		for _, d := range []string{"none", "running", "stopped", "paused", "resized", "unresizable", "changed", "never", "invalid"} {
			for _, attempt := range attempts(soon, past, far) {
				for _, seen := range sightings() {
					for _, r := range records(soon, past, far) {
						for _, list := range []string{"", "it failed"} {
							for _, strange := range []string{"", "unknown", "ours"} {
								s := state{want: map[string]*store.Desired{}, recs: map[string]store.Record{}}
								s.have = observed.Snapshot{Instances: map[string]observed.Instance{}, Unlisted: list, Seen: map[string][]int{}}
								if strange != "" {
									s.have.Seen["web"] = []int{9}
								}
								if strange == "ours" {
									s.have.Instances["web.9"] = observed.Instance{ID: "web.9", Life: observed.Alive, Origin: &observed.Origin{Started: true}}
								}
								m := newModel()
								if d != "none" {
									m.desire("web", func(x *store.Desired) {
										switch d {
										case "stopped":
											x.Container.Spec.State = desired.Stopped
										case "paused":
											x.Container.Spec.State = desired.Paused
										case "resized":
											x.Container.Spec.Resources = []byte(`{"pids":{"limit":7}}`)
										case "unresizable":
											x.Container.Spec.Resources = []byte(`{"network":{"classID":7}}`)
										case "changed":
											x.InputHash = "other"
										case "never":
											x.Container.Spec.Restart.Policy = desired.Never
										case "invalid":
											x.InputHash = ""
										}
									})
									s.want["web"] = m.want["web"]
								}
								rec := r
								rec.Name, rec.SpecHash, rec.LastAttempt = "web", "h1", 3
								if attempt != nil {
									i := seen
									i.ID = attempt.Instance
									rec.Attempts = append(rec.Attempts, *attempt)
									s.have.Instances[i.ID] = i
								}
								s.recs["web"] = rec
								if !yield(s) {
									return
								}
							}
						}
					}
				}
			}
		}
	}
}

func attempts(waits ...store.Wait) []*store.Attempt {
	base := store.Attempt{Number: 3, Instance: "web.3", SpecHash: "h1", Private: true, IntentAt: testEpoch}
	p := &subreaper.Process{PID: 1, StartTime: 1, BootID: testBoot}
	failed, committed, started, over := base, base, base, base
	failed.LaunchError = "it failed"
	committed.Process, committed.StartCommitted = p, testEpoch
	started.Process, started.StartCommitted, started.Started = p, testEpoch, true
	over.Process, over.StartCommitted, over.Started, over.Over = p, testEpoch, true, true
	shared := over
	shared.Private = false
	all := []*store.Attempt{nil, &base, &failed, &committed, &started, &over, &shared}
	for _, w := range waits {
		for _, sent := range []bool{false, true} {
			stopping := started
			stopping.Stop = &store.Stopping{Wait: w, Reason: "Stopped", Sent: sent}
			all = append(all, &stopping)
		}
	}
	return all
}

func sightings() []observed.Instance {
	p := subreaper.Process{PID: 1, StartTime: 1, BootID: testBoot}
	exit := func(status syscall.WaitStatus, source subreaper.Source) observed.Instance {
		e := &subreaper.Exit{Process: p, Status: status, Source: source, FinishedAt: testEpoch}
		return observed.Instance{Life: observed.Dead, Process: p, Exit: e}
	}
	return []observed.Instance{
		{Life: observed.NoProcess}, {Unknown: "it failed"},
		{Life: observed.Alive, Process: p, Ours: true}, {Life: observed.Alive, Process: p},
		{Life: observed.Alive, Process: p, Ours: true, Frozen: true},
		{Life: observed.Dead, Process: p},
		exit(0, subreaper.SourceWaitid), exit(7<<8, subreaper.SourceProcstat), exit(9, subreaper.SourcePidfd), exit(0, subreaper.SourceUnknown),
	}
}

func records(waits ...store.Wait) []store.Record {
	all := []store.Record{{}, {RemovedAt: testEpoch}, {End: store.EndSucceeded}, {End: store.EndAsked, ObservedGeneration: 1}}
	for _, w := range waits {
		all = append(all, store.Record{End: store.EndFailed, Failures: 3, Backoff: w}, store.Record{Retry: w, ObservedGeneration: 1},
			store.Record{Attempts: []store.Attempt{{Number: 1, Instance: "web.1", Over: true}, {Number: 2, Instance: "web.2", Over: true}}})
	}
	return all
}
