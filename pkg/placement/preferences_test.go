package placement

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// TestAnnotations: Federation v1's annotations go before any policy.
func TestAnnotations(t *testing.T) {
	labelled := func(clusters []Cluster) []Cluster {
		for i := range clusters {
			clusters[i].Labels = map[string]string{"env": []string{"prod", "test"}[i%2]}
		}
		return clusters
	}
	prod := `[{"key": "env", "operator": "In", "values": ["prod"]}]`
	for name, test := range map[string]struct {
		object                Object
		preferences, selector string
		current               *Decision
		want                  []string
		missing               string
	}{
		"by weight":                   {web(6), `{"rebalance": true, "clusters": {"a": {"weight": 2}, "b": {"weight": 1}}}`, "", nil, []string{"a:4", "b:2"}, ""},
		"everywhere":                  {web(6), `{"rebalance": true, "clusters": {"*": {"weight": 1}}}`, "", decided(web(6), "a:4", "b:2"), []string{"a:2", "b:2", "c:2"}, ""},
		"without rebalance":           {web(6), `{"clusters": {"*": {"weight": 1}}}`, "", decided(web(6), "a:4", "b:2"), []string{"a:4", "b:2"}, ""},
		"with a maximum":              {web(6), `{"clusters": {"a": {"weight": 1, "maxReplicas": 2}}}`, "", nil, []string{"a:2"}, "4 of 6 replicas are unplaced"},
		"a maximum, and what runs":    {web(6), `{"clusters": {"a": {"weight": 1, "maxReplicas": 2}}}`, "", decided(web(6), "a:6"), []string{"a:6"}, missingPlace},
		"a selector":                  {web(6), "", prod, nil, []string{"a:3", "c:3", "NotSelected=[b]"}, ""},
		"a selector, moving":          {web(6), "", prod, decided(web(6), "a:3", "b:3"), []string{"a:3", "c:3", "NotSelected=[b]"}, ""},
		"a selector for copies":       {config(), "", prod, nil, []string{"a", "c", "NotSelected=[b]"}, ""},
		"not JSON: divided evenly":    {web(6), "evenly", "", nil, []string{"a:2", "b:2", "c:2"}, "is not JSON"},
		"a Job":                       {job(6, 12), `{"clusters": {"a": {"weight": 2}, "b": {"weight": 1}}}`, "", nil, []string{"a:4/8", "b:2/4"}, ""},
		"a running Job is not redone": {job(6, 12), `{"rebalance": true, "clusters": {"a": {"weight": 2}, "b": {"weight": 1}}}`, "", decided(web(6), "a:3/6", "b:3/6"), []string{"a:3/6", "b:3/6"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.object.Preferences, test.object.ClusterSelector = test.preferences, test.selector
			d, _ := settled(t, Input{Object: test.object, Policy: by(federation.Propagation{ClusterGroups: groups("c")}),
				Clusters: labelled(ready("a", "b", "c")), Current: test.current, Now: noon})
			if diff := cmp.Diff(test.want, show(d)); diff != "" {
				t.Errorf("Place (-want +got):\n%s", diff)
			}
			if d.Policy == nil || d.Policy.Kind != federation.PolicyAnnotations || !strings.Contains(d.Missing, test.missing) || test.missing == "" && d.Missing != "" {
				t.Errorf("policy %v, missing %q, want %q", d.Policy, d.Missing, test.missing)
			}
		})
	}
}
