package playground

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-multierror"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Down ends all processes of the playground, removes its contexts from the kubeconfig, and its files. The error is
// ErrNone where there is no playground.
func (p Playground) Down(ctx context.Context) error {
	return p.alone(ctx, func(s *state) error { return p.takeDown(ctx, s) })
}

// takeDown goes on after an error, and keeps the state if there was one: Down can then be called again.
func (p Playground) takeDown(ctx context.Context, s *state) error {
	err := p.stopAll(ctx, p.processes(s))
	if editErr := editKubeconfig(ctx, s.Kubeconfig, func(config *clientcmdapi.Config) {
		remove(config, s.Clusters, s.PreviousContext)
	}); editErr != nil {
		err = errors.Join(err, editErr)
	}
	if err != nil {
		return err
	}
	return p.removeFiles(s)
}

// stopAll stops clusters side by side; one that can't be stopped keeps no other from it, and every error is told.
func (p Playground) stopAll(ctx context.Context, names []string) error {
	var group multierror.Group
	for _, name := range names {
		group.Go(func() error {
			process, running, err := p.process(name)
			if err != nil || !running {
				return err
			}
			if err := process.stop(ctx); err != nil {
				return fmt.Errorf("stopping cluster %s: %w", name, err)
			}
			p.say("%s: stopped", name)
			return nil
		})
	}
	return group.Wait().ErrorOrNil()
}

// removeFiles removes what the playground made, the state last, and the folder if nothing else is in it.
func (p Playground) removeFiles(s *state) error {
	for _, c := range s.Clusters {
		if err := os.RemoveAll(p.folder(c.Name)); err != nil {
			return fmt.Errorf("removing the files of cluster %s: %w", c.Name, err)
		}
		if c.IPRange.IsValid() {
			if err := Release(c.IPRange, p.folder(c.Name)); err != nil {
				return fmt.Errorf("giving back the addresses of cluster %s: %w", c.Name, err)
			}
		}
	}
	if err := p.removeClouds(); err != nil {
		return err
	}
	for _, file := range []string{p.imagesFile(), p.stateFile()} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing the playground: %w", err)
		}
	}
	// A folder that the user keeps other things in stays.
	if os.Remove(p.Dir) == nil {
		if standard, err := DefaultDir(); err == nil && standard == p.Dir {
			_ = os.Remove(filepath.Dir(p.Dir))
		}
	}
	return nil
}
