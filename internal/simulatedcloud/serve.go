package simulatedcloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"kubefed.dev/kubefed/pkg/cloud"
	"kubefed.dev/kubefed/pkg/cloud/aws/awstest"
	"kubefed.dev/kubefed/pkg/cloud/config"
	"kubefed.dev/kubefed/pkg/cloud/gcp/gcptest"
)

// Serve answers as the clouds of a folder do, where its state says, until ctx ends.
func Serve(ctx context.Context, dir string) error {
	w := &world{dir: dir, aws: awstest.New(), gcp: gcptest.New(project)}
	w.gcp.AllowAnonymous()
	if err := w.follow(); err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	for address, handler := range map[string]http.Handler{w.state.AWS: w.aws, w.state.GCP: w.gcp} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("serving the simulated clouds: %w", err)
		}
		server := &http.Server{Handler: w.current(handler), ReadHeaderTimeout: 10 * time.Second}
		running.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serving at %s: %w", address, err)
			}
		})
		context.AfterFunc(ctx, func() { _ = server.Close() })
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// world is the clouds, and the state that they were last set to.
type world struct {
	dir string
	aws *awstest.Cloud
	gcp *gcptest.Server

	mu    sync.Mutex
	state *State
	of    os.FileInfo
}

// current has the state read again before each answer, if it changed: what was commanded counts from then on.
func (w *world) current(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if err := w.follow(); err != nil {
			http.Error(out, err.Error(), http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(out, r)
	})
}

func (w *world) follow() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, err := os.Stat(filepath.Join(w.dir, stateFile))
	if err != nil {
		return fmt.Errorf("looking at the simulated clouds: %w", err)
	}
	if w.of != nil && os.SameFile(now, w.of) && now.ModTime().Equal(w.of.ModTime()) {
		return nil
	}
	state, err := Load(w.dir)
	if err != nil {
		return err
	}
	w.state, w.of = state, now
	w.setAWS()
	return w.setGCP()
}

func (w *world) setAWS() {
	w.aws.RevokeKey(keyID)
	if !slices.Contains(w.state.Revoked, config.AWS) {
		w.aws.SetKey(awstest.Key{ID: keyID, Secret: keySecret, ARN: "arn:aws:iam::" + awstest.Account + ":user/kubefed"})
	}
	for _, c := range w.state.Clusters {
		if c.Provider != config.AWS {
			continue
		}
		factor := w.state.factor(c.Provider, c.Region)
		for i, name := range c.Zones {
			zone := awstest.Zone{Name: name, ID: c.Region + "-az" + strconv.Itoa(i+1)}
			if ill, is := w.state.Zones[name]; is {
				zone.State, zone.Messages = map[cloud.ZoneState]string{cloud.ZoneImpaired: "impaired", cloud.ZoneUnavailable: "unavailable"}[ill.State], []string{"simulated"}
			}
			w.aws.SetZone(c.Region, zone)
			w.aws.SetSpot(c.Region, awsMachine, name, awsHour*factor*spotPart)
		}
		w.aws.SetMachine(c.Region, awstest.Machine{Type: awsMachine, CPUs: 16, GiB: 64, Hour: awsHour * factor})
		w.aws.SetEgress(c.Region, egressGiB)
	}
}

func (w *world) setGCP() error {
	w.gcp.Heal()
	if slices.Contains(w.state.Revoked, config.GCP) {
		w.gcp.Fail(gcptest.Fault{Error: gcptest.Unauthenticated, Always: true})
	}
	zones := map[string][]string{}
	for _, c := range w.state.Clusters {
		if c.Provider == config.GCP {
			zones[c.Region] = append(zones[c.Region], c.Zones...)
		}
	}
	for region, names := range zones {
		w.gcp.AddRegion(region, names...)
		for _, name := range names {
			status, deprecated := "UP", ""
			switch w.state.Zones[name].State {
			case cloud.ZoneUnavailable:
				status = "DOWN"
			case cloud.ZoneImpaired:
				deprecated = "OBSOLETE" // Google Cloud has no word for a zone that is impaired
			}
			if err := w.gcp.SetState(name, status, deprecated); err != nil {
				return err
			}
		}
		factor := w.state.factor(config.GCP, region)
		w.gcp.SetPrice(region, gcpFamily, false, gcpCPU*factor, gcpGiB*factor)
		w.gcp.SetPrice(region, gcpFamily, true, gcpCPU*factor*spotPart, gcpGiB*factor*spotPart)
		w.gcp.SetEgress(region, egressGiB)
	}
	return nil
}
