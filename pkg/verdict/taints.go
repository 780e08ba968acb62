package verdict

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// Taints are those that follow from a verdict. One that is there keeps its time, unless that lies ahead: the clock was set back, and
// tolerations would last until it is there again.
func Taints(v *federation.Verdict, before []corev1.Taint, now time.Time) []corev1.Taint {
	if v == nil {
		return nil
	}
	var taints []corev1.Taint
	for _, t := range taintsOf[v.State] {
		added := second(now)
		t.TimeAdded = &added
		for _, b := range before {
			if b.Key == t.Key && b.Effect == t.Effect && b.TimeAdded != nil && !b.TimeAdded.After(now) {
				t.TimeAdded = b.TimeAdded
			}
		}
		taints = append(taints, t)
	}
	return taints
}

var taintsOf = map[string][]corev1.Taint{
	federation.VerdictDegraded:    {{Key: federation.TaintDegraded, Effect: corev1.TaintEffectNoSchedule}},
	federation.VerdictUnreachable: {{Key: federation.TaintUnreachable, Effect: corev1.TaintEffectNoSchedule}},
	federation.VerdictDown: {
		{Key: federation.TaintDown, Effect: corev1.TaintEffectNoSchedule},
		{Key: federation.TaintDown, Effect: corev1.TaintEffectNoExecute},
	},
}
