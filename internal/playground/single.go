package playground

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Kill ends one cluster at once, with all its pods, as a power cut would. Its data stays.
func (p Playground) Kill(ctx context.Context, name string) error {
	return p.withCluster(ctx, name, func(c cluster) error {
		process, running, err := p.process(c.Name)
		if err != nil {
			return err
		}
		if !running {
			p.say("%s: was not running", c.Name)
			return nil
		}
		if err := process.kill(ctx); err != nil {
			return fmt.Errorf("killing cluster %s: %w", c.Name, err)
		}
		p.say("%s: killed", c.Name)
		return nil
	})
}

// Start brings back one cluster with its data, at the same address, and returns when it is usable.
func (p Playground) Start(ctx context.Context, name string) error {
	return p.withCluster(ctx, name, func(c cluster) error {
		_, running, err := p.process(c.Name)
		if err != nil {
			return err
		}
		if err := os.Remove(p.partitionFile(c.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if running {
			p.say("%s: running already", c.Name)
		} else if err := p.writeImages(); err != nil {
			return err
		}
		if err := p.ensure(ctx, c, !running); err != nil {
			if !running {
				err = errors.Join(err, p.stopAll(context.WithoutCancel(ctx), []string{c.Name}))
			}
			return err
		}
		return nil
	})
}

func (p Playground) withCluster(ctx context.Context, name string, do func(cluster) error) error {
	return p.alone(ctx, func(s *state) error {
		c, err := s.cluster(name)
		if err != nil {
			return err
		}
		return do(c)
	})
}
