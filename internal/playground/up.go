package playground

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"kubefed.dev/kubefed/internal/simulatedcloud"
)

// Wish is what a playground shall be. Its zero value is the playground that exists already, else the default one.
type Wish struct {
	// Members are the member clusters; nil means the default ones.
	Members []Spec
	// Host is the name of the host cluster; empty means DefaultHost.
	Host string
	// Kubeconfig is the file that gets the contexts; empty means where kubectl writes.
	Kubeconfig string
}

// Up makes the playground as wished, and returns when all of its clusters are usable. What runs is left alone, what
// died is started again with its data. If it can't, or ctx ends, it takes down again what it started.
func (p Playground) Up(ctx context.Context, wish Wish) error {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return fmt.Errorf("making the playground's folder: %w", err)
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := p.load()
	isNew := errors.Is(err, ErrNone)
	if isNew {
		s, err = p.plan(wish)
		if err != nil {
			_ = os.Remove(p.Dir) // only if it is empty
		}
	} else if err == nil {
		err = unchanged(s, wish)
	}
	if err != nil {
		return err
	}
	started, err := p.startAll(ctx, s, isNew)
	if err == nil {
		err = p.addContexts(ctx, s)
	}
	if err == nil && simulatedcloud.Exists(p.folder(cloudsFolder)) {
		err = p.startClouds(ctx)
	}
	if err == nil {
		return nil
	}
	p.say("taking down what was started")
	cleanup := context.WithoutCancel(ctx)
	if isNew {
		return errors.Join(err, p.takeDown(cleanup, s))
	}
	return errors.Join(err, p.stopAll(cleanup, started))
}

// plan decides on a new playground, checks all that can be checked before anything starts, and writes it down.
func (p Playground) plan(wish Wish) (*state, error) {
	if wish.Host == "" {
		wish.Host = DefaultHost
	}
	if wish.Members == nil {
		wish.Members = DefaultMembers()
	}
	specs := withHost(wish.Members, wish.Host)
	if err := validate(specs); err != nil {
		return nil, err
	}
	if _, err := findProgram("local-cluster"); err != nil {
		return nil, err
	}
	path, seen, err := kubeconfigFile(wish.Kubeconfig)
	if err != nil {
		return nil, err
	}
	s := &state{Kubeconfig: path, PreviousContext: seen.CurrentContext}
	for _, spec := range specs {
		if err := foreign(seen, spec.Name, ""); err != nil {
			return nil, err
		}
		s.Clusters = append(s.Clusters, cluster{Spec: spec})
	}
	// From here on there is something to take down.
	for i := range s.Clusters {
		c := &s.Clusters[i]
		if err := os.MkdirAll(p.folder(c.Name), 0o700); err != nil {
			return nil, errors.Join(err, p.removeFiles(s))
		}
		if c.IPRange, err = Reserve(p.folder(c.Name)); err != nil {
			return nil, errors.Join(err, p.removeFiles(s))
		}
	}
	if err := p.save(s); err != nil {
		return nil, errors.Join(err, p.removeFiles(s))
	}
	return s, nil
}

// unchanged refuses to make another playground out of one that exists.
func unchanged(s *state, wish Wish) error {
	specs := s.specs()
	host := wish.Host
	if host == "" {
		host = specs[slices.IndexFunc(specs, func(s Spec) bool { return s.Role == Host })].Name
	}
	members := wish.Members
	if members == nil {
		members = slices.DeleteFunc(slices.Clone(specs), func(s Spec) bool { return s.Role == Host })
		if wish.Host == "" {
			members = specs
		}
	}
	if !reflect.DeepEqual(withHost(members, host), specs) {
		return fmt.Errorf("there is a playground already, with the clusters %v: take it down first with `kubefed playground down`", s.names())
	}
	if wish.Kubeconfig != "" {
		if path, _, err := kubeconfigFile(wish.Kubeconfig); err != nil || path != s.Kubeconfig {
			return errors.Join(err, fmt.Errorf("the playground's contexts are in %s: give no --kubeconfig, or take the playground down first", s.Kubeconfig))
		}
	}
	return nil
}

// startAll starts what does not run, all at the same time, and returns the names of what it started.
func (p Playground) startAll(ctx context.Context, s *state, isNew bool) ([]string, error) {
	var stopped []string
	for _, c := range s.Clusters {
		_, running, err := p.process(c.Name)
		if err != nil {
			return nil, err
		}
		switch {
		case running:
			p.say("%s: running already", c.Name)
			continue
		case isNew:
			p.say("%s: starting (%s, %s)", c.Name, c.Provider, c.Region)
		default:
			p.say("%s: was not running, starting it again", c.Name)
		}
		stopped = append(stopped, c.Name)
	}
	if len(stopped) > 0 {
		if err := p.writeImages(); err != nil {
			return nil, err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range s.Clusters {
		group.Go(func() error { return p.ensure(ctx, c, slices.Contains(stopped, c.Name)) })
	}
	return stopped, group.Wait()
}

// ensure brings one cluster to where it can be used.
func (p Playground) ensure(ctx context.Context, c cluster, start bool) error {
	begin := time.Now()
	if start {
		if err := p.launch(c); err != nil {
			return err
		}
	}
	if err := p.waitUsable(ctx, c); err != nil {
		return err
	}
	if start {
		p.say("%s: ready after %.1f s at %s", c.Name, time.Since(begin).Seconds(), serverURL(c.IPRange))
	}
	return nil
}

// addContexts adds the contexts that the user's kubeconfig lacks. It does not touch a file that has them all.
func (p Playground) addContexts(ctx context.Context, s *state) error {
	var missing []*clientcmdapi.Config
	_, seen, err := kubeconfigFile(s.Kubeconfig)
	if err != nil {
		return err
	}
	_, everything, err := kubeconfigFile("")
	if err != nil {
		return err
	}
	for _, c := range s.Clusters {
		if err := foreign(seen, c.Name, serverURL(c.IPRange)); err != nil {
			return err
		}
		own, err := clientcmd.LoadFromFile(p.kubeconfig(c.Name))
		if err != nil {
			return fmt.Errorf("reading the kubeconfig of cluster %s: %w", c.Name, err)
		}
		if !has(seen, c.Name, own) {
			missing = append(missing, own)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	hasCurrent := seen.CurrentContext != "" || everything.CurrentContext != "" && s.PreviousContext != ""
	err = editKubeconfig(ctx, s.Kubeconfig, func(config *clientcmdapi.Config) {
		merge(config, missing, s.Clusters[0].Name, hasCurrent)
	})
	if err == nil {
		p.say("contexts %v are in %s", s.names(), s.Kubeconfig)
	}
	return err
}

// images are the project's own images, which nodes run as processes, and the programs in them.
var images = map[string]string{
	"kubefed.dev/federation-apiserver": "federation-apiserver",
	"kubefed.dev/demo-web":             "demo-web",
	"kubefed.dev/witness":              "witness",
}

func (p Playground) writeImages() error {
	table := map[string]string{}
	for image, program := range images {
		path, err := findProgram(program)
		if err != nil {
			p.say("pods of image %s will only be simulated: %v", image, err)
			continue
		}
		table[image] = path
	}
	data, err := json.MarshalIndent(table, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(p.imagesFile(), append(data, '\n'))
}
