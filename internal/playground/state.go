package playground

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
)

// state is what a playground remembers between calls, in the file playground.json. It is written before anything
// starts and removed after everything is gone.
type state struct {
	Clusters []cluster `json:"clusters"`
	// Kubeconfig is the file that has the clusters' contexts.
	Kubeconfig string `json:"kubeconfig"`
	// PreviousContext was current before the playground made one of its own current.
	PreviousContext string `json:"previousContext,omitempty"`
}

type cluster struct {
	Spec
	// IPRange is the part of 127.0.0.0/8 that is this cluster's alone.
	IPRange netip.Prefix `json:"ipRange"`
}

// ErrNone says that there is no playground in the folder.
var ErrNone = errors.New("there is no playground")

func (p Playground) stateFile() string { return filepath.Join(p.Dir, "playground.json") }

// load returns ErrNone where there is no playground.
func (p Playground) load() (*state, error) {
	data, err := os.ReadFile(p.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: start one with `kubefed playground up`", ErrNone, p.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the playground: %w", err)
	}
	s := &state{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("reading %s: %w: end its processes and remove the folder %s", p.stateFile(), err, p.Dir)
	}
	return s, nil
}

func (p Playground) save(s *state) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(p.stateFile(), append(data, '\n'))
}

func (s *state) cluster(name string) (cluster, error) {
	i := slices.IndexFunc(s.Clusters, func(c cluster) bool { return c.Name == name })
	if i < 0 {
		return cluster{}, fmt.Errorf("the playground has no cluster %q: it has %v", name, s.names())
	}
	return s.Clusters[i], nil
}

func (s *state) names() []string {
	var names []string
	for _, c := range s.Clusters {
		names = append(names, c.Name)
	}
	return names
}

func (s *state) specs() []Spec {
	var specs []Spec
	for _, c := range s.Clusters {
		specs = append(specs, c.Spec)
	}
	return specs
}

// writeFile replaces a file as a whole, so that nobody reads half of it.
func writeFile(path string, data []byte) error {
	part := path + ".part"
	if err := os.WriteFile(part, data, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}
