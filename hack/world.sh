# Sourced by hack/run and hack/demo: a world of its own for one controller, below one root-owned scratch directory $root,
# and the proof that nothing is left of it. Sets $root, $cgroup, $reconciler and $controller (pid, empty while none runs).
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")/.."
reconciler=$PWD/bin/reconciler
controller=

((EUID == 0)) || { echo "$0: needs root: containers do" >&2; exit 1; }
[[ -x $reconciler ]] || { echo "$0: $reconciler is missing: run make build" >&2; exit 1; }
root=$(mktemp -d /var/tmp/reconciler.XXXXXXXX)
cgroup=reconciler-${root##*.}
unset "${!RECONCILER_@}" # another controller's socket, say: what is done here must not reach it
export RECONCILER_ROOT=$root

# world PORT: the example bundles and copies of their manifests, with the web service on PORT.
world() {
	mkdir "$root/bundles" "$root/manifests"
	hack/bundles "$root/bundles"
	chmod go+x "$root" "$root/bundles" "$root"/bundles/* # on the way to the root file system, which others may read
	cp examples/manifests/*.yaml "$root/manifests/"
	sed -i "s/PORT: \"8080\"/PORT: \"$1\"/" "$root/manifests/web.yaml"
}

# free_port WANTED: WANTED, or the next port on which nobody listens.
free_port() {
	local port=$1
	while (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
	echo "$port"
}

# start_controller LOG: in a session of its own, so that Ctrl-C reaches this script alone and containers are stopped in
# order.
start_controller() {
	setsid "$reconciler" run --root "$root" --cgroup-parent "/$cgroup" </dev/null 2>>"$1" &
	controller=$!
	until_true 10 answers || { echo "$0: the controller does not answer" >&2; return 1; }
}

answers() { "$reconciler" --socket "$root/run/reconciler.sock" get -o name >/dev/null 2>&1; }

# until_true SECONDS COMMAND...: true as soon as COMMAND is.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}

# pids_of_root: our programs and runtimes that carry the scratch root in their arguments.
pids_of_root() {
	local p argv
	for p in /proc/[0-9]*; do
		mapfile -d '' -t argv <"$p/cmdline" || continue
		[[ ${argv[*]} == *"$root"* && ${argv[0]##*/} =~ ^(reconciler(-subreaper)?|runc)$ ]] && echo "${p#/proc/}"
	done 2>/dev/null
	true
}

# pids_of_containers: processes in the scratch cgroup, in any hierarchy.
pids_of_containers() {
	find /sys/fs/cgroup -path "*/$cgroup/*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un || true
}

# leftovers prints what is left of the world, one a line; nothing when it is gone.
leftovers() {
	pids_of_root | sed 's/^/process /'
	pids_of_containers | sed 's/^/container process /'
	find /sys/fs/cgroup -type d -name "$cgroup" 2>/dev/null | sed 's/^/cgroup /' || true
	awk -v root="$root/" 'index($5, root) == 1 { print "mount " $5 }' /proc/self/mountinfo
}

is_gone() { [[ -z $(leftovers) ]]; }

# down ends the world in order: containers with their grace, then pair and controller. Fails if anything was left.
down() {
	[[ -n $controller ]] || return 0
	"$reconciler" down --exit >/dev/null || echo "$0: down --exit failed" >&2
	wait "$controller" || true
	controller=
	until_true 5 is_gone || { echo "$0: left behind:" >&2; leftovers >&2; return 1; }
}

# clear_away removes by force whatever down did not, so that a failed run leaves nothing either.
clear_away() {
	local ours
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		# Guard and reaper heal each other: stopped first, then killed, neither sees the other go.
		ours=$(pids_of_root; pids_of_containers)
		[[ -n $ours ]] || break
		xargs -r kill -STOP <<<"$ours" 2>/dev/null || true
		xargs -r kill -KILL <<<"$ours" 2>/dev/null || true
		sleep 0.1
	done
	find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2>/dev/null || true
	awk -v root="$root/" 'index($5, root) == 1 { print $5 }' /proc/self/mountinfo | xargs -r umount -l 2>/dev/null || true
	rm -rf "$root"
}
