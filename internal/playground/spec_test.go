package playground

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMembers(t *testing.T) {
	for _, test := range []struct {
		name      string
		texts     []string
		want      []Spec
		wantError string
	}{
		{
			"zones continue after commas", []string{"a=aws/us-east-1/us-east-1a,us-east-1b,b=gcp/europe-west1/europe-west1-b"},
			[]Spec{
				{"a", Member, "aws", "us-east-1", []string{"us-east-1a", "us-east-1b"}},
				{"b", Member, "gcp", "europe-west1", []string{"europe-west1-b"}},
			}, "",
		},
		{
			"usual zones", []string{"a=aws/eu-west-1,b=gcp/us-west1,c=on-premises/cellar"},
			[]Spec{
				{"a", Member, "aws", "eu-west-1", []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"}},
				{"b", Member, "gcp", "us-west1", []string{"us-west1-b", "us-west1-c", "us-west1-d"}},
				{"c", Member, "on-premises", "cellar", []string{"cellar"}},
			}, "",
		},
		{
			"flag given twice", []string{"a=x/y/z", "b=x/y/z"},
			[]Spec{{"a", Member, "x", "y", []string{"z"}}, {"b", Member, "x", "y", []string{"z"}}}, "",
		},
		{"no place", []string{"gondor"}, nil, `cluster "gondor": write name=provider/region/zones`},
		{"no region", []string{"gondor=aws"}, nil, "write name=provider/region/zones"},
		{"empty region", []string{"gondor=aws/"}, nil, "write name=provider/region/zones"},
		{"empty", []string{""}, nil, "write name=provider/region/zones"},
		{"comma at the end", []string{"a=x/y/z,"}, nil, "write name=provider/region/zones"},
		{"too many parts", []string{"a=x/y/z/1"}, nil, "write name=provider/region/zones"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseMembers(test.texts)
			if !matches(err, test.wantError) {
				t.Fatalf("error %v, want one with %q", err, test.wantError)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHost(t *testing.T) {
	members := []Spec{{"a", Member, "x", "y", []string{"z"}}, {"b", Member, "x", "y", []string{"z"}}}
	for _, test := range []struct {
		name, host string
		want       []string
	}{
		{"a cluster of its own", "home", []string{"home host", "a member", "b member"}},
		{"one of the members", "b", []string{"a member", "b host"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, s := range withHost(members, test.host) {
				got = append(got, s.Name+" "+s.Role)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if members[1].Role != Member {
				t.Error("the members that were given have changed")
			}
		})
	}
}

func TestValidate(t *testing.T) {
	good := Spec{"a", Member, "aws", "us-east-1", []string{"us-east-1a"}}
	with := func(change func(*Spec)) []Spec { s := good; change(&s); return []Spec{s} }
	for _, test := range []struct {
		name      string
		specs     []Spec
		wantError string
	}{
		{"good", []Spec{good}, ""},
		{"twice", []Spec{good, good}, `"a" is given twice`},
		{"capital letter", with(func(s *Spec) { s.Name = "Gondor" }), `cluster name "Gondor"`},
		{"path", with(func(s *Spec) { s.Name = "../x" }), `cluster name "../x"`},
		{"zone with a space", with(func(s *Spec) { s.Zones = []string{"a b"} }), `cluster a: "a b" can't be`},
		{"empty zone", with(func(s *Spec) { s.Zones = []string{""} }), `cluster a: "" can't be`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := validate(test.specs); !matches(err, test.wantError) {
				t.Errorf("error %v, want one with %q", err, test.wantError)
			}
		})
	}
}

func matches(err error, want string) bool {
	if want == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), want)
}
