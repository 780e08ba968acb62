package main

import (
	"testing"

	"kubefed.dev/kubefed/pkg/cloud/aws/route53/route53test"
	"kubefed.dev/kubefed/pkg/dns/config"
)

// TestCloudZones: what the configuration says reaches the provider.
func TestCloudZones(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	server := route53test.New(t)
	server.AddZone("fed.example.", false)
	id := server.AddZone("fed.example.", false)
	c, err := config.Parse([]byte("zones: [{name: fed.example, provider: aws-route53, aws-route53: {endpoint: \"" + server.URL + "\", zoneID: " + id + "}}]"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newRoute53("earth")(t.Context(), c.Zones[0])
	if err != nil {
		t.Fatal(err)
	}
	if zones, err := p.Zones(t.Context()); err != nil || len(zones) != 1 || !zones[0].Limits.Routing {
		t.Errorf("zones %v, %v", zones, err)
	}

	c, err = config.Parse([]byte("zones: [{name: fed.example, provider: google-clouddns, google-clouddns: {project: p, credentialsFile: /nowhere}}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newCloudDNS(t.Context(), c.Zones[0]); err == nil {
		t.Error("a credentials file that is not there is no error")
	}
}
