package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestPaths(t *testing.T) {
	defaults := Paths{
		Manifests: "/etc/reconciler/manifests", State: "/var/lib/reconciler", Run: "/run/reconciler", Logs: "/var/log/reconciler",
		Socket: "/run/reconciler/reconciler.sock",
	}
	below := func(root string) Paths {
		return Paths{Root: root, Manifests: root + "/manifests", State: root + "/state", Run: root + "/run", Logs: root + "/logs",
			Socket: root + "/run/reconciler.sock"}
	}
	with := func(p Paths, edit func(*Paths)) Paths { edit(&p); return p }
	for _, tc := range []struct {
		name, args, env string
		want            Paths
	}{
		{"nothing", "", "", defaults},
		{"a root", "--root /r", "", below("/r")},
		{"a root by the environment", "", "ROOT=/r", below("/r")},
		{"one alone outranks the root", "--root /r --logs /l", "", with(below("/r"), func(p *Paths) { p.Logs = "/l" })},
		{"the same by the environment", "", "ROOT=/r LOGS=/l", with(below("/r"), func(p *Paths) { p.Logs = "/l" })},
		{"a root outranks the environment", "--root /r", "ROOT=/e LOGS=/l RUN=/x SOCKET=/s", below("/r")},
		{"one alone leaves the rest to the environment", "--logs /l", "ROOT=/r", with(below("/r"), func(p *Paths) { p.Logs = "/l" })},
		{"the run directory has the socket", "--run /x", "SOCKET=/s", with(defaults, func(p *Paths) { p.Run, p.Socket = "/x", "/x/reconciler.sock" })},
		{"a socket", "--socket /s", "", with(defaults, func(p *Paths) { p.Socket, p.SocketOnly = "/s", true })},
		{"a socket by the environment", "", "RUN=/x SOCKET=/s", with(defaults, func(p *Paths) { p.Run, p.Socket, p.SocketOnly = "/x", "/s", true })},
		{"a root and a socket", "--root /r --socket /s", "", with(below("/r"), func(p *Paths) { p.Socket, p.SocketOnly = "/s", true })},
		{"an unclean path", "--root /a/../r/", "", below("/r")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, f := range pathFlags {
				t.Setenv(f.env, "")
			}
			for _, v := range strings.Fields(tc.env) {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv("RECONCILER_"+name, value)
			}
			cmd := &cobra.Command{}
			addPathFlags(cmd.Flags())
			if err := cmd.ParseFlags(strings.Fields(tc.args)); err != nil {
				t.Fatal(err)
			}
			if got, err := pathsOf(cmd); err != nil || got != tc.want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, tc.want)
			}
		})
	}
}

func TestTwoRootsShareNoCgroup(t *testing.T) {
	if p := (Paths{Run: "/run/reconciler"}).CgroupParent(); p != "/reconciler" {
		t.Error(p)
	}
	if p := (Paths{Run: "/a"}).CgroupParent(); p != "/reconciler-6a50dc85" {
		t.Error(p)
	}
	// The first 4 bytes of the sum, as printf /a | sha256sum gives them.
	if p := (Paths{Root: "/a"}).CgroupParent(); p != "/reconciler-6a50dc85" {
		t.Error(p)
	}
}
