package eks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws/moto"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// TestWireOfMoto checks requests and answers of EKS and STS against a server of another hand. moto checks no signature, makes
// clusters at once, and gives them an endpoint and a certificate authority that are none.
func TestWireOfMoto(t *testing.T) {
	url := moto.Start(t)
	if url == "" {
		return
	}
	f := open(t, config.Account{Regions: []string{"us-east-1", "eu-west-1"}, Credentials: []config.Credentials{keyFile(t, keyID, "")}, Endpoints: map[string]string{"*": url}})
	const many = 3
	for i := range many {
		if _, err := f.client("us-east-1").CreateCluster(t.Context(), &eks.CreateClusterInput{Name: aws.String(fmt.Sprintf("prod-%03d", i)),
			RoleArn: aws.String("arn:aws:iam::123456789012:role/eks"), Version: aws.String("1.33"), ResourcesVpcConfig: &types.VpcConfigRequest{}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Clusters(t.Context(), nil)
	if err != nil || len(got) != many || !slices.IsSortedFunc(got, func(a, b cloud.Cluster) int { return strings.Compare(a.Reference.Name, b.Reference.Name) }) {
		t.Fatalf("%d clusters, %v", len(got), err)
	}
	if c := got[0]; c.Reference.String() != "eks:us-east-1/prod-000" || c.Version != "1.33" || c.State != "ACTIVE" || c.Endpoint == "" || len(c.CA) == 0 {
		t.Errorf("%+v", c)
	}
	if _, err := f.Cluster(t.Context(), cloud.Reference{Service: cloud.EKS, Location: "eu-west-1", Name: "none"}); cloud.KindOf(err) != cloud.NotFound {
		t.Error(err)
	}
	if who, err := f.Identity(t.Context()); err != nil || !strings.HasPrefix(who, "arn:aws:sts::123456789012:") {
		t.Errorf("%s, %v", who, err)
	}
}
