package observe

import (
	"fmt"
	"strings"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/verdict"
)

// word is what a cloud says of where a cluster is, as evidence for its verdict: Dead where all of its zones are unavailable, Impaired
// where some are not available, Unknown where nothing is known, or what is known is too old.
func (k known) word(zones []string, limit time.Duration, now time.Time) verdict.Signal {
	if k.source == nil || k.problem != nil || k.zones.At.IsZero() && k.zones.trouble == nil {
		return verdict.Signal{} // nobody said anything
	}
	if !k.zones.Known(now, limit) {
		return verdict.Signal{Says: federation.SaysUnknown, Message: "what its cloud said is too old"}
	}
	all, anywhere := zones, len(zones) == 0
	if anywhere {
		for _, z := range k.zones.Value {
			all = append(all, z.Name)
		}
	}
	count := map[cloud.ZoneState]int{}
	var told []string
	for _, name := range all {
		z := k.zone(name)
		count[z.State]++
		if z.State == cloud.ZoneImpaired || z.State == cloud.ZoneUnavailable {
			told = append(told, describe(z))
		}
	}
	poor := count[cloud.ZoneImpaired] + count[cloud.ZoneUnavailable]
	switch {
	case len(all) == 0 || count[cloud.ZoneUnknown] == len(all):
		return verdict.Signal{Says: federation.SaysUnknown, Message: "its cloud does not tell of its zones"}
	case count[cloud.ZoneUnavailable] == len(all):
		return verdict.Signal{Says: federation.SaysDead, Message: strings.Join(told, ", ")}
	case poor == 0, anywhere && count[cloud.ZoneAvailable] > 0: // nobody knows in which of the region's zones it is
		return verdict.Signal{Says: federation.SaysAlive}
	}
	return verdict.Signal{Says: federation.SaysImpaired, Message: strings.Join(told, ", ")}
}

func describe(z cloud.Zone) string {
	text := fmt.Sprintf("zone %s is %s", z.Name, strings.ToLower(string(z.State)))
	if z.Message != "" {
		text += " (" + z.Message + ")"
	}
	return text
}
