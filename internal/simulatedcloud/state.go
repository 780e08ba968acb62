// Package simulatedcloud is the clouds of a playground: an AWS and a Google Cloud on loopback addresses that speak the real protocols, and
// a file of sites for all other providers. In: a file that says where clusters are, which zones are ill and what machines cost.
// It is read again whenever it changes. Out: answers as the clouds give them, and the file for `--cloud-config`. It keeps
// nothing else, and knows no federation.
package simulatedcloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"sigs.k8s.io/yaml"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/config"
)

// Cluster is where a cluster is.
type Cluster struct {
	Name     string   `json:"name"`
	Provider string   `json:"provider"`
	Region   string   `json:"region"`
	Zones    []string `json:"zones"`
}

// State is what the clouds are to be.
type State struct {
	Clusters []Cluster `json:"clusters"`
	// AWS and GCP are where the two answer, HOST:PORT.
	AWS string `json:"aws"`
	GCP string `json:"gcp"`
	// Zones that are not available.
	Zones map[string]Zone `json:"zones,omitempty"`
	// Factors are by how much machines cost more than usual, by cluster.
	Factors map[string]float64 `json:"factors,omitempty"`
	// Revoked are accounts whose credentials are refused.
	Revoked []string `json:"revoked,omitempty"`
}

// Zone is how a zone is.
type Zone struct {
	State cloud.ZoneState `json:"state"`
}

// Files in the folder of the clouds.
const (
	stateFile  = "state.json"
	keysFile   = "aws-keys"
	configFile = "clouds.yaml"
)

// The key that the simulated AWS knows, and the project of the simulated Google Cloud.
const (
	keyID     = "AKIASIMULATEDCLOUD00"
	keySecret = "simulated"
	project   = "simulated"
)

// ConfigFile is the file for --cloud-config.
func ConfigFile(dir string) string { return filepath.Join(dir, configFile) }

// Load reads the state of a folder; the error wraps fs.ErrNotExist where there is none.
func Load(dir string) (*State, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return nil, fmt.Errorf("reading the simulated clouds: %w", err)
	}
	s := &State{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("reading %s: %w: remove the file", filepath.Join(dir, stateFile), err)
	}
	return s, nil
}

// Exists says whether a folder has simulated clouds.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, stateFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// Save writes the state, and what follows from it: the accounts and sites, and the keys of AWS.
func (s *State) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	state, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	accounts, err := yaml.Marshal(s.config())
	if err != nil {
		return err
	}
	keys := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", keyID, keySecret)
	for name, data := range map[string][]byte{keysFile: []byte(keys), configFile: accounts, stateFile: append(state, '\n')} {
		if err := replace(filepath.Join(dir, name), data); err != nil {
			return fmt.Errorf("writing the simulated clouds: %w", err)
		}
	}
	return nil
}

// replace writes a file as a whole, so that nobody reads half of it.
func replace(path string, data []byte) error {
	part := path + ".part"
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// config are the accounts of the providers that there are, and a site for each other cluster.
func (s *State) config() config.Config {
	var c config.Config
	has := func(provider string) bool {
		return slices.ContainsFunc(s.Clusters, func(c Cluster) bool { return c.Provider == provider })
	}
	if has(config.AWS) {
		c.Accounts = append(c.Accounts, config.Account{Name: config.AWS, Provider: config.AWS, RequestsPerSecond: 50,
			Credentials: []config.Credentials{{Static: &config.StaticCredentials{File: keysFile}}}, Endpoints: map[string]string{"*": "http://" + s.AWS}})
	}
	if has(config.GCP) {
		c.Accounts = append(c.Accounts, config.Account{Name: config.GCP, Provider: config.GCP, Project: project, RequestsPerSecond: 50,
			Credentials: []config.Credentials{{Anonymous: &struct{}{}}}, Endpoints: map[string]string{"*": "http://" + s.GCP}})
	}
	seen := map[[2]string]bool{}
	for _, cluster := range s.Clusters {
		at := [2]string{cluster.Provider, cluster.Region}
		if isCloud(cluster.Provider) || seen[at] {
			continue
		}
		seen[at] = true
		factor := s.factor(cluster.Provider, cluster.Region)
		decimal := func(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }
		site := config.Site{Name: "site-" + cluster.Name, Provider: cluster.Provider, Region: cluster.Region,
			Price: &config.SitePrice{Currency: "USD", CPUHour: decimal(siteCPU * factor), GiBHour: decimal(siteGiB * factor), EgressGiB: "0"}}
		for _, name := range cluster.Zones {
			zone := config.SiteZone{Name: name}
			if ill, is := s.Zones[name]; is {
				zone.State, zone.Message = string(ill.State), "simulated"
			}
			site.Zones = append(site.Zones, zone)
		}
		c.Sites = append(c.Sites, site)
	}
	return c
}

func isCloud(provider string) bool { return provider == config.AWS || provider == config.GCP }

// Usual prices in USD, near the real ones of late 2025: what a CPU and a GiB cost for an hour at a site, by which machines of the clouds are
// dearer, and by how much less spot costs.
const (
	siteCPU, siteGiB = 0.02, 0.0025
	gcpCPU, gcpGiB   = 0.031611, 0.004237
	awsMachine       = "m5.4xlarge"
	awsHour          = 0.768
	gcpFamily        = "n2"
	spotPart         = 0.35
	egressGiB        = 0.09
)

// factor of the clusters in a region: that of the first that has one.
func (s *State) factor(provider, region string) float64 {
	for _, c := range s.Clusters {
		if f := s.Factors[c.Name]; f > 0 && c.Provider == provider && c.Region == region {
			return f
		}
	}
	return 1
}
