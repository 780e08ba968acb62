package facts

import (
	_ "embed"
	"encoding/json"
	"sync"
	"time"
)

//go:embed snapshot.json
var snapshotData []byte

// snapshotFile is the embedded list prices of some families in some regions, with the day on which they were in force.
type snapshotFile struct {
	Date     string                     `json:"date"`
	Egress   map[string]float64         `json:"egressGiB"`
	OnDemand map[string]map[string]rate `json:"onDemand"`
	Spot     map[string]map[string]rate `json:"spot"`
}

var snapshot = sync.OnceValue(func() *priceList {
	list, err := readSnapshot(snapshotData)
	if err != nil {
		panic("snapshot.json: " + err.Error()) // It is part of the program, and a test reads it.
	}
	return list
})

func readSnapshot(data []byte) (*priceList, error) {
	var f snapshotFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	at, err := time.Parse(time.DateOnly, f.Date)
	if err != nil {
		return nil, err
	}
	list := newPriceList(at, "snapshot "+f.Date)
	list.egress = f.Egress
	for spot, regions := range map[bool]map[string]map[string]rate{false: f.OnDemand, true: f.Spot} {
		for region, families := range regions {
			for family, r := range families {
				list.rates[rateKey{region: region, family: family, spot: spot}] = r
			}
		}
	}
	return list, nil
}
