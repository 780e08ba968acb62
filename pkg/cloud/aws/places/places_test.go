package places

import "testing"

func TestLoadBalancer(t *testing.T) {
	for _, test := range []struct{ name, host, want string }{
		{"classic", "a1b2-1234567890.eu-west-1.elb.amazonaws.com", "Z32O12XQLNTSW2"},
		{"application, both families", "dualstack.web-123.us-east-1.elb.amazonaws.com.", "Z35SXDOTRQ7X7K"},
		{"network, in capitals", "K8S-Web-0123.ELB.us-east-2.amazonaws.com", "ZLMOA37VPKANP"},
		{"a region that is not known", "web-1.xx-north-9.elb.amazonaws.com", ""},
		{"another service", "bucket.s3.eu-west-1.amazonaws.com", ""},
		{"another domain", "web.eu-west-1.elb.amazonaws.com.example", ""},
		{"none", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := LoadBalancer(test.host); got != test.want {
				t.Errorf("%s is in %q, want %q", test.host, got, test.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	for _, test := range []struct{ provider, region, want string }{
		{"aws", "eu-west-1", "eu-west-1"},
		{"gce", "europe-west3", "eu-central-1"},
		{"gcp", "us-east1", "us-east-1"},
		{"azure", "WestEurope", "eu-central-1"},
		{"onprem", "eu-north-1", "eu-north-1"},
		{"onprem", "basement", ""},
		{"", "", ""},
	} {
		if got := Nearest(test.provider, test.region); got != test.want {
			t.Errorf("%s %s is nearest to %q, want %q", test.provider, test.region, got, test.want)
		}
	}
	for provider, regions := range elsewhere {
		for region, near := range regions {
			if _, known := balancers[near]; !known {
				t.Errorf("%s %s: %s is no region", provider, region, near)
			}
		}
	}
}
