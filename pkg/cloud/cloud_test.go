package cloud_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
)

func TestReference(t *testing.T) {
	for text, want := range map[string]cloud.Reference{
		"eks:us-east-1/prod-a":           {Service: cloud.EKS, Location: "us-east-1", Name: "prod-a"},
		"gke:earth-1/europe-west4/prod":  {Service: cloud.GKE, Project: "earth-1", Location: "europe-west4", Name: "prod"},
		"gke:earth-1/europe-west4-a/one": {Service: cloud.GKE, Project: "earth-1", Location: "europe-west4-a", Name: "one"},
	} {
		got, err := cloud.ParseReference(text)
		if err != nil || got != want || got.String() != text || !cloud.IsReference(text) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "gondor", "eks:", "eks:us-east-1", "eks:/prod", "eks:a/b/c", "gke:p/l", "gke:p//n", "aks:a/b"} {
		if got, err := cloud.ParseReference(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

func TestFactGrowsOldAndIsNeverEmptied(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := cloud.Fact[int]{}
	if f.Known(now, time.Hour) {
		t.Error("nothing is known")
	}
	f = f.Read(7, nil, now)
	f = f.Read(0, errors.New("down"), now.Add(time.Minute))
	if f.Value != 7 || f.Err == nil || !f.Known(now.Add(30*time.Minute), time.Hour) || f.Known(now.Add(2*time.Hour), time.Hour) {
		t.Errorf("%+v", f)
	}
	if f = f.Read(9, fmt.Errorf("asking: %w", &cloud.Partial{Err: errors.New("down")}), now.Add(time.Hour)); f.Value != 9 || f.Err == nil || f.At != now {
		t.Errorf("%+v", f)
	}
	if f = f.Read(8, nil, now.Add(3*time.Hour)); f.Err != nil || f.Value != 8 {
		t.Errorf("%+v", f)
	}
}

func TestKindOf(t *testing.T) {
	err := fmt.Errorf("discovering: %w", &cloud.Error{Kind: cloud.Denied, Operation: "eks:ListClusters in us-east-1", Advice: "allow eks:ListClusters"})
	if cloud.KindOf(err) != cloud.Denied || cloud.KindOf(errors.New("x")) != cloud.Unavailable {
		t.Error(err)
	}
}
