package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the federation's own kinds.
const GroupName = "federation.kubefed.dev"

// GroupVersion is the group and version of the kinds in this package.
var GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Cluster{}, &ClusterList{},
		&PlacementDecision{}, &PlacementDecisionList{},
		&Tombstone{}, &TombstoneList{},
		&PropagationPolicy{}, &PropagationPolicyList{},
		&ClusterPropagationPolicy{}, &ClusterPropagationPolicyList{},
		&OverridePolicy{}, &OverridePolicyList{},
		&ClusterOverridePolicy{}, &ClusterOverridePolicyList{},
		&GlobalEndpoints{}, &GlobalEndpointsList{},
		&Federation{}, &FederationList{},
		&FailoverDrill{}, &FailoverDrillList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
