package awstest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Balancer is a load balancer of Elastic Load Balancing v2.
type Balancer struct {
	Name string
	// Type is network by default, else application.
	Type string
	// DNSName and AliasZone have made-up defaults. Addresses are those of network load balancers.
	DNSName, AliasZone string
	Addresses          []string
	// Groups of targets, by name: the state of each target by its ID, such as healthy or unhealthy.
	Groups map[string]map[string]string
}

// SetBalancer adds or replaces a load balancer.
func (c *Cloud) SetBalancer(regionName string, b Balancer) {
	b.Type = cmp.Or(b.Type, "network")
	if b.DNSName == "" && b.Type == "network" {
		b.DNSName = b.Name + "-0123456789abcdef.elb." + regionName + ".amazonaws.com"
	}
	b.DNSName = cmp.Or(b.DNSName, b.Name+"-0123456789."+regionName+".elb.amazonaws.com")
	b.AliasZone = cmp.Or(b.AliasZone, "Z0000000000000")
	b.Groups = copied(b.Groups)
	c.set(func() { c.in(regionName).balancers[b.Name] = b })
}

// RemoveBalancer takes a load balancer away.
func (c *Cloud) RemoveBalancer(regionName, name string) {
	c.set(func() { delete(c.in(regionName).balancers, name) })
}

// SetTarget sets the state of a target of a load balancer's group; an empty one takes it away.
func (c *Cloud) SetTarget(regionName, balancer, group, target, state string) {
	c.set(func() {
		b, ok := c.in(regionName).balancers[balancer]
		if !ok {
			return
		}
		b.Groups = copied(b.Groups)
		if b.Groups[group] == nil {
			b.Groups[group] = map[string]string{}
		}
		if b.Groups[group][target] = state; state == "" {
			delete(b.Groups[group], target)
		}
		c.in(regionName).balancers[balancer] = b
	})
}

func copied(groups map[string]map[string]string) map[string]map[string]string {
	out := map[string]map[string]string{}
	for name, targets := range groups {
		out[name] = maps.Clone(targets)
	}
	return out
}

func (q *request) arn(kind, rest string) string {
	return "arn:aws:elasticloadbalancing:" + q.region + ":" + Account + ":" + kind + "/" + rest + "/0123456789abcdef"
}

func (c *Cloud) describeBalancers(q *request) (any, *refusal) {
	if r := q.strange("Marker", "PageSize"); r != nil {
		return nil, r
	}
	type address struct {
		IP string `xml:"IpAddress"`
	}
	type zone struct {
		ZoneName  string
		Addresses []address `xml:"LoadBalancerAddresses>member"`
	}
	type item struct {
		ARN       string `xml:"LoadBalancerArn"`
		Name      string `xml:"LoadBalancerName"`
		DNSName   string
		AliasZone string `xml:"CanonicalHostedZoneId"`
		Type      string
		Scheme    string
		State     string `xml:"State>Code"`
		Zones     []zone `xml:"AvailabilityZones>member"`
	}
	var items []item
	all := c.in(q.region).balancers
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b := all[name]
		i := item{ARN: q.arn("loadbalancer", b.arnPart()), Name: name, DNSName: b.DNSName, AliasZone: b.AliasZone, Type: b.Type, Scheme: "internet-facing", State: "active"}
		z := zone{ZoneName: q.region + "a"}
		for _, a := range b.Addresses {
			z.Addresses = append(z.Addresses, address{a})
		}
		i.Zones = []zone{z}
		items = append(items, i)
	}
	asked, _ := strconv.Atoi(q.form.Get("PageSize"))
	page, next, refused := paged(c, q, items, q.form.Get("Marker"), asked)
	return struct {
		Items []item `xml:"LoadBalancers>member"`
		Next  string `xml:"NextMarker,omitempty"`
	}{page, next}, refused
}

func (b Balancer) arnPart() string {
	return map[string]string{"network": "net", "application": "app"}[b.Type] + "/" + b.Name
}

func (c *Cloud) describeGroups(q *request) (any, *refusal) {
	if r := q.strange("LoadBalancerArn", "Marker", "PageSize"); r != nil {
		return nil, r
	}
	type item struct {
		ARN  string `xml:"TargetGroupArn"`
		Name string `xml:"TargetGroupName"`
	}
	for name, b := range c.in(q.region).balancers {
		if q.arn("loadbalancer", b.arnPart()) != q.form.Get("LoadBalancerArn") {
			continue
		}
		var items []item
		for _, group := range slices.Sorted(maps.Keys(b.Groups)) {
			items = append(items, item{q.arn("targetgroup", name+"-"+group), name + "-" + group})
		}
		page, next, refused := paged(c, q, items, q.form.Get("Marker"), 0)
		return struct {
			Items []item `xml:"TargetGroups>member"`
			Next  string `xml:"NextMarker,omitempty"`
		}{page, next}, refused
	}
	return nil, &refusal{400, "LoadBalancerNotFound", "One or more load balancers not found"}
}

func (c *Cloud) describeHealth(q *request) (any, *refusal) {
	if r := q.strange("TargetGroupArn"); r != nil {
		return nil, r
	}
	type item struct {
		ID     string `xml:"Target>Id"`
		Port   int    `xml:"Target>Port"`
		State  string `xml:"TargetHealth>State"`
		Reason string `xml:"TargetHealth>Reason,omitempty"`
	}
	for name, b := range c.in(q.region).balancers {
		for group, targets := range b.Groups {
			if q.arn("targetgroup", name+"-"+group) != q.form.Get("TargetGroupArn") {
				continue
			}
			var items []item
			for _, id := range slices.Sorted(maps.Keys(targets)) {
				i := item{ID: id, Port: 30080, State: targets[id]}
				if strings.HasPrefix(i.State, "un") {
					i.Reason = "Target.FailedHealthChecks"
				}
				items = append(items, i)
			}
			return struct {
				Items []item `xml:"TargetHealthDescriptions>member"`
			}{items}, nil
		}
	}
	return nil, &refusal{400, "TargetGroupNotFound", "One or more target groups not found"}
}
