package facts

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
)

// snapshotCurrency is that of the snapshot, and of all price lists but China's.
const snapshotCurrency = "USD"

//go:embed snapshot.txt
var snapshotText string

// offline is the price list as it was one day, for common machines.
type offline struct {
	at       time.Time
	region   string
	machines map[string]cloud.Price
	egress   map[string]float64
}

// snapshot is parsed once; a test reads it, so it can be.
var snapshot = sync.OnceValue(func() offline { s, _ := parse(snapshotText); return s })

// price of a type. In other regions than the snapshot's it is a guess: Source says so.
func (o offline) price(region, kind string) (cloud.Price, bool) {
	p, known := o.machines[kind]
	if region != o.region {
		p.Source += " (" + o.region + ")"
	}
	return p, known
}

func parse(text string) (offline, error) {
	o := offline{machines: map[string]cloud.Price{}, egress: map[string]float64{}}
	for line := range strings.Lines(text) {
		var date, name string
		var p cloud.Price
		var perGiB float64
		switch line = strings.TrimSpace(line); {
		case line == "" || strings.HasPrefix(line, "#"):
		case scan(line, "date %s region %s", &date, &o.region):
			at, err := time.Parse(time.DateOnly, date)
			if err != nil {
				return o, err
			}
			o.at = at
		case scan(line, "machine %s %g %g %g", &name, &p.CPUs, &p.GiB, &p.Hour):
			p.Currency, p.At, p.Source = snapshotCurrency, o.at, "snapshot "+o.at.Format(time.DateOnly)
			o.machines[name] = p
		case scan(line, "egress %s %g", &name, &perGiB):
			o.egress[name] = perGiB
		default:
			return o, fmt.Errorf("line %q", line)
		}
	}
	return o, nil
}

func scan(line, format string, into ...any) bool {
	n, err := fmt.Sscanf(line, format, into...)
	return err == nil && n == len(into)
}
