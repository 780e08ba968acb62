package apiserver

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

func TestVain(t *testing.T) {
	clusters := []policy.Cluster{
		{Name: "gondor", Region: "us-east-1", Provider: "aws"}, {Name: "rohan", Region: "us-east-1"}, {Name: "shire", Region: "shire", Labels: map[string]string{"rack": "1"}},
	}
	for name, test := range map[string]struct {
		rule string
		want []string
	}{
		"nothing":                {"{}", nil},
		"enough domains":         {"topologySpreadConstraints: [{topologyKey: region, minDomains: 2}, {topologyKey: rack, maxSkew: 1}, {topologyKey: cluster, minDomains: 3}]", nil},
		"few domains":            {"topologySpreadConstraints: [{topologyKey: region, minDomains: 3}]", []string{"spec.topologySpreadConstraints[0].minDomains: 3 can't be met now, the clusters are in 2 domains of region"}},
		"of those chosen":        {"{clusterGroups: [{name: a, names: [gondor]}], topologySpreadConstraints: [{topologyKey: region, minDomains: 2}]}", []string{"spec.topologySpreadConstraints[0].minDomains: 2 can't be met now, the clusters are in 1 domains of region"}},
		"no domain":              {"topologySpreadConstraints: [{topologyKey: regin, maxSkew: 1}]", []string{"spec.topologySpreadConstraints[0]: no cluster that the policy selects has a value for topologyKey regin now"}},
		"empty group":            {"clusterGroups: [{name: a, names: [mordor]}]", []string{"spec.clusterGroups[0]: group a selects no cluster now"}},
		"group behind":           {"clusterGroups: [{name: a}, {name: b, names: [rohan]}]", []string{"spec.clusterGroups[1]: groups before it select all clusters of group b now, and a cluster is in the first group that selects it"}},
		"overflow":               {"clusterGroups: [{name: b, names: [rohan]}, {name: a}]", nil},
		"duplicated":             {"replicaDivision: {mode: Duplicated, strategy: Packed}", []string{"spec.replicaDivision: strategy and rebalance mean nothing with mode Duplicated"}},
		"no weight":              {"replicaDivision: {clusters: [{weight: 0}]}", []string{"spec.replicaDivision.clusters: no cluster may take replicas now: each has weight 0, maxReplicas 0, or no entry that selects it"}},
		"weight 0 and a minimum": {"replicaDivision: {clusters: [{weight: 0, minReplicas: 1}]}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var rule federation.Propagation
			if err := yaml.UnmarshalStrict([]byte(test.rule), &rule); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, append(emptyGroups(&rule, clusters), vain(&rule, clusters)...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
