package facts

import (
	"math"
	"regexp"
	"strconv"
)

// shape is what a machine type has, and by which rate it is sold.
type shape struct {
	family string
	custom bool
	// cpus that it has, and for how many it pays: parts of one where they are shared.
	cpus, billed float64
	gib          float64
}

// ratios are the GiB for each vCPU, by family and class, as https://cloud.google.com/compute/docs/machine-resource has them; whole
// GiB where the product is not. Families with accelerators are not here: their price is not that of vCPUs and memory.
var ratios = map[string]map[string]float64{
	"n1":  {"standard": 3.75, "highmem": 6.5, "highcpu": 0.9},
	"n2":  {"standard": 4, "highmem": 8, "highcpu": 1},
	"n2d": {"standard": 4, "highmem": 8, "highcpu": 1},
	"n4":  {"standard": 4, "highmem": 8, "highcpu": 2},
	"n4d": {"standard": 4, "highmem": 8, "highcpu": 2},
	"e2":  {"standard": 4, "highmem": 8, "highcpu": 1},
	"t2d": {"standard": 4},
	"t2a": {"standard": 4},
	"c2":  {"standard": 4},
	"c2d": {"standard": 4, "highmem": 8, "highcpu": 2},
	"c3":  {"standard": 4, "highmem": 8, "highcpu": 2},
	"c3d": {"standard": 4, "highmem": 8, "highcpu": 2},
	"c4":  {"standard": 3.75, "highmem": 7.75, "highcpu": 2},
	"c4a": {"standard": 4, "highmem": 8, "highcpu": 2},
	"c4d": {"standard": 3.875, "highmem": 7.875, "highcpu": 1.875},
}

// rounded are the families whose types have whole GiB.
var rounded = map[string]bool{"c4": true, "c4d": true}

// exact are the types that follow no ratio.
var exact = map[string]shape{
	"e2-micro":       {family: "e2", cpus: 2, billed: 0.25, gib: 1},
	"e2-small":       {family: "e2", cpus: 2, billed: 0.5, gib: 2},
	"e2-medium":      {family: "e2", cpus: 2, billed: 1, gib: 4},
	"n2-highmem-128": {family: "n2", cpus: 128, billed: 128, gib: 864},
}

// shared are the billed parts of E2's custom types with shared vCPUs.
var shared = map[string]float64{"micro": 0.25, "small": 0.5, "medium": 1}

var (
	predefined = regexp.MustCompile(`^([a-z]\d[a-z]?)-(standard|highmem|highcpu)-(\d{1,3})$`)
	custom     = regexp.MustCompile(`^(?:([a-z]\d[a-z]?)-)?custom-(\d{1,3}|micro|small|medium)-(\d{3,7})$`)
)

// shapeOf reads a machine type. What is not known has no price: types with accelerators, local disks or extended memory.
func shapeOf(machineType string) (shape, bool) {
	if s, ok := exact[machineType]; ok {
		return s, true
	}
	if m := predefined.FindStringSubmatch(machineType); m != nil {
		ratio := ratios[m[1]][m[2]]
		cpus, err := strconv.ParseFloat(m[3], 64)
		gib := ratio * cpus
		if rounded[m[1]] {
			gib = math.Floor(gib)
		}
		return shape{family: m[1], cpus: cpus, billed: cpus, gib: gib}, err == nil && gib > 0
	}
	m := custom.FindStringSubmatch(machineType)
	if m == nil {
		return shape{}, false
	}
	s := shape{family: m[1], custom: true}
	if s.family == "" {
		s.family = "n1"
	}
	mib, err := strconv.ParseFloat(m[3], 64)
	if err != nil || ratios[s.family] == nil {
		return shape{}, false
	}
	s.gib = mib / 1024
	if part, ok := shared[m[2]]; ok {
		s.cpus, s.billed = 2, part
		return s, s.family == "e2"
	}
	s.cpus, err = strconv.ParseFloat(m[2], 64)
	s.billed = s.cpus
	return s, err == nil && s.cpus > 0
}
