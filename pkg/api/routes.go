package api

import "net/http"

// access says who may call a route.
type access string

const (
	readers  access = "readers" // root, and the group that may open the socket
	rootOnly access = "root"
)

// handler answers one request. An error it returns is sent if nothing was sent before.
type handler func(b Backend, w http.ResponseWriter, r *http.Request) error

// routes is the whole API: everything there is, and who may call it.
var routes = []struct {
	method, path string
	who          access
	do           handler
}{
	{"GET", "/v1/version", readers, getVersion},
	{"GET", "/v1/containers", readers, listContainers}, // ?brief=true; ?watch=true&token=T: lines of Change[Container]
	{"GET", "/v1/containers/{name}", readers, named(getContainer)},
	{"GET", "/v1/containers/{name}/exits", readers, named(listExits)},
	{"GET", "/v1/containers/{name}/logs", rootOnly, named(getLogs)}, // ?attempt=N&previous=BOOL&tail=N: plain text
	{"POST", "/v1/containers/{name}/stop", rootOnly, verb(Backend.Stop)},
	{"POST", "/v1/containers/{name}/start", rootOnly, verb(Backend.Start)},
	{"POST", "/v1/containers/{name}/restart", rootOnly, verb(Backend.Restart)},
	{"POST", "/v1/containers/{name}/pause", rootOnly, verb(Backend.Pause)},
	{"POST", "/v1/containers/{name}/resume", rootOnly, verb(Backend.Resume)},
	{"POST", "/v1/containers/{name}/kill", rootOnly, named(kill)},     // ?signal=NAME|NUMBER
	{"PUT", "/v1/containers/{name}", rootOnly, named(applyContainer)}, // the manifest as JSON
	{"DELETE", "/v1/containers/{name}", rootOnly, named(deleteContainer)},
	{"GET", "/v1/events", readers, listEvents}, // ?after=SEQ&limit=N, or ?watch=true&after=SEQ: lines of Change[Event]
	{"GET", "/v1/sources", readers, listSources},
	{"POST", "/v1/sources/confirm", rootOnly, confirmSources},
	{"GET", "/v1/plan", readers, getPlan},
	{"GET", "/v1/node", readers, getNodeState},
	{"POST", "/v1/node/down", rootOnly, down}, // ?reason=TEXT
	{"POST", "/v1/node/up", rootOnly, up},     // ?reason=TEXT
	{"POST", "/v1/node/exit", rootOnly, exit},
}
