package placement

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/policy"
)

// web is a Deployment with so many replicas.
func web(replicas int32) Object {
	return Object{Divided: true, Replicas: &replicas,
		Reference: federation.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "web", UID: "1"}}
}

func config() Object {
	return Object{Reference: federation.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "default", Name: "web", UID: "1"}}
}

func secret(use Use) Object {
	o := config()
	o.Reference.Kind, o.Use, o.OnlyUse = "Secret", &use, true
	return o
}

// used is a ConfigMap that something uses.
func used(use Use) Object {
	o := config()
	o.Use = &use
	return o
}

func job(parallelism, completions int32) Object {
	o := web(parallelism)
	o.Reference.APIVersion, o.Reference.Kind, o.Completions = "batch/v1", "Job", &completions
	return o
}

func ready(names ...string) []Cluster {
	var clusters []Cluster
	for _, name := range names {
		clusters = append(clusters, Cluster{Cluster: policy.Cluster{Name: name}, Ready: true})
	}
	return clusters
}

// with changes the last cluster.
func with(clusters []Cluster, change func(c *Cluster)) []Cluster {
	change(&clusters[len(clusters)-1])
	return clusters
}

func down(c *Cluster)    { c.Ready = false }
func deleted(c *Cluster) { c.Deleted = true }
func tainted(c *Cluster) {
	c.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoSchedule}}
}
func oldAPIs(c *Cluster) { c.APIs = map[string]bool{"apps/v1beta1": true} }

// decided makes a current decision of "name", "name:replicas" or "name:replicas/completions".
func decided(o Object, shares ...string) *Decision {
	d := &Decision{Object: o.Reference}
	for _, share := range shares {
		d.Clusters = append(d.Clusters, parse(share))
	}
	return d
}

func parse(share string) federation.ClusterPlacement {
	var name []byte
	for len(share) > 0 && share[0] != ':' {
		name, share = append(name, share[0]), share[1:]
	}
	p := federation.ClusterPlacement{Name: string(name)}
	var replicas, completions int32
	if n, _ := fmt.Sscanf(share, ":%d/%d", &replicas, &completions); n > 0 {
		p.Replicas = &replicas
		if n > 1 {
			p.Completions = &completions
		}
	}
	return p
}

func show(d Decision) []string {
	shares := []string{}
	for _, c := range d.Clusters {
		share := c.Name
		if c.Replicas != nil {
			share += fmt.Sprintf(":%d", *c.Replicas)
		}
		if c.Completions != nil {
			share += fmt.Sprintf("/%d", *c.Completions)
		}
		shares = append(shares, share)
	}
	for _, e := range d.Excluded {
		shares = append(shares, fmt.Sprintf("%s=%v", e.Reason, e.Clusters))
	}
	return shares
}

func TestPlace(t *testing.T) {
	abc := func() []Cluster { return ready("a", "b", "c") }
	for name, test := range map[string]struct {
		object   Object
		clusters []Cluster
		current  *Decision
		want     []string
		reason   string
	}{
		"copied to every ready cluster":            {config(), with(abc(), down), nil, []string{"a", "b", "NotReady=[c]"}, reasonCopied},
		"copied: stays where it can't be reached":  {config(), with(abc(), down), decided(config(), "a", "b", "c"), []string{"a", "b", "c"}, reasonCopied},
		"copied: a cluster that joins gets it":     {config(), abc(), decided(config(), "a", "b"), []string{"a", "b", "c"}, reasonCopied},
		"copied: going down later is not recorded": {config(), with(abc(), down), decided(config(), "a", "b"), []string{"a", "b"}, reasonCopied},
		"copied: leaves a cluster that leaves":     {config(), with(abc(), deleted), decided(config(), "a", "b", "c"), []string{"a", "b"}, reasonCopied},
		"copied: leaves a cluster that is gone":    {config(), ready("a"), decided(config(), "a", "b"), []string{"a"}, reasonCopied},
		"copied: no cluster":                       {config(), nil, nil, []string{}, reasonNoChoice},
		"taint keeps new objects away":             {config(), with(abc(), tainted), nil, []string{"a", "b", "Tainted=[c]"}, reasonCopied},
		"taint takes nothing back":                 {config(), with(abc(), tainted), decided(config(), "c"), []string{"a", "b", "c"}, reasonCopied},
		"missing API":                              {web(4), with(abc(), oldAPIs), nil, []string{"a:2", "b:2", "APIMissing=[c]"}, reasonDivided},
		"missing API takes nothing back":           {web(3), with(abc(), oldAPIs), decided(web(3), "a:1", "b:1", "c:1"), []string{"a:1", "b:1", "c:1"}, reasonDivided},

		"divided evenly":                                {web(9), abc(), nil, []string{"a:3", "b:3", "c:3"}, reasonDivided},
		"no replicas counts as one":                     {func() Object { o := web(1); o.Replicas = nil; return o }(), ready("a"), nil, []string{"a:1"}, reasonDivided},
		"zero replicas":                                 {web(0), abc(), nil, []string{}, reasonZero},
		"zero replicas and no cluster":                  {web(0), nil, nil, []string{}, reasonZero},
		"scaled to zero keeps the object":               {web(0), abc(), decided(web(3), "a:2", "b:1"), []string{"a:0", "b:0"}, reasonDivided},
		"a cluster that joins moves nothing":            {web(4), abc(), decided(web(4), "a:2", "b:2"), []string{"a:2", "b:2"}, reasonDivided},
		"more replicas go to the emptiest":              {web(6), abc(), decided(web(4), "a:2", "b:2"), []string{"a:2", "b:2", "c:2"}, reasonDivided},
		"fewer are taken from the fullest":              {web(6), abc(), decided(web(9), "a:6", "b:2", "c:1"), []string{"a:3", "b:2", "c:1"}, reasonDivided},
		"a leaving cluster's share goes to the others":  {web(6), with(abc(), deleted), decided(web(6), "a:2", "b:2", "c:2"), []string{"a:3", "b:3"}, reasonDivided},
		"an unreachable cluster keeps its share":        {web(6), with(abc(), down), decided(web(6), "a:2", "b:2", "c:2"), []string{"a:2", "b:2", "c:2"}, reasonDivided},
		"nothing new goes to an unreachable cluster":    {web(9), with(abc(), down), decided(web(6), "a:3", "b:3", "c:0"), []string{"a:5", "b:4", "c:0"}, ""},
		"the last replica is where it is reachable":     {web(1), with(ready("a", "b"), down), decided(web(2), "a:1", "b:1"), []string{"a:1", "b:0"}, reasonDivided},
		"growth with nothing reachable stays on record": {web(4), with(ready("a"), down), decided(web(2), "a:2"), []string{"a:4"}, reasonDivided},
		"new object and nothing reachable":              {web(4), with(ready("a"), down), nil, []string{"NotReady=[a]"}, reasonNoChoice},
		"made again under the same name":                {web(3), abc(), func() *Decision { d := decided(web(3), "a:3"); d.Object.UID = "0"; return d }(), []string{"a:1", "b:1", "c:1"}, reasonDivided},

		"completions in proportion":                        {job(3, 9), abc(), nil, []string{"a:1/3", "b:1/3", "c:1/3"}, reasonDivided},
		"completions are never changed":                    {job(6, 9), ready("a", "b", "d"), decided(job(3, 9), "a:1/3", "b:2/6"), []string{"a:3/3", "b:3/6"}, reasonDivided},
		"completions of a leaving cluster go to a new one": {job(4, 8), ready("a", "c"), decided(job(4, 8), "a:2/4", "b:2/4"), []string{"a:2/4", "c:2/4"}, reasonDivided},
		"completions of a leaving cluster, nobody new":     {job(4, 8), ready("a"), decided(job(4, 8), "a:2/4", "b:2/4"), []string{"a:4/8"}, reasonDivided},
		"elastic indexed job":                              {job(8, 8), ready("a", "b"), decided(job(4, 4), "a:2/2", "b:2/2"), []string{"a:4/4", "b:4/4"}, reasonDivided},

		"unused secret":                     {secret(Use{}), abc(), nil, []string{}, reasonUnused},
		"secret follows its users":          {secret(Use{Users: 1, Wanted: []string{"b"}}), abc(), nil, []string{"b"}, reasonFollows},
		"secret ignores taints":             {secret(Use{Users: 1, Wanted: []string{"c"}}), with(abc(), tainted), nil, []string{"c"}, reasonFollows},
		"secret waits for a cluster":        {secret(Use{Users: 1, Wanted: []string{"b", "c"}}), with(abc(), down), nil, []string{"b", "NotReady=[c]"}, reasonFollows},
		"secret leaves with its user":       {secret(Use{Users: 1, Wanted: []string{"b"}}), abc(), decided(secret(Use{}), "a", "b"), []string{"b"}, reasonFollows},
		"secret leaves after its user":      {secret(Use{Users: 1, Wanted: []string{"b"}, Leaving: []string{"a", "c"}}), abc(), decided(secret(Use{}), "a", "b"), []string{"a", "b"}, reasonFollows},
		"secret stays while users are open": {secret(Use{Users: 1, Undecided: true}), abc(), decided(secret(Use{}), "a"), []string{"a"}, reasonFollows},

		"used where it goes anyway":      {used(Use{Users: 1, Wanted: []string{"b"}}), abc(), nil, []string{"a", "b", "c"}, reasonCopied},
		"nothing uses it":                {used(Use{}), abc(), nil, []string{"a", "b", "c"}, reasonCopied},
		"used where it would not go":     {used(Use{Users: 1, Wanted: []string{"c"}}), with(abc(), tainted), nil, []string{"a", "b", "c"}, reasonCopied},
		"used in a cluster that is down": {used(Use{Users: 1, Wanted: []string{"c"}}), with(abc(), down), nil, []string{"a", "b", "NotReady=[c]"}, reasonCopied},

		"not federated": {Object{Unfederated: true}, abc(), decided(config(), "a"), []string{}, federation.ReasonNotFederated},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(Input{Object: test.object, Clusters: test.clusters, Current: test.current})
			want := test.want
			if name == "nothing new goes to an unreachable cluster" { // who gets the odd one is the hash's choice
				if ptr.Deref(got.Clusters[0].Replicas, 0) == 4 {
					want = []string{"a:4", "b:5", "c:0"}
				}
			}
			if diff := cmp.Diff(want, show(got)); diff != "" {
				t.Errorf("Place (-want +got):\n%s", diff)
			}
			if test.reason != "" && got.Reason != test.reason {
				t.Errorf("reason %q, want %q", got.Reason, test.reason)
			}
		})
	}
}

func TestRemaindersSpread(t *testing.T) {
	extras := map[string]int{}
	for i := range 3000 {
		o := web(1)
		o.Reference.Name = fmt.Sprintf("web-%d", i)
		extras[decide(Input{Object: o, Clusters: ready("gondor", "rohan", "shire")}).Clusters[0].Name]++
	}
	for cluster, n := range extras {
		if n < 850 || n > 1150 {
			t.Errorf("cluster %s got %d of 3000 single replicas, want about 1000", cluster, n)
		}
	}
}

func TestRecordedExclusionEnds(t *testing.T) {
	clusters := with(ready("a", "b", "c"), down)
	first := decide(Input{Object: web(2), Clusters: clusters})
	again := decide(Input{Object: web(2), Clusters: ready("a", "b", "c"), Current: &first})
	if diff := cmp.Diff([]string{"a:1", "b:1"}, show(again)); diff != "" {
		t.Errorf("after the cluster came back (-want +got):\n%s", diff)
	}
}

// decide is Place where the decision alone matters.
func decide(in Input) Decision { return Place(in).Decision }
