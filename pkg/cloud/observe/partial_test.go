package observe

import (
	"context"
	"errors"
	"testing"

	"kubefed.dev/kubefed/pkg/cloud"
)

// half are prices of which some can't be read.
type half struct{ machines, egress error }

func (h half) Machines(_ context.Context, _ string, machines []cloud.Machine) (map[cloud.Machine]cloud.Price, error) {
	return map[cloud.Machine]cloud.Price{machines[0]: {Currency: "USD", Hour: 1}}, h.machines
}

func (h half) Egress(context.Context, string) (string, float64, error) { return "USD", 0.09, h.egress }

func TestPricesThatAreKnownAllTheSame(t *testing.T) {
	denied := &cloud.Error{Kind: cloud.Denied, Operation: "ec2:DescribeSpotPriceHistory"}
	for name, test := range map[string]struct {
		half
		known bool
		err   error
	}{
		"all":               {half{}, true, nil},
		"some machines":     {half{machines: &cloud.Partial{Err: denied}}, true, denied},
		"no machines":       {half{machines: denied}, false, denied},
		"an egress of old":  {half{egress: &cloud.Partial{Err: denied}}, true, denied},
		"no egress":         {half{egress: denied}, false, denied},
		"no such egress":    {half{egress: &cloud.Error{Kind: cloud.NotFound}}, true, nil},
		"some, and no such": {half{machines: &cloud.Partial{Err: denied}, egress: &cloud.Error{Kind: cloud.NotFound}}, true, denied},
	} {
		o, p := &Observer{}, newPlace(where{}, nil)
		p.machines["gondor"] = []cloud.Machine{{Type: "m7i.large"}}
		found, err := o.prices(p).call(t.Context(), Clients{Prices: test.half})
		if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		r := record[offers]{}.read(found, err, start)
		if known := len(r.Value.machines) > 0; known != test.known || (r.trouble != nil) != (test.err != nil) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
