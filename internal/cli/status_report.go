package cli

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// statusReport is what `kubefed status` shows. Its JSON form is for scripts: fields are added, not renamed.
type statusReport struct {
	Federation   federationStatus   `json:"federation"`
	ControlPlane controlPlaneStatus `json:"controlPlane"`
	Clusters     []clusterStatus    `json:"clusters"`
	Objects      objectsStatus      `json:"objects"`
	Moves        movesStatus        `json:"moves"`
	// DNS is absent where nothing is published.
	DNS        *dnsStatus        `json:"dns,omitempty"`
	Tombstones []tombstoneStatus `json:"tombstones"`
	Warnings   []warningStatus   `json:"warnings"`
	// Problems are one sentence each; none means that all is as it should be.
	Problems []string `json:"problems"`
}

type federationStatus struct {
	Name    string `json:"name"`
	DNSZone string `json:"dnsZone"`
	Context string `json:"context"`
	Server  string `json:"server"`
	// Isolated says why the control plane takes itself to be cut off from its members, "" while it does not.
	Isolated string `json:"isolated,omitempty"`
}

type controlPlaneStatus struct {
	Version string `json:"version"`
	Ready   bool   `json:"ready"`
	// Failing are the health checks that fail.
	Failing []string `json:"failing,omitempty"`
	// Leader is the process that runs the controllers, "" for none.
	Leader  string `json:"leader"`
	Renewed string `json:"leaderRenewed,omitempty"`
}

type clusterStatus struct {
	Name    string         `json:"name"`
	Ready   bool           `json:"ready"`
	Reason  string         `json:"reason,omitempty"`
	Message string         `json:"message,omitempty"`
	Verdict *verdictStatus `json:"verdict,omitempty"`
	// Marks are what people and drills did to it: cordoned, drained, "drill NAME/MODE".
	Marks    []string          `json:"marks,omitempty"`
	Version  string            `json:"version,omitempty"`
	Provider string            `json:"provider,omitempty"`
	Region   string            `json:"region,omitempty"`
	Zones    []string          `json:"zones,omitempty"`
	Nodes    federationNodes   `json:"nodes"`
	Since    *metav1.Time      `json:"since,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// verdictStatus is what the federation believes of a cluster's health.
type verdictStatus = federation.Verdict

type federationNodes = federation.NodeCount

type objectsStatus struct {
	Total  int            `json:"total"`
	Synced int            `json:"synced"`
	Others []objectStatus `json:"others"`
}

type objectStatus struct {
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace,omitempty"`
	Name      string   `json:"name"`
	Reason    string   `json:"reason"`
	Message   string   `json:"message,omitempty"`
	Clusters  []string `json:"clusters,omitempty"`
}

type tombstoneStatus struct {
	Kind      string      `json:"kind"`
	Namespace string      `json:"namespace,omitempty"`
	Name      string      `json:"name"`
	Clusters  []string    `json:"clusters"`
	Since     metav1.Time `json:"since"`
}

type warningStatus struct {
	Time    metav1.Time `json:"time"`
	Object  string      `json:"object"`
	Reason  string      `json:"reason"`
	Message string      `json:"message"`
	Count   int32       `json:"count"`
}

// statusOfCluster reads a Cluster.
func statusOfCluster(c federation.Cluster) clusterStatus {
	s := clusterStatus{
		Name: c.Name, Version: c.Status.Version, Provider: c.Status.Provider, Region: c.Status.Region, Zones: c.Status.Zones,
		Nodes: c.Status.Nodes, Labels: c.Labels, Verdict: c.Status.Verdict, Marks: marksOf(&c), Reason: "Unknown", Message: "the control plane has not looked at it yet",
	}
	if ready := meta.FindStatusCondition(c.Status.Conditions, federation.ClusterReady); ready != nil {
		s.Ready, s.Reason, s.Message, s.Since = ready.Status == metav1.ConditionTrue, ready.Reason, ready.Message, &ready.LastTransitionTime
	}
	// A cluster that is away has no Ready condition; Offline says why.
	offline := meta.FindStatusCondition(c.Status.Conditions, federation.ClusterOffline)
	if offline != nil && offline.Status == metav1.ConditionTrue {
		s.Ready, s.Reason, s.Message, s.Since = false, offline.Reason, offline.Message, &offline.LastTransitionTime
	}
	return s
}

// impaired says that the federation believes a cluster not to be well.
func (c clusterStatus) impaired() bool {
	return c.Verdict != nil && c.Verdict.State != federation.VerdictReady
}

func verdictOf(c clusterStatus) string {
	if !c.impaired() {
		return ""
	}
	return fmt.Sprintf(", verdict %s (%s)", c.Verdict.State, c.Verdict.Reason)
}

// statusOfObjects counts decisions, and lists those that are not carried out.
func statusOfObjects(decisions []federation.PlacementDecision) objectsStatus {
	s := objectsStatus{Total: len(decisions), Others: []objectStatus{}}
	for _, d := range decisions {
		synced := meta.FindStatusCondition(d.Status.Conditions, federation.DecisionSynced)
		if synced != nil && synced.Status == metav1.ConditionTrue {
			s.Synced++
			continue
		}
		o := objectStatus{Kind: d.Spec.Object.Kind, Namespace: d.Spec.Object.Namespace, Name: d.Spec.Object.Name, Reason: federation.StatePending}
		if synced != nil {
			o.Reason, o.Message = synced.Reason, synced.Message
		}
		for _, c := range d.Status.Clusters {
			if c.State != federation.StateSynced {
				o.Clusters = append(o.Clusters, c.Name)
			}
		}
		s.Others = append(s.Others, o)
	}
	return s
}

// leaseStale is how long after its last renewal a leader is taken for dead: longer than the longest lease in use.
const leaseStale = 90 * time.Second

// problems are what keeps a federation from being as it should be.
func problems(r statusReport) []string {
	all := []string{}
	if r.Federation.Isolated != "" {
		all = append(all, "isolated: "+r.Federation.Isolated)
	}
	if !r.ControlPlane.Ready {
		all = append(all, "the control plane is not ready: "+strings.Join(r.ControlPlane.Failing, ", "))
	}
	if r.ControlPlane.Leader == "" {
		all = append(all, "no process runs the controllers")
	}
	for _, c := range r.Clusters {
		if !c.Ready {
			all = append(all, fmt.Sprintf("cluster %s is not ready (%s)%s", c.Name, c.Reason, verdictOf(c)))
		} else if c.impaired() {
			all = append(all, fmt.Sprintf("cluster %s is %s (%s)", c.Name, strings.ToLower(c.Verdict.State), c.Verdict.Reason))
		}
	}
	if n := len(r.Objects.Others); n > 0 {
		all = append(all, fmt.Sprintf("%d of %d objects are not where they should be", n, r.Objects.Total))
	}
	all = append(all, r.DNS.problems()...)
	if n := len(r.Tombstones); n > 0 {
		all = append(all, fmt.Sprintf("%d deleted objects still have copies in members (tombstones)", n))
	}
	return all
}
