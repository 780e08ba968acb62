package observe

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/verdict"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func member(name, provider, region string, zones ...string) *federation.Cluster {
	c := &federation.Cluster{}
	c.Name, c.Status.Provider, c.Status.Region, c.Status.Zones = name, provider, region, zones
	return c
}

func TestChoose(t *testing.T) {
	prod := &Source{Name: "prod", Provider: "aws"}
	east := &Source{Name: "east", Provider: "aws", Regions: []string{"us-east-1"}}
	east2 := &Source{Name: "east-2", Provider: "aws", Regions: []string{"us-east-1"}}
	own := &Source{Name: "own", Provider: "aws", Regions: []string{"us-east-1"}, Clusters: []string{"gondor"}}
	lab := &Source{Name: "lab", Provider: "on-premises", Regions: []string{"lab"}, Site: true}
	anywhere := &Source{Name: "anywhere", Provider: "on-premises", Site: true}
	tests := map[string]struct {
		cluster *federation.Cluster
		sources []*Source
		want    *Source
		problem string
	}{
		"nothing configured":                      {cluster: member("gondor", "aws", "us-east-1")},
		"the only account":                        {cluster: member("gondor", "aws", "us-east-1"), sources: []*Source{prod, lab}, want: prod},
		"another provider":                        {cluster: member("gondor", "gcp", "us-east1"), sources: []*Source{prod, lab}},
		"one that names the region goes before":   {cluster: member("gondor", "aws", "us-east-1"), sources: []*Source{prod, east}, want: east},
		"a region that only one asks":             {cluster: member("gondor", "aws", "eu-west-1"), sources: []*Source{east, prod}, want: prod},
		"two may be meant":                        {cluster: member("gondor", "aws", "us-east-1"), sources: []*Source{east, east2}, want: east, problem: "east, east-2"},
		"one names the cluster":                   {cluster: member("gondor", "aws", "us-east-1"), sources: []*Source{east, east2, own}, want: own},
		"what names others is not for the rest":   {cluster: member("rohan", "aws", "us-east-1"), sources: []*Source{own, east}, want: east},
		"named, where the account does not ask":   {cluster: member("gondor", "aws", "eu-west-1"), sources: []*Source{own}, want: own, problem: "add it to the regions of account own"},
		"named, before its region is known":       {cluster: member("gondor", "", ""), sources: []*Source{own}},
		"an account needs a region":               {cluster: member("gondor", "aws", ""), sources: []*Source{prod}},
		"a site":                                  {cluster: member("shire", "on-premises", "lab"), sources: []*Source{anywhere, lab}, want: lab},
		"nodes that do not say where":             {cluster: member("shire", "", "lab"), sources: []*Source{prod, anywhere, lab}, want: lab},
		"nodes that say nothing":                  {cluster: member("shire", "", ""), sources: []*Source{prod, anywhere, lab}},
		"a site without a region":                 {cluster: member("shire", "on-premises", ""), sources: []*Source{anywhere, lab}, want: anywhere},
		"an account goes before a site like that": {cluster: member("gondor", "aws", "us-east-1"), sources: []*Source{{Name: "s", Provider: "aws", Site: true}, prod}, want: prod},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := choose(tt.cluster, tt.sources)
			if got != tt.want || (err != nil) != (tt.problem != "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestRecordSettles(t *testing.T) {
	down, denied := errors.New("connection refused"), &cloud.Error{Kind: cloud.Denied, Operation: "ec2:DescribeAvailabilityZones"}
	tests := map[string]struct {
		ends []error
		want cloud.ErrorKind
	}{
		"never asked":                     {},
		"answers":                         {ends: []error{nil}},
		"one failure is none":             {ends: []error{nil, down}},
		"even the first":                  {ends: []error{down}},
		"two are":                         {ends: []error{nil, down, down}, want: cloud.Unavailable},
		"a refusal is clear":              {ends: []error{nil, denied}, want: cloud.Denied},
		"a failure after it changes none": {ends: []error{denied, down, down, down}, want: cloud.Denied},
		"a refusal after failures":        {ends: []error{down, down, denied}, want: cloud.Denied},
		"one answer is no return":         {ends: []error{down, down, nil}, want: cloud.Unavailable},
		"now and then":                    {ends: []error{down, down, nil, down, nil, down, nil, down}, want: cloud.Unavailable},
		"back":                            {ends: []error{down, down, nil, nil}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var r record[int]
			for i, err := range tt.ends {
				r = r.read(i, err, start.Add(time.Duration(i)*time.Minute))
			}
			got := cloud.ErrorKind("")
			if r.trouble != nil {
				got = cloud.KindOf(r.trouble)
			}
			if got != tt.want {
				t.Errorf("trouble %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRecordKeepsWhatWasSaid: whatever happens, the last answer stays, with the time of it.
func TestRecordKeepsWhatWasSaid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var r record[int]
		last, at := 0, time.Time{}
		for i, ok := range rapid.SliceOf(rapid.Bool()).Draw(rt, "answers") {
			now := start.Add(time.Duration(i) * time.Second)
			if ok {
				last, at = i, now
				r = r.read(i, nil, now)
			} else {
				r = r.read(0, errors.New("down"), now)
			}
			if r.Value != last || !r.At.Equal(at) {
				rt.Fatalf("after %d: %+v, want %d of %s", i, r, last, at)
			}
			if p := r.pause(30 * time.Second); p <= 0 || p > 33*time.Second {
				rt.Fatalf("pause %s", p)
			}
		}
	})
}

func zonesRead(list ...cloud.Zone) record[[]cloud.Zone] {
	var r record[[]cloud.Zone]
	return r.read(list, nil, start)
}

func TestWord(t *testing.T) {
	a := cloud.Zone{Name: "a", ID: "use1-az1", State: cloud.ZoneAvailable}
	b := cloud.Zone{Name: "b", State: cloud.ZoneAvailable}
	ill := func(z cloud.Zone, s cloud.ZoneState) cloud.Zone { z.State, z.Message = s, "power"; return z }
	account, site := &Source{Name: "prod"}, &Source{Name: "lab", Site: true}
	tests := map[string]struct {
		known known
		zones []string
		after time.Duration
		want  verdict.Signal
	}{
		"no source":             {zones: []string{"a"}},
		"not asked yet":         {known: known{source: account}, zones: []string{"a"}},
		"available":             {known: known{source: account, zones: zonesRead(a, b)}, zones: []string{"a", "b"}, want: verdict.Signal{Says: "Alive"}},
		"by ID":                 {known: known{source: account, zones: zonesRead(a)}, zones: []string{"use1-az1"}, want: verdict.Signal{Says: "Alive"}},
		"one impaired":          {known: known{source: account, zones: zonesRead(ill(a, cloud.ZoneImpaired), b)}, zones: []string{"a", "b"}, want: verdict.Signal{Says: "Impaired", Message: "zone a is impaired (power)"}},
		"another one impaired":  {known: known{source: account, zones: zonesRead(ill(a, cloud.ZoneImpaired), b)}, zones: []string{"b"}, want: verdict.Signal{Says: "Alive"}},
		"one unavailable":       {known: known{source: account, zones: zonesRead(ill(a, cloud.ZoneUnavailable), b)}, zones: []string{"a", "b"}, want: verdict.Signal{Says: "Impaired", Message: "zone a is unavailable (power)"}},
		"all unavailable":       {known: known{source: account, zones: zonesRead(ill(a, cloud.ZoneUnavailable), ill(b, cloud.ZoneUnavailable))}, zones: []string{"a", "b"}, want: verdict.Signal{Says: "Dead", Message: "zone a is unavailable (power), zone b is unavailable (power)"}},
		"one is not known":      {known: known{source: account, zones: zonesRead(ill(a, cloud.ZoneUnavailable))}, zones: []string{"a", "c"}, want: verdict.Signal{Says: "Impaired", Message: "zone a is unavailable (power)"}},
		"none is known":         {known: known{source: account, zones: zonesRead(a)}, zones: []string{"c"}, want: verdict.Signal{Says: "Unknown", Message: "its cloud does not tell of its zones"}},
		"a site names few":      {known: known{source: site, zones: zonesRead()}, zones: []string{"c"}, want: verdict.Signal{Says: "Alive"}},
		"somewhere in a region": {known: known{source: account, zones: zonesRead(ill(a, cloud.ZoneImpaired), b)}, want: verdict.Signal{Says: "Alive"}},
		"in a region that fell": {known: known{source: account, zones: zonesRead(ill(a, cloud.ZoneUnavailable))}, want: verdict.Signal{Says: "Dead", Message: "zone a is unavailable (power)"}},
		"old":                   {known: known{source: account, zones: zonesRead(ill(a, cloud.ZoneUnavailable))}, zones: []string{"a"}, after: 6 * time.Minute, want: verdict.Signal{Says: "Unknown", Message: "what its cloud said is too old"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.known.word(tt.zones, 5*time.Minute, start.Add(tt.after))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestStatusOverTime follows one cluster: what is known stays when the cloud falls silent, and nothing is written twice.
func TestStatusOverTime(t *testing.T) {
	source := &Source{Name: "prod"}
	c := member("gondor", "aws", "us-east-1", "us-east-1a", "us-east-1z")
	k := known{source: source, region: "us-east-1"}
	now := start
	look := func() (changed bool, event string) {
		t.Helper()
		now = now.Add(time.Minute)
		status := k.status(c, now)
		_, event, _, _ = transition(c.Status, status)
		changed = !cmp.Equal(c.Status, status)
		c.Status = status
		if again := k.status(c, now.Add(time.Hour)); !cmp.Equal(again, status) {
			t.Fatalf("differs without a reason:\n%s", cmp.Diff(status, again))
		}
		return changed, event
	}
	condition := func(status metav1.ConditionStatus, reason string, contains ...string) {
		t.Helper()
		got := meta.FindStatusCondition(c.Status.Conditions, federation.ClusterCloudKnown)
		if got == nil || got.Status != status || got.Reason != reason {
			t.Fatalf("condition %+v, want %s %s", got, status, reason)
		}
		for _, text := range contains {
			if !strings.Contains(got.Message, text) {
				t.Fatalf("message %q lacks %q", got.Message, text)
			}
		}
	}
	if _, event := look(); event != "" || meta.FindStatusCondition(c.Status.Conditions, federation.ClusterCloudKnown) != nil {
		t.Fatalf("not asked yet: %+v", c.Status)
	}
	k.zones = zonesRead(cloud.Zone{Name: "us-east-1a", ID: "use1-az6", State: cloud.ZoneAvailable})
	if changed, event := look(); !changed || event != "" {
		t.Fatalf("the first answer is no event: %q", event)
	}
	condition(metav1.ConditionTrue, federation.ReasonCloudAnswers, "us-east-1z")
	want := []federation.CloudZone{
		{Name: "us-east-1a", ID: "use1-az6", State: "Available", Since: metav1.NewTime(now)},
		{Name: "us-east-1z", State: "Unknown", Since: metav1.NewTime(now), Message: "the cloud names no such zone in us-east-1"},
	}
	if diff := cmp.Diff(want, c.Status.Cloud.Zones); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	k.zones = k.zones.read(k.zones.Value, nil, start.Add(time.Hour))
	if changed, _ := look(); changed {
		t.Fatal("the same again is written")
	}
	k.zones = k.zones.read(nil, &cloud.Error{Kind: cloud.Denied, Operation: "ec2:DescribeAvailabilityZones", Advice: "allow it"}, now)
	if changed, event := look(); !changed || event != "CloudUnknown" {
		t.Fatalf("event %q", event)
	}
	condition(metav1.ConditionFalse, "Denied", "ec2:DescribeAvailabilityZones", "2026-03-01T13:00:00Z")
	if diff := cmp.Diff(want, c.Status.Cloud.Zones); diff != "" {
		t.Fatalf("what was known is gone (-want +got):\n%s", diff)
	}
	k.zones = k.zones.read(nil, errors.New("timeout"), now)
	if changed, _ := look(); changed {
		t.Fatal("another failure is written")
	}
	restarted := known{source: source, region: "us-east-1"}
	restarted.zones = restarted.zones.read(nil, &cloud.Error{Kind: cloud.Denied, Operation: "ec2:DescribeAvailabilityZones in other words"}, now)
	saved := k
	k = restarted
	if changed, _ := look(); changed {
		t.Fatal("a restart is written")
	}
	k = saved
	answer := []cloud.Zone{{Name: "us-east-1a", ID: "use1-az6", State: cloud.ZoneImpaired, Message: "power"}}
	k.zones = k.zones.read(answer, nil, now)
	k.zones = k.zones.read(answer, nil, now)
	if _, event := look(); event != "CloudKnown" {
		t.Fatalf("event %q", event)
	}
	condition(metav1.ConditionTrue, federation.ReasonCloudAnswers)
	if z := c.Status.Cloud.Zones[0]; z.State != "Impaired" || !z.Since.Time.Equal(now) || z.Message != "power" {
		t.Fatalf("%+v", z)
	}
	k = known{}
	look()
	if c.Status.Cloud != nil || len(c.Status.Conditions) != 0 {
		t.Fatalf("nobody is asked any more: %+v", c.Status)
	}
}

// TestOneMessageForOneCause: families that fail alike are told of once.
func TestOneMessageForOneCause(t *testing.T) {
	err := errors.New("dial tcp: connection refused")
	k := known{source: &Source{Name: "prod"}}
	for range 2 {
		k.zones, k.prices = k.zones.read(nil, err, start), k.prices.read(offers{}, err, start)
	}
	if c := k.condition(member("gondor", "aws", "us-east-1")); strings.Count(c.Message, "refused") != 1 || c.Reason != "Unavailable" {
		t.Errorf("%+v", c)
	}
}
