package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// result is what a run found out.
type result struct {
	Deployments int         `json:"deployments"`
	Rounds      int         `json:"rounds"`
	Writers     int         `json:"writers"`
	Operations  []operation `json:"operations"`
	// Latency in milliseconds of single creates on the idle system, by system.
	Latency map[string]latency `json:"latencyMilliseconds"`
	// Writes per Deployment, by operation.
	Writes map[string]writeCounts `json:"writesPerDeployment"`
	Memory memory                 `json:"memoryMiB"`
	// Replacement is absent where it was not asked for.
	Replacement *replacement `json:"replacement,omitempty"`

	measured  map[[2]string][]measurement
	latencies map[string][]time.Duration
}

// operation is the median of all rounds for one operation and system.
type operation struct {
	Operation string  `json:"operation"`
	System    string  `json:"system"`
	Seconds   float64 `json:"seconds"`
	// Processor is milliseconds of processor time per Deployment, of all processes that take part; ByPart tells them apart.
	Processor float64            `json:"processorMilliseconds"`
	ByPart    map[string]float64 `json:"processorMillisecondsByPart"`
}

type latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

type writeCounts struct {
	ByComponent map[string]float64 `json:"byComponent,omitempty"`
	Federation  map[string]float64 `json:"federation"`
	Members     map[string]float64 `json:"members"`
	total       writes
	members     writes
}

type memory struct {
	PlainEmpty        float64 `json:"plainServerEmpty"`
	ControlPlaneEmpty float64 `json:"controlPlaneEmpty"`
	ControlPlaneAfter float64 `json:"controlPlaneAfter"`
}

func newResult(o options) *result {
	return &result{
		Deployments: o.deployments, Rounds: o.rounds, Writers: o.writers,
		Latency: map[string]latency{}, Writes: map[string]writeCounts{},
		measured: map[[2]string][]measurement{}, latencies: map[string][]time.Duration{},
	}
}

func (r *result) add(operation, system string, m measurement) {
	key := [2]string{operation, system}
	r.measured[key] = append(r.measured[key], m)
}

func (r *result) addWrites(operation string, federation, members writes) {
	c := r.Writes[operation]
	if c.total == nil {
		c.total, c.members = writes{}, writes{}
	}
	for key, n := range federation {
		c.total[key] += n
	}
	for key, n := range members {
		c.members[key] += n
	}
	r.Writes[operation] = c
}

// finish makes medians and rates of what was measured.
func (r *result) finish() {
	for _, op := range []string{"create", "update", "delete"} {
		for _, system := range []string{"direct", "four plain", "federated"} {
			list := r.measured[[2]string{op, system}]
			if len(list) == 0 {
				continue
			}
			o := operation{Operation: op, System: system, ByPart: map[string]float64{}}
			each := func(f func(measurement) float64) float64 {
				values := make([]float64, 0, len(list))
				for _, m := range list {
					values = append(values, f(m))
				}
				slices.Sort(values)
				return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
			}
			perDeployment := 1000 / float64(r.Deployments)
			o.Seconds = each(func(m measurement) float64 { return m.seconds })
			o.Processor = each(func(m measurement) float64 { return m.total * perDeployment })
			for _, part := range everyPart() {
				o.ByPart[part] = each(func(m measurement) float64 { return m.processor[part] * perDeployment })
			}
			r.Operations = append(r.Operations, o)
		}
	}
	for system, list := range r.latencies {
		slices.Sort(list)
		at := func(q float64) float64 {
			return float64(list[int(q*float64(len(list)-1)+0.5)].Microseconds()) / 1000
		}
		r.Latency[system] = latency{P50: at(0.5), P99: at(0.99), Max: at(1)}
	}
	for op, c := range r.Writes {
		c.Federation, c.Members = r.each(c.total), r.each(c.members)
		if op == "create" {
			c.ByComponent = map[string]float64{}
			for key, n := range c.Federation {
				c.ByComponent[component(key)] += n
			}
		}
		r.Writes[op] = c
	}
}

// each is counts per Deployment.
func (r *result) each(w writes) map[string]float64 {
	out := map[string]float64{}
	for key, n := range w {
		out[key] = float64(n) / float64(r.Deployments*r.Rounds)
	}
	return out
}

func (r *result) json(out io.Writer) error {
	r.finish()
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *result) find(op, system string) operation {
	for _, o := range r.Operations {
		if o.Operation == op && o.System == system {
			return o
		}
	}
	return operation{}
}

func (r *result) table(out io.Writer) error {
	r.finish()
	fmt.Fprintf(out, "%d Deployments to three members, %d writers, medians of %d rounds\n\n", r.Deployments, r.Writers, r.Rounds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tdirect\tfour plain\tfederated\t/ direct\t/ four plain\t")
	for _, op := range []string{"create", "update", "delete"} {
		row(w, op+", s", r, op, func(o operation) float64 { return o.Seconds })
		row(w, op+", CPU ms each", r, op, func(o operation) float64 { return o.Processor })
		for _, part := range everyPart() {
			row(w, "- "+part, r, op, func(o operation) float64 { return o.ByPart[part] })
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	direct, federated := r.Latency["direct"], r.Latency["federated"]
	fmt.Fprintf(out, "\nsingle create on the idle system, ms until present in all members\n  direct     p50 %5.1f  p99 %5.1f  max %5.1f (from the first request)\n  federated  p50 %5.1f  p99 %5.1f  max %5.1f (from the answer to the create)\n",
		direct.P50, direct.P99, direct.Max, federated.P50, federated.P99, federated.Max)
	fmt.Fprintln(out, "\nAPI writes per Deployment, federated")
	for _, op := range []string{"create", "update", "delete"} {
		c := r.Writes[op]
		fmt.Fprintf(out, "  %s: federation %.2f%s; members %.2f\n", op, sum(c.Federation), listed(c.ByComponent), sum(c.Members))
		for _, side := range []struct {
			name   string
			counts map[string]float64
		}{{"federation", c.Federation}, {"members", c.Members}} {
			for _, key := range slices.Sorted(maps.Keys(side.counts)) {
				fmt.Fprintf(out, "    %6.2f %s: %s\n", side.counts[key], side.name, key)
			}
		}
	}
	if m := r.Replacement; m != nil {
		fmt.Fprintf(out, "\n%d Deployments re-placed after a verdict, s until the last replica was asked for\n  direct %.2f, federated %.2f: %.2f x\n", m.Deployments, m.Direct, m.Federated, m.Federated/m.Direct)
	}
	_, err := fmt.Fprintf(out, "\nmemory of the control plane (RSS, API server, etcd and controllers), MiB\n  empty %.0f, with %d Deployments %.0f; server without controllers, empty %.0f\n",
		r.Memory.ControlPlaneEmpty, r.Deployments, r.Memory.ControlPlaneAfter, r.Memory.PlainEmpty)
	return err
}

// row prints one figure of all systems; nothing where none uses any.
func row(w io.Writer, name string, r *result, op string, figure func(operation) float64) {
	direct, four, federated := figure(r.find(op, "direct")), figure(r.find(op, "four plain")), figure(r.find(op, "federated"))
	number := func(n float64, digits int) string {
		if n < 0.05 {
			return "-"
		}
		return fmt.Sprintf("%.*f", digits, n)
	}
	ratio := func(to float64) string {
		if to < 0.05 {
			return "-"
		}
		return number(federated/to, 2)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t\n", name, number(direct, 1), number(four, 1), number(federated, 1), ratio(direct), ratio(four))
}

func sum(counts map[string]float64) (total float64) {
	for _, n := range counts {
		total += n
	}
	return total
}

// listed is "(name count, ...)".
func listed(counts map[string]float64) string {
	if len(counts) == 0 {
		return ""
	}
	words := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%s %.2f", name, counts[name]))
	}
	return " (" + strings.Join(words, ", ") + ")"
}
