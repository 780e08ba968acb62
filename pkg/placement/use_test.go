package placement

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// userIn is a user whose decision names clusters, and which has copies in others.
func userIn(uid types.UID, clusters, copies []string) User {
	d := &federation.PlacementDecision{}
	d.Spec.Object.UID = uid
	for _, name := range clusters {
		d.Spec.Clusters = append(d.Spec.Clusters, federation.ClusterPlacement{Name: name})
	}
	for _, name := range copies {
		d.Status.Clusters = append(d.Status.Clusters, federation.ClusterState{Name: name})
	}
	return User{UID: uid, Federated: true, Decision: d}
}

func TestUseOf(t *testing.T) {
	with := func(u User, change func(*User)) User { change(&u); return u }
	for name, test := range map[string]struct {
		users []User
		want  Use
	}{
		"nobody":                              {nil, Use{}},
		"one":                                 {[]User{userIn("1", []string{"a", "b"}, nil)}, Use{Users: 1, Wanted: []string{"a", "b"}}},
		"shared":                              {[]User{userIn("1", []string{"b", "c"}, nil), userIn("2", []string{"a", "b"}, []string{"d"})}, Use{Users: 2, Wanted: []string{"a", "b", "c"}, Leaving: []string{"d"}}},
		"undecided":                           {[]User{{UID: "1", Federated: true}}, Use{Users: 1, Undecided: true}},
		"deleted before it was decided on":    {[]User{{UID: "1", Federated: true, Deleted: true}}, Use{Users: 1}},
		"deleted, its copies are still there": {[]User{with(userIn("1", []string{"a"}, []string{"a"}), func(u *User) { u.Deleted = true })}, Use{Users: 1, Wanted: []string{"a"}, Leaving: []string{"a"}}},
		"made again under the same name":      {[]User{with(userIn("1", []string{"a"}, nil), func(u *User) { u.UID = "2" })}, Use{Users: 1, Undecided: true, Wanted: []string{"a"}}},
		"never federated":                     {[]User{{UID: "1"}}, Use{}},
		"no longer federated":                 {[]User{with(userIn("1", nil, []string{"a"}), func(u *User) { u.Federated = false })}, Use{Leaving: []string{"a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(&test.want, UseOf(test.users)); diff != "" {
				t.Errorf("UseOf (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeft(t *testing.T) {
	states := func(names ...string) (list []federation.ClusterState) {
		for _, name := range names {
			list = append(list, federation.ClusterState{Name: name})
		}
		return list
	}
	for name, test := range map[string]struct {
		before, after []federation.ClusterState
		want          bool
	}{
		"nothing happened": {states("a", "b"), states("a", "b"), false},
		"a copy more":      {states("a"), states("a", "b"), false},
		"a copy less":      {states("a", "b"), states("b"), true},
		"another one":      {states("a"), states("b"), true},
	} {
		if got := left(test.before, test.after); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestUseBesidePolicy: what its policy has in one cluster goes to its users' clusters as well, and leaves them after the
// users did.
func TestUseBesidePolicy(t *testing.T) {
	atHome := by(federation.Propagation{ClusterGroups: groups("a")})
	for name, test := range map[string]struct {
		object   Object
		clusters []Cluster
		current  []string
		want     []string
		reason   string
	}{
		"nothing uses it":                {used(Use{}), ready("a", "b"), nil, []string{"a"}, reasonByCopy},
		"used elsewhere":                 {used(Use{Users: 1, Wanted: []string{"b"}}), ready("a", "b", "c"), []string{"a"}, []string{"a", "b"}, reasonByCopy + reasonAlso},
		"used at home":                   {used(Use{Users: 1, Wanted: []string{"a"}}), ready("a", "b"), []string{"a"}, []string{"a"}, reasonByCopy},
		"its user's copy is still there": {used(Use{Leaving: []string{"b"}}), ready("a", "b"), []string{"a", "b"}, []string{"a", "b"}, reasonByCopy + reasonAlso},
		"its user is gone":               {used(Use{}), ready("a", "b"), []string{"a", "b"}, []string{"a"}, reasonByCopy},
		"one user left of two":           {used(Use{Users: 1, Wanted: []string{"c"}}), ready("a", "b", "c"), []string{"a", "b", "c"}, []string{"a", "c"}, reasonByCopy + reasonAlso},
		"a user is not decided on yet":   {used(Use{Users: 1, Undecided: true}), ready("a", "b"), []string{"a", "b"}, []string{"a", "b"}, reasonByCopy + reasonAlso},
		"tainted and down":               {used(Use{Users: 1, Wanted: []string{"b"}}), with(with(ready("a", "b"), tainted), down), []string{"a"}, []string{"a"}, reasonByCopy},
		"secret that a policy names":     {secret(Use{Users: 1, Wanted: []string{"b"}}), ready("a", "b", "c"), nil, []string{"a", "b"}, reasonByCopy + reasonAlso},
	} {
		t.Run(name, func(t *testing.T) {
			in := Input{Object: test.object, Policy: atHome, Clusters: test.clusters}
			if test.current != nil {
				in.Current = decided(test.object, test.current...)
				in.Current.Policy = &atHome.Reference
				for _, cluster := range test.current {
					in.Copies = append(in.Copies, Copy{Cluster: cluster, Synced: true})
				}
			}
			got := decide(in)
			var clusters []string
			for _, c := range got.Clusters {
				clusters = append(clusters, c.Name)
			}
			if diff := cmp.Diff(test.want, clusters); diff != "" {
				t.Errorf("clusters (-want +got):\n%s", diff)
			}
			if got.Reason != test.reason {
				t.Errorf("reason %q, want %q", got.Reason, test.reason)
			}
			in.Current = &got
			if again := decide(in); !Same(&got, &again) {
				t.Errorf("not stable:\n%s", cmp.Diff(got, again))
			}
		})
	}
}
