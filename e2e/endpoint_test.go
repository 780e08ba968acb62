package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

var endpointCount = regexp.MustCompile(`(?m)^kubefed_endpoint_count\{(.*)\} (\d+)`)

// TestEndpoints: the control plane sees where members serve a Service that answers, that it stops doing so, and that it is gone.
func TestEndpoints(t *testing.T) {
	federation.still(t) // what stories before have left is gone
	ns := namespace(t, "endpoints")
	counts := func() string {
		var all []string
		for _, m := range endpointCount.FindAllStringSubmatch(must(t, "kubectl", "--context="+federationName, "get", "--raw", "/metrics"), -1) {
			if m[2] != "0" {
				all = append(all, label(m[1], "cluster")+" "+label(m[1], "state")+" "+m[2])
			}
		}
		return strings.Join(all, ", ")
	}
	before := counts()
	see := func(state string) {
		t.Helper()
		eventually(t, "the Service is "+state+" in each member", 60*time.Second, func() (bool, string) {
			now := counts()
			for _, member := range members {
				if !strings.Contains(now, member+" "+state) {
					return false, now
				}
			}
			return true, now
		})
	}
	kubectl(t, "create", "-n", ns, "deployment", "web", "--image=kubefed.dev/demo-web:dev", "--replicas=3", "--port=8080")
	kubectl(t, "expose", "-n", ns, "deployment", "web", "--type=LoadBalancer", "--port=80", "--target-port=8080")
	see("Healthy")
	kubectl(t, "scale", "-n", ns, "deployment", "web", "--replicas=0")
	see("Unhealthy")
	kubectl(t, "delete", "-n", ns, "service/web")
	eventually(t, "nothing is served any more", 60*time.Second, func() (bool, string) { now := counts(); return now == before, now })
}
