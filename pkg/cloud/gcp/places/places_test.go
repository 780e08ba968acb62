package places

import "testing"

func TestNearest(t *testing.T) {
	for _, test := range []struct{ provider, region, want string }{
		{"gcp", "europe-west3", "europe-west3"},
		{"gce", "us-east1", "us-east1"},
		{"aws", "eu-central-1", "europe-west3"},
		{"azure", "WestEurope", "europe-west4"},
		{"onprem", "asia-south1", "asia-south1"},
		{"onprem", "basement", ""},
		{"", "", ""},
	} {
		if got := Nearest(test.provider, test.region); got != test.want {
			t.Errorf("%s %s is nearest to %q, want %q", test.provider, test.region, got, test.want)
		}
	}
	for provider, all := range elsewhere {
		for region, near := range all {
			if !regions[near] {
				t.Errorf("%s %s: %s is no region", provider, region, near)
			}
		}
	}
}
