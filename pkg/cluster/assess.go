package cluster

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/probe"
	"kubefed.dev/kubefed/pkg/verdict"
)

const (
	// assessPeriod is the time between two looks at all evidence. A look is made of memory, and writes what changed.
	assessPeriod = time.Second
	// settle is how long after the start a source that has not spoken yet is still shown with what it said before.
	settle = 20 * time.Second
)

// Sources are where evidence other than the controller's own probes comes from. They are set before the controller starts, answer
// from memory, and are safe for concurrent use; a nil one is none.
type Sources struct {
	// Traffic is what the control plane's probes of a cluster's published endpoints say.
	Traffic func(cluster string) probe.Traffic
	// Sightings are what witnesses in other clusters that can be heard see of a cluster, by witness.
	Sightings func(cluster string) map[string][]verdict.Sighting
	// Cloud is the cloud's word on where a cluster is.
	Cloud func(cluster *federation.Cluster) verdict.Signal
}

// assessor judges all clusters together, since whether one is dead depends on whether the others can be heard. It alone writes
// verdicts, the taints that follow from them, and the federation's condition Isolated.
type assessor struct {
	c       *Controller
	sources *Sources
	wake    chan struct{}

	mu      sync.Mutex
	windows map[string]verdict.Window

	// What follows belongs to run.
	began    time.Time
	memories map[types.UID]verdict.Memory
	view     verdict.View
	problem  string // the last error, told once
}

func newAssessor(c *Controller, sources *Sources) *assessor {
	if sources == nil {
		sources = &Sources{}
	}
	return &assessor{c: c, sources: sources, wake: make(chan struct{}, 1), windows: map[string]verdict.Window{}, memories: map[types.UID]verdict.Memory{}}
}

// saw takes in how a probe of a cluster ended.
func (a *assessor) saw(cluster string, p verdict.Probe) {
	a.mu.Lock()
	a.windows[cluster] = a.windows[cluster].Add(p)
	a.mu.Unlock()
	a.nudge()
}

// forget drops what probes found of a cluster that left.
func (a *assessor) forget(cluster string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.windows, cluster)
}

// nudge has everything looked at now.
func (a *assessor) nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *assessor) run(ctx context.Context) {
	ctx = log.IntoContext(ctx, log.Log.WithName("verdict"))
	a.began = time.Now()
	tick := time.NewTicker(assessPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.wake:
		}
		problem := ""
		if err := a.once(ctx, time.Now()); err != nil && ctx.Err() == nil {
			if problem = err.Error(); problem != a.problem {
				log.FromContext(ctx).Error(err, "judging clusters")
			}
		}
		a.problem = problem
	}
}

// subject is one cluster with what is known of it.
type subject struct {
	cluster  *federation.Cluster
	window   verdict.Window
	memory   verdict.Memory
	evidence verdict.Evidence
}

// once judges every cluster, and writes what changed.
func (a *assessor) once(ctx context.Context, now time.Time) error {
	subjects, err := a.gather(ctx, now)
	if err != nil {
		return err
	}
	members := make([]verdict.Member, len(subjects))
	for i, s := range subjects {
		members[i] = s.member()
	}
	a.view = verdict.Look(members, a.view, now)
	memories := make(map[types.UID]verdict.Memory, len(subjects))
	for _, s := range subjects {
		memory := verdict.Rules{StableFor: a.c.options.StableFor}.Judge(s.evidence, s.memory, a.view.Frozen(s.cluster.Name), now)
		memories[s.cluster.UID] = memory
		a.tell(s, memory.Verdict, now)
		if werr := a.write(ctx, s.cluster, memory.Verdict, now); werr != nil {
			err = werr
		}
	}
	a.memories = memories
	if ferr := a.writeIsolation(ctx, len(subjects) > 0, now); ferr != nil {
		err = ferr
	}
	return err
}

// gather reads all clusters from the cache, and what the sources say of them.
func (a *assessor) gather(ctx context.Context, now time.Time) ([]subject, error) {
	var list federation.ClusterList
	if err := a.c.federation.List(ctx, &list); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var subjects []subject
	for i := range list.Items {
		cluster := &list.Items[i]
		if cluster.DeletionTimestamp != nil {
			continue
		}
		s := subject{cluster: cluster, window: a.windows[cluster.Name]}
		known := false
		if s.memory, known = a.memories[cluster.UID]; !known {
			s.memory = verdict.Recall(cluster.Status.Verdict, now)
		}
		s.evidence = a.evidence(cluster, s.window, s.memory.Verdict)
		s.evidence.Settling = now.Sub(a.began) < settle
		subjects = append(subjects, s)
	}
	return subjects, nil
}

func (a *assessor) evidence(cluster *federation.Cluster, window verdict.Window, before *federation.Verdict) verdict.Evidence {
	e := verdict.Evidence{API: window.Signal(), Drill: drillOf(cluster)}
	if a.sources.Traffic != nil {
		e.Traffic = a.sources.Traffic(cluster.Name)
	}
	if a.sources.Cloud != nil {
		e.Cloud = a.sources.Cloud(cluster)
	}
	if a.sources.Sightings == nil {
		return e
	}
	for witness, sightings := range a.sources.Sightings(cluster.Name) {
		if witness == cluster.Name {
			continue // nobody testifies for himself
		}
		if reached(before, witness) {
			for i := range sightings {
				sightings[i].Known = true
			}
		}
		e.Witnesses = append(e.Witnesses, verdict.Witnessed(witness, sightings))
	}
	return e
}

// reached says whether the verdict in force shows that a witness has seen the cluster alive: the process that wrote it may
// have been another.
func reached(v *federation.Verdict, witness string) bool {
	return v != nil && slices.ContainsFunc(v.Evidence, func(e federation.Evidence) bool {
		return e.Source == federation.SourceWitness+witness && (e.Says == federation.SaysAlive || e.Says == federation.SaysDead)
	})
}

func (s subject) member() verdict.Member {
	w := s.window
	m := verdict.Member{
		Name: s.cluster.Name, Heard: w.Heard, Silent: w.Silent, Asked: w.Asked,
		Dead: s.evidence.API.Says == federation.SaysDead, Confirmed: s.evidence.Confirmed(),
	}
	v := s.memory.Verdict
	if v == nil || v.Reason == federation.VerdictDrill || v.State != federation.VerdictUnreachable && v.State != federation.VerdictDown {
		return m
	}
	if !w.Silent.IsZero() && w.Heard.IsZero() && v.Since.Time.Before(w.Silent) {
		m.Silent = v.Since.Time // it was silent before this process began
	}
	return m
}

// write stores a verdict and its taints where they differ from what is stored. Nobody else writes these fields.
func (a *assessor) write(ctx context.Context, cluster *federation.Cluster, v *federation.Verdict, now time.Time) error {
	if v == nil {
		return nil
	}
	taints := verdict.Taints(v, cluster.Status.Taints, now)
	if apiequality.Semantic.DeepEqual(cluster.Status.Verdict, v) && apiequality.Semantic.DeepEqual(cluster.Status.Taints, taints) {
		return nil
	}
	updated := cluster.DeepCopy()
	updated.Status.Verdict, updated.Status.Taints = v, taints
	return client.IgnoreNotFound(a.c.federation.Status().Patch(ctx, updated, client.MergeFrom(cluster)))
}

// tell tells of a verdict that changed.
func (a *assessor) tell(s subject, v *federation.Verdict, now time.Time) {
	if v == nil {
		return
	}
	clusterVerdict.DeletePartialMatch(map[string]string{"cluster": s.cluster.Name})
	clusterVerdict.WithLabelValues(s.cluster.Name, v.State).Set(1)
	before := s.memory.Verdict
	if before != nil && before.State == v.State || before == nil && v.State == federation.VerdictReady {
		return
	}
	kind := corev1.EventTypeWarning
	if v.State == federation.VerdictReady {
		kind = corev1.EventTypeNormal
	}
	a.c.events.Eventf(s.cluster, nil, kind, "Verdict"+v.State, "Judge", "%s", v.Message)
	if s.window.Heard.IsZero() || v.Reason == federation.VerdictDrill || !verdict.Worse(v.State, federation.VerdictDegraded) {
		return
	}
	verdictSeconds.WithLabelValues(v.State).Observe(now.Sub(s.window.Heard).Seconds())
}

// drillOf is the name of the drill that has a cluster judged as failed, empty for none.
func drillOf(cluster *federation.Cluster) string {
	name, mode, _ := strings.Cut(cluster.Annotations[federation.AnnotationDrill], "/")
	if strings.EqualFold(mode, "Verdict") {
		return name
	}
	return ""
}
