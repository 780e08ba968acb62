package playground

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// partitionFile is what local-cluster looks for.
func (p Playground) partitionFile(cluster string) string {
	return filepath.Join(p.folder(cluster), "partitioned")
}

// Partition cuts the API of one cluster off from everything outside of it, as lost packets would. Its pods and load balancers go
// on, and reach their API.
func (p Playground) Partition(ctx context.Context, name string) error {
	return p.withCluster(ctx, name, func(c cluster) error {
		if err := writeFile(p.partitionFile(c.Name), nil); err != nil {
			return fmt.Errorf("cutting cluster %s off: %w", c.Name, err)
		}
		if err := p.flip(ctx, c, false); err != nil {
			return fmt.Errorf("cutting cluster %s off: %w", c.Name, err)
		}
		p.say("%s: cut off", c.Name)
		return nil
	})
}

// Heal takes a partition back.
func (p Playground) Heal(ctx context.Context, name string) error {
	return p.withCluster(ctx, name, func(c cluster) error {
		if err := os.Remove(p.partitionFile(c.Name)); errors.Is(err, fs.ErrNotExist) {
			p.say("%s: was not cut off", c.Name)
			return nil
		} else if err != nil {
			return fmt.Errorf("healing cluster %s: %w", c.Name, err)
		}
		if err := p.flip(ctx, c, true); err != nil {
			return fmt.Errorf("healing cluster %s: %w", c.Name, err)
		}
		p.say("%s: reachable again", c.Name)
		return nil
	})
}

// flip has a cluster look at its switch, and waits until its API answers, or does no longer.
func (p Playground) flip(ctx context.Context, c cluster, wanted bool) error {
	pr, running, err := p.process(c.Name)
	if err != nil {
		return err
	}
	if !running {
		return fmt.Errorf("it does not run: kubefed playground start %s", c.Name)
	}
	if err := pr.signal(partition); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopLimit, fmt.Errorf("no success within %v", stopLimit))
	defer cancel()
	for reachable(ctx, c) != wanted {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: look at %s", context.Cause(ctx), p.logFile(c.Name))
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// reachable says whether a cluster's API shakes hands.
func reachable(ctx context.Context, c cluster) bool {
	server, err := url.Parse(serverURL(c.IPRange))
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	// Who answers is not the question.
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", server.Host) //nolint:gosec
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
