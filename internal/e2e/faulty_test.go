package e2e

import (
	"fmt"
	"os"
	"path/filepath"
)

// A faulty runtime does what a file <verb> in its directory says, or one called any: a word and what it is about. With the
// suffix .once the file is for one call alone. Each fault is told by a line in the file of its word, with the suffix .seen.
//
//	kill MICROSECONDS    SIGKILL for itself, that long after it was called
//	fifo                 SIGKILL for itself when it is done, but for the fifo, which it has not removed yet
//	fail N               exit status 1, without a word, in one call of about N
//	lie                  exit status 0, without effect
//	rave                 exit status 0 and something that is no answer
//	slow MICROSECONDS    the effect, that much later
//	hang                 nothing, for as long as the file is there
const faultyForm = `#!/bin/sh
dir=%[1]s runtime=%[2]s root=%[3]s verb=
for word; do
	case $word in create|start|delete|list|state|update|pause|resume) verb=${verb:-$word} ;; esac
	id=$word
done
fault=
if mv "$dir/$verb.once" "$dir/taken.$$" 2>/dev/null; then
	read -r fault what <"$dir/taken.$$"
	rm "$dir/taken.$$"
else
	file=$dir/$verb
	[ -e "$file" ] || file=$dir/any
	[ ! -e "$file" ] || read -r fault what <"$file"
fi
[ "$fault" = fail ] && [ $(($$ %% what)) -ne 0 ] && fault=
[ -z "$fault" ] || echo "$verb $id" >>"$dir/$fault.seen"
case $fault in
kill)
	"$runtime" "$@" <&0 &
	child=$!
	/bin/busybox usleep "$what"
	kill -9 $child $$ ;;
fifo)
	ln "$root/$id/exec.fifo" "$dir/fifo.kept"
	"$runtime" "$@" && ln "$dir/fifo.kept" "$root/$id/exec.fifo"
	kill -9 $$ ;;
fail) exit 1 ;;
lie) exit 0 ;;
rave)
	echo 'panic: {"id": 7, [[['
	exit 0 ;;
slow) /bin/busybox usleep "$what" ;;
hang)
	while [ -e "$file" ]; do /bin/busybox usleep 10000; done
	exit 1 ;;
esac
exec "$runtime" "$@"
`

// faulty puts a faulty runtime in the place of the world's.
func (w *world) faulty() {
	w.t.Helper()
	w.faults = w.t.TempDir()
	w.runtime = filepath.Join(w.faults, "runtime")
	w.write(w.runtime, fmt.Sprintf(faultyForm, w.faults, w.oci, filepath.Join(w.root, "run/runc")))
	w.must(os.Chmod(w.runtime, 0o700))
}

// fault has the calls of a verb do what it says, until mended.
func (w *world) fault(verb, does string) {
	w.t.Helper()
	aside := filepath.Join(w.faults, "aside")
	w.write(aside, does+"\n")
	w.must(os.Rename(aside, filepath.Join(w.faults, verb)))
}

func (w *world) mend(verb string) { _ = os.Remove(filepath.Join(w.faults, verb)) }

// seen are the calls that a fault hit, each its verb and its last word.
func (w *world) seen(fault string) []string { return linesOf(filepath.Join(w.faults, fault+".seen")) }
