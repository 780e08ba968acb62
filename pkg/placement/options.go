package placement

import (
	"time"

	"github.com/spf13/pflag"
)

// Options tune placement; the zero value is the defaults.
type Options struct {
	// DownToleration is how long a cluster is Down before replicas move away from it, where no policy tolerates the taint for
	// another time. nil for DefaultDownToleration.
	DownToleration *time.Duration
}

// AddFlags adds placement's flags.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	wait := DefaultDownToleration
	o.DownToleration = &wait
	flags.DurationVar(o.DownToleration, "default-down-toleration", wait,
		"time that a member cluster is Down before replicas move elsewhere, where no policy tolerates the taint federation.kubefed.dev/down for another time")
}
