package desired

import "time"

// DefaultStop is how a container is stopped whose manifest does not say.
var DefaultStop = Stop{Signal: "SIGTERM", GracePeriod: Duration(10 * time.Second)}

// defaults is what a manifest that says nothing gets. It is no part of any hash: see Hash.
func defaults() Container {
	return Container{
		Labels:      map[string]string{},
		Annotations: map[string]string{},
		Spec: Spec{
			State: Running,
			Restart: Restart{
				Policy: Always,
				Backoff: Backoff{
					Initial:    Duration(100 * time.Millisecond),
					Factor:     2,
					Max:        Duration(5 * time.Minute),
					ResetAfter: Duration(time.Minute),
				},
			},
			Stop: DefaultStop,
			Log:  Log{MaxSize: 10 << 20, MaxFiles: 3},
		},
	}
}
