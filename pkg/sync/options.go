package sync

import (
	"time"

	"github.com/spf13/pflag"
)

// Options tune sync; a zero field means its default.
type Options struct {
	// UnschedulableAfter is how long a workload is short of ready pods, and a pod without a node, before the decision's
	// status counts the pod as unschedulable; its pods are looked at as often. Default 1 min.
	UnschedulableAfter time.Duration
}

const unschedulableAfter = time.Minute

// AddFlags adds sync's flags.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.DurationVar(&o.UnschedulableAfter, "unschedulable-after", unschedulableAfter,
		"time for which a pod in a member cluster has no node before it counts as unschedulable in the PlacementDecision's status")
}

func (o Options) withDefaults() Options {
	if o.UnschedulableAfter <= 0 {
		o.UnschedulableAfter = unschedulableAfter
	}
	return o
}
