package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// drillRunFlags say what is rehearsed.
type drillRunFlags struct {
	FederationFlags
	manifest, mode, schedule           string
	clusters, zones, regions, provider []string
	services, guards, objectives       []string
	duration                           time.Duration
	rate                               int32
	force, dryRun, wait                bool
	dir, output, file                  string
}

// modes as they are typed and stored.
var modes = map[string]string{
	"verdict": federation.DrillVerdict, "dns": federation.DrillDNS, "drain": federation.DrillDrain, "kill": federation.DrillKill, "partition": federation.DrillPartition,
}

func (f *drillRunFlags) add(cmd *cobra.Command) {
	f.addFlags(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.manifest, "filename", "f", "", "a FailoverDrill instead of the flags below; - for standard input")
	flags.StringSliceVar(&f.clusters, "cluster", nil, "clusters that fail")
	flags.StringSliceVar(&f.zones, "zone", nil, "zones that fail")
	flags.StringSliceVar(&f.regions, "region", nil, "regions that fail")
	flags.StringSliceVar(&f.provider, "provider", nil, "providers that fail")
	flags.StringVar(&f.mode, "mode", "verdict", "how: verdict, dns, drain and, of clusters of a playground, kill and partition")
	flags.DurationVar(&f.duration, "duration", 5*time.Minute, "how long")
	flags.StringVar(&f.schedule, "schedule", "", "repeat it: five fields of cron in UTC, or @weekly")
	flags.StringSliceVar(&f.services, "service", nil, "Services to ask all the time, as NAMESPACE/NAME[:PORT][/PATH]")
	flags.Int32Var(&f.rate, "rate", 10, "requests per second to each Service")
	flags.StringSliceVar(&f.guards, "guard", nil, "what ends the drill: availability=PERCENT, window=10s, ready=NAMESPACE/DEPLOYMENT:N, moved=N, duration=10m, others=ignore")
	flags.StringSliceVar(&f.objectives, "objective", nil, "what it has to reach: recovery=30s, replacement=2m, failed=N, late=N")
	flags.BoolVar(&f.force, "force", false, "begin although the plan says that the loss would not be survived; it is recorded")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say whether it could begin and what would move; write nothing")
	flags.BoolVar(&f.wait, "wait", true, "follow it to its end")
	flags.StringVar(&f.dir, "dir", "", "folder of the playground, for kill and partition (default: the user's)")
	flags.StringVarP(&f.output, "output", "o", "table", "the report at the end: "+strings.Join(reportFormats, ", "))
	flags.StringVar(&f.file, "file", "", "write the report to this file")
	completeFlag(cmd, "mode", cobra.FixedCompletions([]string{"verdict", "dns", "drain", "kill", "partition"}, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "output", cobra.FixedCompletions(reportFormats, cobra.ShellCompDirectiveNoFileComp))
	completeFlag(cmd, "cluster", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeClusters(cmd, nil, toComplete)
	})
}

// drill is what the flags ask for.
func (f *drillRunFlags) drill(cmd *cobra.Command, args []string, s Streams) (*federation.FailoverDrill, error) {
	if err := checkReport(f.output); err != nil {
		return nil, err
	}
	var d *federation.FailoverDrill
	var err error
	if f.manifest != "" {
		for _, flag := range []string{"cluster", "zone", "region", "provider", "mode", "duration", "schedule", "service", "rate", "guard", "objective"} {
			if cmd.Flags().Changed(flag) {
				return nil, &ExitError{ExitUsage, fmt.Errorf("--%s: the file given by --filename says that already", flag)}
			}
		}
		d, err = readDrillManifest(f.manifest, s)
	} else {
		d = &federation.FailoverDrill{}
		err = f.spec(&d.Spec)
	}
	if err != nil {
		return nil, err
	}
	d.Spec.Force = d.Spec.Force || f.force
	if d.Spec.Mode == federation.DrillKill || d.Spec.Mode == federation.DrillPartition {
		d.Spec.Executor = federation.DrillExecutorPlayground
	}
	switch {
	case len(args) == 1:
		d.Name = args[0]
	case d.Name == "":
		d.Name = strings.ToLower(d.Spec.Mode) + time.Now().UTC().Format("-20060102-150405")
	}
	d.TypeMeta = metav1.TypeMeta{APIVersion: federation.GroupVersion.String(), Kind: "FailoverDrill"}
	return d, nil
}

func readDrillManifest(path string, s Streams) (*federation.FailoverDrill, error) {
	manifests, err := readManifests(path, s.In)
	if err != nil {
		return nil, err
	}
	if len(manifests) != 1 || manifests[0].GetKind() != "FailoverDrill" || manifests[0].GroupVersionKind().Group != federation.GroupName {
		return nil, &ExitError{ExitUsage, fmt.Errorf("--filename=%s: wants one FailoverDrill of %s", path, federation.GroupVersion)}
	}
	d := &federation.FailoverDrill{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(manifests[0].Object, d, true); err != nil {
		return nil, &ExitError{ExitUsage, fmt.Errorf("--filename=%s: %w", path, err)}
	}
	return d, nil
}

func (f *drillRunFlags) spec(spec *federation.FailoverDrillSpec) error {
	for _, group := range []struct {
		names []string
		of    func(string) federation.DrillTarget
	}{
		{f.clusters, func(v string) federation.DrillTarget { return federation.DrillTarget{Cluster: v} }},
		{f.zones, func(v string) federation.DrillTarget { return federation.DrillTarget{Zone: v} }},
		{f.regions, func(v string) federation.DrillTarget { return federation.DrillTarget{Region: v} }},
		{f.provider, func(v string) federation.DrillTarget { return federation.DrillTarget{Provider: v} }},
	} {
		for _, name := range group.names {
			spec.Targets = append(spec.Targets, group.of(name))
		}
	}
	if len(spec.Targets) == 0 {
		return &ExitError{ExitUsage, errors.New("say what fails: --cluster, --zone, --region or --provider")}
	}
	if spec.Mode = modes[strings.ToLower(f.mode)]; spec.Mode == "" {
		return &ExitError{ExitUsage, fmt.Errorf("--mode=%s: use verdict, dns, drain, kill or partition", f.mode)}
	}
	if f.duration <= 0 {
		return &ExitError{ExitUsage, fmt.Errorf("--duration=%s: must be greater than 0", f.duration)}
	}
	spec.Duration, spec.Schedule = &metav1.Duration{Duration: f.duration}, f.schedule
	for _, text := range f.services {
		service, err := parseDrillService(text)
		if err != nil {
			return &ExitError{ExitUsage, fmt.Errorf("--service: %w", err)}
		}
		service.RequestsPerSecond = ptr.To(f.rate)
		spec.Services = append(spec.Services, service)
	}
	if err := parseGuards(f.guards, &spec.Guardrails); err != nil {
		return &ExitError{ExitUsage, fmt.Errorf("--guard: %w", err)}
	}
	if err := parseObjectives(f.objectives, &spec.Objectives); err != nil {
		return &ExitError{ExitUsage, fmt.Errorf("--objective: %w", err)}
	}
	return nil
}

// parseDrillService reads NAMESPACE/NAME[:PORT][/PATH].
func parseDrillService(text string) (federation.DrillService, error) {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return federation.DrillService{}, fmt.Errorf("%q is no NAMESPACE/NAME[:PORT][/PATH], such as shop/web:8080/healthz", text)
	}
	s := federation.DrillService{Namespace: parts[0], Name: parts[1]}
	if name, port, found := strings.Cut(parts[1], ":"); found {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || name == "" {
			return s, fmt.Errorf("%q: %q is no port", text, port)
		}
		s.Name, s.Port = name, ptr.To(int32(n))
	}
	if len(parts) == 3 {
		s.Path = "/" + parts[2]
	}
	return s, nil
}

func parseGuards(texts []string, g *federation.DrillGuardrails) error {
	return parsePairs(texts, map[string]func(string) error{
		"availability": func(v string) error { return wholeNumber(strings.TrimSuffix(v, "%"), &g.MinAvailability) },
		"window":       func(v string) error { return period(v, &g.AvailabilityWindow) },
		"moved":        func(v string) error { return wholeNumber(v, &g.MaxMoved) },
		"duration":     func(v string) error { return period(v, &g.MaxDuration) },
		"others": func(v string) error {
			if v != "ignore" {
				return fmt.Errorf("%q: others=ignore is all there is to say of them", v)
			}
			g.IgnoreOtherClusters = true
			return nil
		},
		"ready": func(v string) error {
			where, least, found := strings.Cut(v, ":")
			namespace, name, both := strings.Cut(where, "/")
			var n *int32
			if err := wholeNumber(least, &n); err != nil || !found || !both || namespace == "" || name == "" {
				return fmt.Errorf("%q is no NAMESPACE/DEPLOYMENT:N", v)
			}
			g.Workloads = append(g.Workloads, federation.DrillWorkload{Namespace: namespace, Name: name, MinReady: *n})
			return nil
		},
	})
}

func parseObjectives(texts []string, o *federation.DrillObjectives) error {
	return parsePairs(texts, map[string]func(string) error{
		"recovery":    func(v string) error { return period(v, &o.RecoveryTime) },
		"replacement": func(v string) error { return period(v, &o.ReplacementTime) },
		"failed":      func(v string) error { return wholeNumber(v, &o.FailedRequests) },
		"late":        func(v string) error { return wholeNumber(v, &o.FailedLate) },
	})
}

// parsePairs reads KEY=VALUE words.
func parsePairs(texts []string, known map[string]func(string) error) error {
	for _, text := range texts {
		key, value, _ := strings.Cut(text, "=")
		read := known[key]
		if read == nil {
			var keys []string
			for k := range known {
				keys = append(keys, k+"=")
			}
			slices.Sort(keys)
			return fmt.Errorf("%q: use %s", text, strings.Join(keys, ", "))
		}
		if err := read(value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func wholeNumber[T int32 | int64](text string, into **T) error {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no number from 0 on", text)
	}
	*into = ptr.To(T(n))
	return nil
}

func period(text string, into **metav1.Duration) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no duration such as 30s", text)
	}
	*into = &metav1.Duration{Duration: d}
	return nil
}
