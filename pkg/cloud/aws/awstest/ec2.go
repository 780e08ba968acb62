package awstest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Zone of a region.
type Zone struct {
	// Name and ID, such as us-east-1a and use1-az6.
	Name, ID string
	// State is available by default; also information, impaired, unavailable or constrained.
	State    string
	Messages []string
}

type spotKey struct{ kind, zone string }

type spotPrice struct {
	hour  float64
	since time.Time
}

// SetZone adds or replaces a zone.
func (c *Cloud) SetZone(regionName string, z Zone) {
	z.State = cmp.Or(z.State, "available")
	c.set(func() { c.in(regionName).zones[z.Name] = z })
}

// SetRegion puts all zones of a region into a state.
func (c *Cloud) SetRegion(regionName, state string, messages ...string) {
	c.set(func() {
		zones := c.in(regionName).zones
		for name, z := range zones {
			z.State, z.Messages = cmp.Or(state, "available"), messages
			zones[name] = z
		}
	})
}

// SetSpot is the price of a type on spot in a zone from now on; 0 is for a type that is not offered there.
func (c *Cloud) SetSpot(regionName, kind, zone string, hour float64) {
	c.set(func() {
		if hour == 0 {
			delete(c.in(regionName).spot, spotKey{kind, zone})
			return
		}
		c.in(regionName).spot[spotKey{kind, zone}] = spotPrice{hour, c.now()}
	})
}

func (c *Cloud) describeZones(q *request) (any, *refusal) {
	if r := q.strange(); r != nil {
		return nil, r
	}
	type message struct {
		Message string `xml:"message"`
	}
	type item struct {
		Name     string    `xml:"zoneName"`
		ID       string    `xml:"zoneId"`
		State    string    `xml:"zoneState"`
		Type     string    `xml:"zoneType"`
		Region   string    `xml:"regionName"`
		Group    string    `xml:"groupName"`
		OptIn    string    `xml:"optInStatus"`
		Messages []message `xml:"messageSet>item"`
	}
	var out struct {
		RequestID string `xml:"requestId"`
		Zones     []item `xml:"availabilityZoneInfo>item"`
	}
	for _, name := range slices.Sorted(maps.Keys(c.in(q.region).zones)) {
		z := c.in(q.region).zones[name]
		i := item{Name: z.Name, ID: z.ID, State: z.State, Type: "availability-zone", Region: q.region, Group: q.region, OptIn: "opt-in-not-required"}
		for _, m := range z.Messages {
			i.Messages = append(i.Messages, message{m})
		}
		out.Zones = append(out.Zones, i)
	}
	return out, nil
}

// describeSpot answers what is asked for one moment with the prices now: a past is not kept.
func (c *Cloud) describeSpot(q *request) (any, *refusal) {
	if r := q.strange("InstanceType.", "ProductDescription.", "StartTime", "EndTime", "NextToken", "MaxResults"); r != nil {
		return nil, r
	}
	start, err := time.Parse(time.RFC3339Nano, q.form.Get("StartTime"))
	end, err2 := time.Parse(time.RFC3339Nano, q.form.Get("EndTime"))
	if err != nil || err2 != nil || !end.Equal(start) {
		return nil, &refusal{400, "InvalidParameterValue", "StartTime and EndTime must be one moment"}
	}
	if got := q.list("ProductDescription"); !slices.Equal(got, []string{"Linux/UNIX"}) {
		return nil, &refusal{400, "InvalidParameterValue", fmt.Sprintf("no prices are kept for %v", got)}
	}
	kinds := q.list("InstanceType")
	type item struct {
		Kind    string `xml:"instanceType"`
		Product string `xml:"productDescription"`
		Price   string `xml:"spotPrice"`
		At      string `xml:"timestamp"`
		Zone    string `xml:"availabilityZone"`
		ZoneID  string `xml:"availabilityZoneId"`
	}
	var items []item
	r := c.in(q.region)
	for key, price := range r.spot {
		if len(kinds) == 0 || slices.Contains(kinds, key.kind) {
			items = append(items, item{key.kind, "Linux/UNIX", strconv.FormatFloat(price.hour, 'f', 6, 64), price.since.UTC().Format("2006-01-02T15:04:05.000Z"), key.zone, r.zones[key.zone].ID})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Zone, b.Zone)) })
	asked, _ := strconv.Atoi(q.form.Get("MaxResults"))
	page, next, refused := paged(c, q, items, q.form.Get("NextToken"), asked)
	return struct {
		RequestID string `xml:"requestId"`
		Prices    []item `xml:"spotPriceHistorySet>item"`
		Next      string `xml:"nextToken"`
	}{"0f1e", page, next}, refused
}

// list is a parameter of several values, NAME.1 and on.
func (q *request) list(name string) (values []string) {
	for i := 1; q.form.Has(name + "." + strconv.Itoa(i)); i++ {
		values = append(values, strings.TrimSpace(q.form.Get(name+"."+strconv.Itoa(i))))
	}
	return values
}
