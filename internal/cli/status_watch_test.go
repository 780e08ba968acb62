package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// failingReport is of a federation with a dead member, a drained one, and replicas on their way.
func failingReport() statusReport {
	cluster := func(name string, taints ...string) clusterStatus {
		c := federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
		for _, key := range taints {
			c.Spec.Taints = append(c.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute})
		}
		s := statusOfCluster(c)
		s.Ready = true
		return s
	}
	r := statusReport{Federation: federationStatus{Name: "fellowship"}, Objects: objectsStatus{Total: 3, Synced: 2}}
	r.Clusters = []clusterStatus{cluster("gondor"), cluster("rohan", federation.TaintDrain), cluster("shire")}
	r.Clusters[2].Ready = false
	r.Clusters[2].Verdict = &federation.Verdict{State: federation.VerdictDown, Reason: "Confirmed", Evidence: []federation.Evidence{
		{Source: "API", Says: federation.SaysDead}, {Source: "Witness/gondor", Says: federation.SaysDead}}}
	for _, d := range []federation.PlacementDecisionSpec{
		{Moving: true, Clusters: []federation.ClusterPlacement{{Name: "gondor", Replicas: ptr.To[int32](4)}, {Name: "shire", Replicas: ptr.To[int32](1)}},
			Displaced: []federation.DisplacedShare{{Name: "shire", Replicas: 2, Reason: federation.DisplacedDown}}},
		{Missing: "waits: a budget", Displaced: []federation.DisplacedShare{{Name: "shire", Replicas: 3, Reason: federation.DisplacedDown}}},
		{},
	} {
		r.Moves.add(&d)
	}
	r.Moves.sort()
	return r
}

func TestMovesPrinted(t *testing.T) {
	var out bytes.Buffer
	printMoves(&out, failingReport().Moves)
	printClusters(&out, failingReport().Clusters)
	wantGolden(t, "moves.txt", out.String())
}

// TestStatusWatched: in lines, each change is shown once.
func TestStatusWatched(t *testing.T) {
	var out bytes.Buffer
	s, last := Streams{Out: &out}, ""
	for range 2 {
		var err error
		if last, err = drawStatus(s, failingReport(), "", false, last); err != nil {
			t.Fatal(err)
		}
	}
	_, got, _ := strings.Cut(out.String(), " ")
	if diff := cmp.Diff("1 of 3 clusters are well; rohan ready, drained; shire Down; 2 of 3 objects where they should be; 1 move; 1 wait\n", got); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	first, err := drawStatus(s, failingReport(), "json", false, "")
	if err != nil || strings.Count(first, "\n") != 1 || !strings.Contains(first, `"moves":{"objects":1`) {
		t.Errorf("not one object in a line: %v %s", err, first)
	}
	if code, _, errs := typed(t, "status", "--watch", "-o", "yaml"); code != ExitUsage || !strings.Contains(errs, "--watch goes with") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}
