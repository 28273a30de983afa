package reconcile

import (
	"fmt"
	"math"
	"syscall"
	"time"

	"reconciler.dev/reconciler/pkg/desired"
	"reconciler.dev/reconciler/pkg/store"
	"reconciler.dev/reconciler/pkg/subreaper"
)

func waitFor(now time.Time, d time.Duration) store.Wait {
	return store.Wait{Until: now.Add(d), Length: d}
}

// backoff is the wait before the restart after the n-th end in a row: none after the first, then initial x factor^(n-2),
// no more than max.
func backoff(b desired.Backoff, n int) time.Duration {
	if n <= 1 {
		return 0
	}
	d := float64(b.Initial) * math.Pow(b.Factor, float64(n-2))
	return time.Duration(min(d, float64(b.Max)))
}

// verdict is the phase of a spec that is not to be started again; empty where it is. It is computed from the last end,
// not stored with it: a changed restart policy is applied to the last exit.
func verdict(p desired.Restart, r store.Record) Phase {
	switch {
	case r.End == store.EndNone, r.End == store.EndAsked:
		return ""
	case r.End == store.EndSucceeded && p.Policy != desired.Always:
		return Completed
	case r.End == store.EndFailed && p.Policy == desired.Never:
		return Failed
	case p.MaxRetries > 0 && r.Failures > p.MaxRetries:
		return Failed
	}
	return ""
}

// ended counts the end of an attempt that ran for so long. One that we asked for is no failure and delays nothing.
func (v *view) ended(r *store.Record, end store.End, ran time.Duration) {
	r.End, r.Backoff = end, store.Wait{}
	if end == store.EndAsked || v.d == nil {
		return
	}
	policy := v.d.Container.Spec.Restart.Backoff
	if ran >= time.Duration(policy.ResetAfter) {
		r.Failures = 0
	}
	r.Failures++
	r.Backoff = waitFor(v.now, backoff(policy, r.Failures))
}

// recordExit writes down how the current attempt ended and, in the same transaction, the next attempt's intent where
// one may begin at once.
func (v *view) recordExit() Action {
	exit, end := v.exit()
	recorded := v.intent(Note, exit.Reason, func(r *store.Record, cur *store.Attempt) {
		cur.Over = true
		r.LastExit = exit
		v.ended(r, end, exit.FinishedAt.Sub(exit.StartedAt))
	})
	recorded.Exit = exit
	then := next(viewOf(v.name, v.d, v.have, *recorded.Record, v.now))
	if then.Verb != Launch {
		return recorded
	}
	then.Exit, then.Reason = exit, exit.Reason
	return then
}

// exit is the exit record of the current attempt: the kernel's status as it was seen, and why it came to that as far as
// we know: who sent the signal is not in a wait status, but what we sent is on record.
func (v *view) exit() (*store.Exit, store.End) {
	seen, cur := v.o.Exit, v.cur
	e := &store.Exit{
		Instance: cur.Instance, Attempt: cur.Number, Process: *cur.Process, Source: seen.Source,
		StartedAt: cur.StartCommitted, FinishedAt: seen.FinishedAt,
	}
	if seen.Source == subreaper.SourceUnknown {
		e.Reason, e.Message = "Unknown", "nobody saw how it ended: "+seen.Reason
		if seen.Reason == subreaper.ReasonHostRebooted {
			e.Reason = seen.Reason
		}
		return e, asked(cur, store.EndFailed)
	}
	end := store.EndFailed
	if sig := seen.Status.Signal(); seen.Status.Signaled() {
		e.ExitCode, e.Signal = nil, new(int(sig))
		e.CoreDumped = seen.Status.CoreDump()
		e.OOMKilled = v.o.OOM && sig == syscall.SIGKILL
		e.Reason, e.Message = "Signaled", fmt.Sprintf("ended by %s, which no stop of the reconciler asked for", desired.SignalName(sig))
	} else {
		e.ExitCode, e.Signal = new(seen.Status.ExitStatus()), new(0)
		e.Reason, e.Message = "Error", fmt.Sprintf("exited with code %d", *e.ExitCode)
		if *e.ExitCode == 0 {
			e.Reason, end = "Completed", store.EndSucceeded
		}
	}
	switch {
	case cur.Stop != nil && cur.Stop.Killed && seen.Status.Signal() == syscall.SIGKILL:
		e.Reason, e.Message = cur.Stop.Reason, "sent SIGKILL by the reconciler when its grace period was over"
	case e.OOMKilled:
		e.Reason, e.Message = "OOMKilled", "the kernel's OOM killer ended it"
	case cur.Stop != nil:
		e.Reason, e.Message = cur.Stop.Reason, "stopped by the reconciler"
	}
	return e, asked(cur, end)
}

func asked(cur *store.Attempt, end store.End) store.End {
	if cur.Stop != nil {
		return store.EndAsked
	}
	return end
}

func exitWord(e *store.Exit) string {
	switch {
	case e.ExitCode != nil:
		return fmt.Sprint(*e.ExitCode)
	case e.Signal != nil:
		return desired.SignalName(syscall.Signal(*e.Signal))
	}
	return "unknown"
}
