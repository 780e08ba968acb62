package playground

import (
	"context"
	"sync"
)

// States of clusters.
const (
	Running = "Running" // the API and all nodes are ready
	Pending = "Pending" // the process runs, but something is missing
	Stopped = "Stopped" // there is no process
)

// Status is a playground as it is now.
type Status struct {
	Dir        string          `json:"dir"`
	Kubeconfig string          `json:"kubeconfig"`
	Clusters   []ClusterStatus `json:"clusters"`
}

// ClusterStatus is one cluster as it is now.
type ClusterStatus struct {
	Spec   `json:",inline"`
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Server string `json:"server"`
	// IPRange has the addresses of the cluster's pods and load balancers.
	IPRange string `json:"ipRange"`
	PID     int    `json:"pid,omitempty"`
	Log     string `json:"log"`
	// Kubeconfig is the cluster's own, with this one context.
	Kubeconfig string `json:"kubeconfig"`
}

// Status looks at all clusters. The error is ErrNone where there is no playground.
func (p Playground) Status(ctx context.Context) (*Status, error) {
	s, err := p.load()
	if err != nil {
		return nil, err
	}
	status := &Status{Dir: p.Dir, Kubeconfig: s.Kubeconfig, Clusters: make([]ClusterStatus, len(s.Clusters))}
	var looking sync.WaitGroup
	for i, c := range s.Clusters {
		looking.Go(func() { status.Clusters[i] = p.look(ctx, c) })
	}
	looking.Wait()
	return status, nil
}

func (p Playground) look(ctx context.Context, c cluster) ClusterStatus {
	status := ClusterStatus{
		Spec: c.Spec, State: Stopped, Server: serverURL(c.IPRange), IPRange: c.IPRange.String(),
		Log: p.logFile(c.Name), Kubeconfig: p.kubeconfig(c.Name),
	}
	process, running, err := p.process(c.Name)
	if err != nil {
		status.Reason = err.Error()
	}
	if !running {
		return status
	}
	status.State, status.PID = Running, process.pid
	if missing := p.unusable(ctx, c); missing != nil {
		status.State, status.Reason = Pending, missing.Error()
	}
	return status
}
