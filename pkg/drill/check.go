package drill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/plan"
)

// Refusal says why a drill can't begin.
type Refusal struct {
	Reason, Message string
}

// Checked is what the checks before a drill found out.
type Checked struct {
	// Clusters that fail, sorted by name.
	Clusters []string
	// Plan is nil where a check before it failed.
	Plan *federation.DrillPlan
	// Changes are the engine's: what would run where.
	Changes []plan.Change
	// Refusal is nil where the drill may begin.
	Refusal *Refusal
}

// most bounds lists of problems.
const most = 10

// Check says whether a drill may begin, and why not. It is pure; `kubefed drill run --dry-run` asks it, too.
func Check(spec *federation.FailoverDrillSpec, seen *Seen) Checked {
	var c Checked
	refuse := func(reason, format string, args ...any) Checked {
		c.Refusal = &Refusal{reason, fmt.Sprintf(format, args...)}
		return c
	}
	if seen.Isolated != "" {
		return refuse(federation.ReasonDrillIsolated, "the control plane takes itself to be cut off (%s): wait until members answer", seen.Isolated)
	}
	if seen.Other != "" {
		return refuse(federation.ReasonDrillOtherUnderWay, "drill %s is under way: one at a time; wait for it, or kubefed drill abort %s", seen.Other, seen.Other)
	}
	domains := Domains(spec.Targets)
	loss, err := seen.World.LossOf(domains...)
	if err != nil {
		return refuse(federation.ReasonDrillUnknownTarget, "%v", err)
	}
	if len(loss.Partly) > 0 {
		return refuse(federation.ReasonDrillUnknownTarget, "%s would lose one of several zones: a drill takes whole clusters; name cluster %s, or a zone that is all of a cluster",
			strings.Join(loss.Partly, ", "), loss.Partly[0])
	}
	c.Clusters = loss.Clusters
	if r := checkClusters(spec, seen, loss.Clusters); r != nil {
		c.Refusal = r
		return c
	}
	for i := range seen.Services {
		if s := &seen.Services[i]; s.Problem != "" {
			return refuse(federation.ReasonDrillUnknownSubject, "Service %s: %s", s.Key, s.Problem)
		}
	}
	for i := range seen.Workloads {
		if w := &seen.Workloads[i]; w.Problem != "" {
			return refuse(federation.ReasonDrillUnknownSubject, "%s: %s", w.Key, w.Problem)
		}
	}
	c.plan(spec, seen)
	if !c.Plan.Survives && !spec.Force {
		return refuse(federation.ReasonDrillWouldNotHold, "the plan says that this would not be survived: %s; see kubefed plan, or set spec.force (kubefed drill run --force)",
			strings.Join(c.Plan.Problems, "; "))
	}
	c.Plan.Forced = !c.Plan.Survives
	return c
}

func checkClusters(spec *federation.FailoverDrillSpec, seen *Seen, failing []string) *Refusal {
	left := 0
	var sick []string
	for i := range seen.Clusters {
		c := &seen.Clusters[i]
		target := slices.Contains(failing, c.Name)
		switch {
		case target && c.Drained != nil && spec.Mode == federation.DrillDrain:
			return &Refusal{federation.ReasonDrillUnhealthy, fmt.Sprintf("cluster %s is being drained already: kubefed uncordon %s first", c.Name, c.Name)}
		case target && !c.healthy():
			return &Refusal{federation.ReasonDrillUnhealthy, fmt.Sprintf("cluster %s has failed already (%s): there is nothing to rehearse", c.Name, c.Why)}
		case target:
		case c.healthy():
			left++
		default:
			sick = append(sick, fmt.Sprintf("%s (%s)", c.Name, c.Why))
		}
	}
	if left == 0 {
		return &Refusal{federation.ReasonDrillNothingLeft, "no healthy cluster would be left: join another one first"}
	}
	if len(sick) > 0 && !spec.Guardrails.IgnoreOtherClusters {
		return &Refusal{federation.ReasonDrillUnhealthy, "other clusters are not healthy: " + strings.Join(sick, ", ") + "; repair them first, or set spec.guardrails.ignoreOtherClusters"}
	}
	return nil
}

// plan asks the engine what the loss would mean, and DNS what would be left of each Service.
func (c *Checked) plan(spec *federation.FailoverDrillSpec, seen *Seen) {
	c.Plan = &federation.DrillPlan{}
	if spec.Mode == federation.DrillVerdict || spec.Mode == federation.DrillDrain || spec.Mode == federation.DrillKill {
		after := seen.World.Without(c.Clusters...)
		c.Changes = plan.Compare(seen.World, after, after.Settle(), false)
	}
	var longest time.Duration
	problems := 0
	problem := func(text string) {
		if problems++; problems <= most {
			c.Plan.Problems = append(c.Plan.Problems, text)
		}
	}
	for i := range c.Changes {
		change := &c.Changes[i]
		c.Plan.Replicas += change.Lost
		longest = max(longest, change.Waits.Duration)
		if change.Problem != "" && change.Lost > 0 {
			problem(fmt.Sprintf("%s %s/%s: %s", change.Object.Kind, change.Object.Namespace, change.Object.Name, change.Problem))
		}
	}
	for i := range seen.Services {
		s := &seen.Services[i]
		if spec.Mode != federation.DrillPartition && !slices.ContainsFunc(s.In, func(name string) bool { return !slices.Contains(c.Clusters, name) }) {
			problem(fmt.Sprintf("Service %s: DNS answers name no other cluster", s.Key))
		}
	}
	if problems > most {
		c.Plan.Problems[most-1] = fmt.Sprintf("and %d more", problems-most+1)
	}
	c.Plan.Waits.Duration, c.Plan.Survives = longest, problems == 0
}

// Domains are a drill's targets as the planner names them.
func Domains(targets []federation.DrillTarget) []plan.Domain {
	var domains []plan.Domain
	for _, t := range targets {
		for field, value := range map[string]string{
			federation.FieldName: t.Cluster, federation.FieldZone: t.Zone, federation.FieldRegion: t.Region, federation.FieldProvider: t.Provider,
		} {
			if value != "" {
				domains = append(domains, plan.Domain{Field: field, Value: value})
			}
		}
	}
	return domains
}
