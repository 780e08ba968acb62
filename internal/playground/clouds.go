package playground

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"kubefed.dev/kubefed/internal/simulatedcloud"
)

const (
	// cloudsFolder is beside those of clusters, none of which can have a dot in its name.
	cloudsFolder = "clouds.d"
	// The ports of the clouds, on the first address of the host cluster's range.
	awsPort, gcpPort = 6481, 6482
)

// ErrNoClouds says that the playground has no simulated clouds.
var ErrNoClouds = errors.New("the playground has no simulated clouds: start them with `kubefed playground cloud up`")

// CloudConfig is the file that tells a federation of the clouds.
func (p Playground) CloudConfig() string { return simulatedcloud.ConfigFile(p.folder(cloudsFolder)) }

// CloudUp starts simulated clouds for where the clusters are. Those that run are left alone.
func (p Playground) CloudUp(ctx context.Context) error {
	return p.alone(ctx, func(s *state) error {
		if !simulatedcloud.Exists(p.folder(cloudsFolder)) {
			clouds := &simulatedcloud.State{}
			for _, c := range s.Clusters {
				if c.Role == Host {
					first := c.IPRange.Addr().Next().String()
					clouds.AWS, clouds.GCP = net.JoinHostPort(first, strconv.Itoa(awsPort)), net.JoinHostPort(first, strconv.Itoa(gcpPort))
				}
				clouds.Clusters = append(clouds.Clusters, simulatedcloud.Cluster{Name: c.Name, Provider: c.Provider, Region: c.Region, Zones: c.Zones})
			}
			if err := clouds.Save(p.folder(cloudsFolder)); err != nil {
				return err
			}
		}
		return p.startClouds(ctx)
	})
}

// startClouds has the clouds run that there are, and returns when they answer.
func (p Playground) startClouds(ctx context.Context) error {
	_, running, err := p.process(cloudsFolder)
	if err != nil || running {
		return err
	}
	program, err := findProgram("simulated-cloud")
	if err != nil {
		return err
	}
	clouds, err := simulatedcloud.Load(p.folder(cloudsFolder))
	if err != nil {
		return err
	}
	if _, err := p.spawn(cloudsFolder, program, []string{"--dir=" + p.folder(cloudsFolder)}); err != nil {
		return fmt.Errorf("starting the simulated clouds: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, stopLimit, fmt.Errorf("no success within %v", stopLimit))
	defer cancel()
	for {
		missing := answer(ctx, clouds.AWS, clouds.GCP)
		if missing == nil {
			p.say("clouds: simulated")
			return nil
		}
		if _, running, err := p.process(cloudsFolder); err != nil || !running {
			return errors.Join(err, fmt.Errorf("the simulated clouds ended: %s", p.lastWords(cloudsFolder)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the simulated clouds: %w: %w: look at %s", missing, context.Cause(ctx), p.logFile(cloudsFolder))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func answer(ctx context.Context, addresses ...string) error {
	for _, address := range addresses {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		conn.Close()
	}
	return nil
}

// Clouds is how the clouds are. The error is ErrNoClouds where there are none.
func (p Playground) Clouds() (*simulatedcloud.State, error) {
	if _, err := p.load(); err != nil {
		return nil, err
	}
	if !simulatedcloud.Exists(p.folder(cloudsFolder)) {
		return nil, ErrNoClouds
	}
	return simulatedcloud.Load(p.folder(cloudsFolder))
}

// ChangeClouds changes how the clouds are: what they answer from then on says so.
func (p Playground) ChangeClouds(ctx context.Context, change func(*simulatedcloud.State) error) error {
	return p.alone(ctx, func(*state) error {
		clouds, err := p.Clouds()
		if err != nil {
			return err
		}
		if err := change(clouds); err != nil {
			return err
		}
		return clouds.Save(p.folder(cloudsFolder))
	})
}

// alone does something with the playground that there is, when it is the folder's turn.
func (p Playground) alone(ctx context.Context, do func(*state) error) error {
	if _, err := p.load(); err != nil {
		return err
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := p.load()
	if err != nil {
		return err
	}
	return do(s)
}

// removeClouds removes what the clouds kept.
func (p Playground) removeClouds() error {
	if err := os.RemoveAll(p.folder(cloudsFolder)); err != nil {
		return fmt.Errorf("removing the simulated clouds: %w", err)
	}
	return nil
}

// processes are the names of all that runs.
func (p Playground) processes(s *state) []string {
	if simulatedcloud.Exists(p.folder(cloudsFolder)) {
		return append(slices.Clone(s.names()), cloudsFolder)
	}
	return s.names()
}
