package named

import (
	"fmt"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// CheckAssent tells what is wrong with an operator's confirmation of removals, in the annotations of a Federation.
func CheckAssent(annotations map[string]string, now time.Time) error {
	value, said := annotations[federation.AnnotationDNSConfirmRemovals]
	if !said {
		return nil
	}
	switch t, err := time.Parse(time.RFC3339, value); {
	case err != nil:
		return fmt.Errorf("annotation %s: %q is not a time such as %s; take the one that the message of what is held back names",
			federation.AnnotationDNSConfirmRemovals, value, now.UTC().Format(time.RFC3339))
	case t.After(now):
		return fmt.Errorf("annotation %s: %s is in the future, here it is %s: only what is known can be confirmed",
			federation.AnnotationDNSConfirmRemovals, value, now.UTC().Format(time.RFC3339))
	}
	return nil
}
