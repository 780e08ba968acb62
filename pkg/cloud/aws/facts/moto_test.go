package facts

import (
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws/moto"
)

// TestWireOfMoto checks requests and answers of EC2 and Elastic Load Balancing against a server of another hand. moto's zones are
// always available, all spot prices are the same, its targets are healthy, and it has no price list.
func TestWireOfMoto(t *testing.T) {
	url := moto.Start(t)
	if url == "" {
		return
	}
	f := asking(t, url)
	zones, err := f.Zones(t.Context(), "eu-west-1")
	if err != nil || len(zones) != 3 || zones[0].Name != "eu-west-1a" || zones[0].ID == "" || zones[0].State != cloud.ZoneAvailable {
		t.Errorf("%+v, %v", zones, err)
	}
	spots, err := f.spot(t.Context(), "eu-west-1", []string{"m5.large"})
	if s := spots[spotKey{"eu-west-1", "m5.large", "eu-west-1a"}]; err != nil || !(s.hour > 0) {
		t.Errorf("%+v, %v", spots, err)
	}
	got, err := f.Find(t.Context(), "eu-west-1", []string{balance(t, f)})
	if err != nil || len(got) != 1 || got[0].Healthy != 1 || got[0].Targets != 1 || got[0].AliasZone == "" {
		t.Errorf("%+v, %v", got, err)
	}
}

// balance makes a load balancer with a target, and returns its host name.
func balance(t *testing.T, f *Facts) string {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	machines, balancers := f.ec2("eu-west-1"), f.elb("eu-west-1")
	vpc, err := machines.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: sdk.String("10.0.0.0/16")})
	check(err)
	subnet, err := machines.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: sdk.String("10.0.1.0/24"), AvailabilityZone: sdk.String("eu-west-1a")})
	check(err)
	lb, err := balancers.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: sdk.String("shop"), Type: types.LoadBalancerTypeEnumNetwork, Subnets: []string{*subnet.Subnet.SubnetId}})
	check(err)
	group, err := balancers.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: sdk.String("http"), Protocol: types.ProtocolEnumTcp, Port: sdk.Int32(80),
		VpcId: vpc.Vpc.VpcId, TargetType: types.TargetTypeEnumIp})
	check(err)
	_, err = balancers.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Protocol: types.ProtocolEnumTcp, Port: sdk.Int32(80),
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: group.TargetGroups[0].TargetGroupArn}}})
	check(err)
	_, err = balancers.RegisterTargets(t.Context(), &elb.RegisterTargetsInput{TargetGroupArn: group.TargetGroups[0].TargetGroupArn, Targets: []types.TargetDescription{{Id: sdk.String("10.0.1.7")}}})
	check(err)
	return *lb.LoadBalancers[0].DNSName
}

func asking(t *testing.T, url string) *Facts {
	t.Helper()
	f := of(session(t, url))
	f.now = time.Now
	return f
}
