package node

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// probe runs a container's probes until ctx ends. unhealthy gets a message when the container is to be restarted.
func (p *processPod) probe(ctx context.Context, c *v1.Container, run program, unhealthy chan<- string) {
	t := target{container: c, address: p.address.String(), exec: func(ctx context.Context, command []string) (int, error) {
		return p.agent.spawner.runToEnd(ctx, run.inside(command))
	}}
	if c.StartupProbe != nil && !p.awaitStart(ctx, t, unhealthy) {
		return
	}
	var probes sync.WaitGroup
	if c.ReadinessProbe != nil {
		probes.Go(func() { p.observeReadiness(ctx, t) })
	} else if c.StartupProbe != nil {
		p.set(c.Name, func(s *v1.ContainerStatus) { s.Ready = true })
	}
	if c.LivenessProbe != nil {
		probes.Go(func() {
			t.observe(ctx, c.LivenessProbe, false, func(o outcome, err error) {
				if o == failing {
					tell(unhealthy, fmt.Sprintf("Container %s failed liveness probe, will be restarted: %v", c.Name, err))
				}
			})
		})
	}
	probes.Wait()
}

// awaitStart says whether the start-up probe has passed.
func (p *processPod) awaitStart(ctx context.Context, t target, unhealthy chan<- string) bool {
	started := false
	until, stop := context.WithCancel(ctx)
	defer stop()
	t.observe(until, t.container.StartupProbe, false, func(o outcome, err error) {
		switch o {
		case passing:
			started = true
			p.set(t.container.Name, func(s *v1.ContainerStatus) { s.Started = ptr.To(true) })
			stop()
		case failing:
			tell(unhealthy, fmt.Sprintf("Container %s failed startup probe, will be restarted: %v", t.container.Name, err))
			stop()
		}
	})
	return started
}

func (p *processPod) observeReadiness(ctx context.Context, t target) {
	ready := false
	t.observe(ctx, t.container.ReadinessProbe, true, func(o outcome, _ error) {
		if o == undecided || ready == (o == passing) {
			return
		}
		ready = o == passing
		p.set(t.container.Name, func(s *v1.ContainerStatus) { s.Ready = ready })
	})
}

func tell(to chan<- string, message string) {
	select {
	case to <- message:
	default: // the container is being restarted already
	}
}

// baseEnvironment is what a process has without its pod's asking.
func (p *processPod) baseEnvironment(s setting) map[string]string {
	c := p.agent.Config
	env := map[string]string{
		"PATH":     os.Getenv("PATH"),
		"HOME":     p.dir,
		"HOSTNAME": s.pod.Name,
		"POD":      s.pod.Name,
		"POD_IP":   s.at.podIP,
		"NODE":     s.pod.Spec.NodeName,
		"CLUSTER":  c.Cluster,
		"PROVIDER": c.Provider,
		"REGION":   c.Region,
		"ZONE":     p.agent.machines[s.pod.Spec.NodeName].zone,
	}
	if server, err := url.Parse(c.REST.Host); err == nil {
		if host, port, err := net.SplitHostPort(server.Host); err == nil {
			env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"] = host, port
		}
	}
	return env
}
