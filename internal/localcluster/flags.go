package localcluster

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/klog/v2"
)

// ParseFlags reads the command line of local-cluster. Usage goes to out.
func ParseFlags(args []string, out io.Writer) (Config, error) {
	c := Config{}
	var ipRange, images string
	flags := pflag.NewFlagSet("local-cluster", pflag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&c.Name, "name", "", "name of the cluster")
	flags.StringVar(&c.Dir, "dir", "", "folder for everything the cluster keeps")
	flags.StringVar(&c.Provider, "provider", "on-premises", "cloud that the nodes pretend to be in: aws, gcp, on-premises, ...")
	flags.StringVar(&c.Region, "region", "local", "region of the nodes")
	flags.StringSliceVar(&c.Zones, "zones", nil, "zones of the nodes, separated by commas (default: one, named as the region)")
	flags.IntVar(&c.Nodes, "nodes", 3, "number of nodes, spread over the zones in turn")
	flags.BoolVar(&c.APIOnly, "api-only", false, "run etcd and the API server only: no controllers, no scheduler, no nodes")
	balancers := flags.Bool("load-balancers", true, "give Services of type LoadBalancer an address; without, they wait for one for ever")
	flags.StringVar(&ipRange, "ip-range", "127.64.0.0/16", "part of 127.0.0.0/8 for the API, nodes, pods and load balancers of this cluster alone")
	flags.IntVar(&c.Port, "port", 6443, "port of the API on the first address of the range")
	flags.StringVar(&images, "images-file", "", "JSON object from image repositories (without tag) to programs that run as their containers; other images are simulated")
	var logging flag.FlagSet
	klog.InitFlags(&logging)
	flags.AddGoFlag(logging.Lookup("v"))
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q: local-cluster takes flags only", flags.Arg(0))
	}
	c.NoLoadBalancers = !*balancers
	if len(c.Zones) == 0 {
		c.Zones = []string{c.Region}
	}
	var err error
	if c.IPRange, err = netip.ParsePrefix(ipRange); err != nil {
		return c, fmt.Errorf("--ip-range: %w: give a range such as 127.65.0.0/16", err)
	}
	if images != "" {
		data, err := os.ReadFile(images)
		if err != nil {
			return c, fmt.Errorf("--images-file: %w", err)
		}
		if err := json.Unmarshal(data, &c.Images); err != nil {
			return c, fmt.Errorf("--images-file %s: %w: give an object such as {\"example.com/web\": \"/bin/web\"}", images, err)
		}
	}
	if err := validate(c); err != nil {
		return c, err
	}
	c.Dir, err = filepath.Abs(c.Dir)
	return c, err
}

var loopback = netip.MustParsePrefix("127.0.0.0/8")

func validate(c Config) error {
	var errs []error
	if problems := validation.IsDNS1123Label(c.Name); len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--name %q: %s", c.Name, problems[0]))
	}
	if c.Dir == "" {
		errs = append(errs, errors.New("--dir is missing: name a folder that belongs to this cluster alone"))
	}
	if c.IPRange.Bits() != 16 || !loopback.Overlaps(c.IPRange) {
		errs = append(errs, fmt.Errorf("--ip-range %s: must be a /16 inside 127.0.0.0/8, such as 127.65.0.0/16", c.IPRange))
	}
	if c.Nodes < 1 || c.Nodes > 100 {
		errs = append(errs, fmt.Errorf("--nodes %d: must be between 1 and 100", c.Nodes))
	}
	if c.Port < 1 || c.Port > 65535 {
		errs = append(errs, fmt.Errorf("--port %d: must be between 1 and 65535", c.Port))
	}
	for label, values := range map[string][]string{"--provider": {c.Provider}, "--region": {c.Region}, "--zones": c.Zones} {
		for _, value := range values {
			if problems := validation.IsValidLabelValue(value); len(problems) > 0 || value == "" {
				errs = append(errs, fmt.Errorf("%s %q: must be usable as the value of a node label", label, value))
			}
		}
	}
	return errors.Join(errs...)
}
