package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/verdict"
)

const (
	// identityEvery and detailsEvery say at which probes a ready member is also asked who it is, which takes a right to
	// answer, and for its version and API groups.
	identityEvery = 3
	detailsEvery  = 10
	// detailsTimeout bounds that; it is apart from the probe's so that a slow discovery makes nobody offline.
	detailsTimeout = 8 * time.Second
	// firstNodes bounds the wait for a member's first lists of nodes and pods.
	firstNodes = 2 * time.Second
	// silentAfter is how many probes in a row must stay without an answer before watches are given up.
	silentAfter = 5
	// urgent is how many failures in a row have the next probe come sooner: verdicts wait for them.
	urgent = 5
	// conflictPause is the pause after a status could not be written because someone else wrote just before.
	conflictPause = 200 * time.Millisecond
	// renewRetry is the pause after a token could not be renewed.
	renewRetry = time.Minute
)

// prober probes one cluster and writes its status. Each cluster has its own: none waits for another.
type prober struct {
	c      *Controller
	name   string
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{}
	done   chan struct{}

	conn      *connection // that what follows belongs to
	nodes     *nodeWatch
	pods      *podWatch
	unwatch   context.CancelFunc // ends nodes and pods
	freeAt    time.Time          // when what is free was written last
	asked     time.Time          // when the last probe began
	answered  time.Time          // when it ended
	failures  int
	answers   int // good ones in a row
	version   string
	groups    []string
	renewNext time.Time
	renewErr  string
}

func newProber(c *Controller, name string) *prober {
	// What a process that ran before this one left to be written later still is.
	p := &prober{c: c, name: name, wake: make(chan struct{}, 1), done: make(chan struct{}), freeAt: time.Now()}
	p.ctx, p.cancel = context.WithCancel(log.IntoContext(c.ctx, log.Log.WithName("cluster").WithValues("cluster", name)))
	return p
}

// nudge has the prober probe now.
func (p *prober) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *prober) run() {
	defer close(p.done)
	defer p.cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		pause, err := p.once(p.ctx)
		if err != nil && p.ctx.Err() == nil {
			log.FromContext(p.ctx).Error(err, "probing cluster")
		}
		// Spread by a tenth, so that probes of many clusters do not march in step.
		timer.Reset(time.Duration(float64(pause) * (0.9 + 0.2*rand.Float64())))
	}
}

// once does one round: probe, write what changed, renew the token when it is time. It returns the pause until the next.
func (p *prober) once(ctx context.Context) (time.Duration, error) {
	period := p.c.options.ProbePeriod
	var cluster federation.Cluster
	if err := p.c.federation.Get(ctx, types.NamespacedName{Name: p.name}, &cluster); err != nil {
		return period, client.IgnoreNotFound(err)
	}
	conn, problem := p.c.registry.connection(p.name)
	if conn == nil && problem == nil {
		return period, nil // the registry has not read the Secret yet; it nudges
	}
	p.follow(conn)
	facts := p.facts(ctx, conn, problem)
	if ctx.Err() != nil || conn != nil && conn.ctx.Err() != nil {
		return 0, nil // what ended with the connection says nothing about the member
	}
	facts.Spec, facts.Generation, facts.Drill = cluster.Spec, cluster.Generation, drillOf(&cluster)
	p.c.assess.saw(p.name, verdict.Probe{Asked: p.asked, At: p.answered, Says: says[facts.Answer], Message: facts.Message})
	if facts.Answer == AnswerOK {
		p.failures = 0
		p.answers++
	} else {
		p.failures++
		facts.Failures = p.failures
		p.answers = 0 // ask for everything when it is back
		if facts.Answer == AnswerNone && p.failures == silentAfter {
			p.drop() // reflectors that failed for long pause for up to a minute when it is back
		}
	}
	if facts.Answer == AnswerWrongCluster {
		p.c.registry.doubt(conn)
	}
	if err := p.write(ctx, &cluster, facts); apierrors.IsConflict(err) {
		return min(period, conflictPause), nil // the cache lagged behind
	} else if err != nil {
		return period, err
	}
	if facts.Answer == AnswerOK {
		p.renew(ctx, conn, &cluster)
	}
	if p.failures > 0 && p.failures <= urgent || time.Since(p.answered) > period {
		period /= 3 // was it one lost probe? Or did it fall silent after it?
	}
	return period, nil
}

// follow drops what belongs to an older connection.
func (p *prober) follow(conn *connection) {
	if conn != p.conn {
		p.drop()
		p.conn, p.answers, p.version, p.groups = conn, 0, "", nil
	}
}

// drop ends the watches of nodes and pods; the next good answer has new ones begin.
func (p *prober) drop() {
	if p.unwatch != nil {
		p.unwatch()
	}
	p.nodes, p.pods, p.unwatch = nil, nil, nil
}

// facts asks the member.
func (p *prober) facts(ctx context.Context, conn *connection, problem error) Facts {
	p.asked = time.Now()
	p.answered = p.asked
	if conn == nil {
		return Facts{Answer: AnswerSecretInvalid, Message: problem.Error()}
	}
	answer, message := conn.probe(ctx, p.c.options.ProbeTimeout, p.answers%identityEvery == 0)
	p.answered = time.Now()
	probeSeconds.WithLabelValues(p.name, answerLabels[answer]).Observe(p.answered.Sub(p.asked).Seconds())
	facts := Facts{Answer: answer, Message: message}
	if _, expires, err := lifetime(*conn.token.Load()); err == nil {
		facts.TokenExpires = &expires
	}
	if answer != AnswerOK {
		return facts
	}
	if p.answers%detailsEvery == 0 || p.version == "" || p.groups == nil {
		p.version, p.groups = conn.details(ctx, detailsTimeout)
	}
	facts.Version, facts.APIGroups = p.version, p.groups
	p.addNodes(ctx, conn, &facts)
	return facts
}

// addNodes adds what the nodes say; the watch for it starts with the first good answer.
func (p *prober) addNodes(ctx context.Context, conn *connection, facts *Facts) {
	if p.nodes == nil {
		watching, unwatch := context.WithCancel(p.ctx)
		nodes, err := watchNodes(watching, conn, &p.c.running)
		if err != nil {
			unwatch()
			log.FromContext(ctx).Error(err, "watching nodes")
			return
		}
		p.nodes, p.pods, p.unwatch = nodes, watchPods(watching, conn, &p.c.running), unwatch
		// The first status that says Ready had better say where the cluster is, too.
		bounded, cancel := context.WithTimeout(ctx, firstNodes)
		defer cancel()
		cache.WaitForCacheSync(bounded.Done(), nodes.reg.HasSynced)
		select {
		case <-p.pods.answered:
		case <-bounded.Done():
		}
	}
	var refused string
	if facts.Nodes, refused = p.nodes.Facts(); refused != "" {
		facts.Answer = AnswerForbidden
		facts.Message = fmt.Sprintf("the federation lacks a right (%s): %s", refused, rejoin(p.name))
	}
	if facts.Nodes != nil {
		facts.Free = p.nodes.Free(p.pods)
	}
}

// write stores the status where it changed, and tells of transitions.
func (p *prober) write(ctx context.Context, cluster *federation.Cluster, facts Facts) error {
	if facts.Nodes != nil {
		facts.Free = freeToWrite(cluster.Status.Free, facts.Free, facts.Nodes.Allocatable, time.Since(p.freeAt))
	}
	updated := cluster.DeepCopy()
	updated.Status = Status(facts, cluster.Status, time.Now())
	ready := 0.0
	if meta.IsStatusConditionTrue(updated.Status.Conditions, federation.ClusterReady) {
		ready = 1
	}
	clusterReady.WithLabelValues(p.name).Set(ready)
	if apiequality.Semantic.DeepEqual(cluster.Status, updated.Status) {
		return nil
	}
	// The cache may lag behind the last write; the lock keeps an old view from undoing it.
	patch := client.MergeFromWithOptions(cluster, client.MergeFromWithOptimisticLock{})
	old, status := cluster.Status, updated.Status
	if err := p.c.federation.Status().Patch(ctx, updated, patch); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !apiequality.Semantic.DeepEqual(old.Free, status.Free) {
		p.freeAt = time.Now()
	}
	for _, e := range transitions(old, status) {
		p.emit(cluster, e)
	}
	return nil
}

func (p *prober) emit(cluster *federation.Cluster, e Event) {
	p.c.events.Eventf(cluster, nil, e.Type, e.Reason, e.Action, "%s", e.Note)
}

// renew replaces the token in the Secret when its time has come. The registry puts it to use.
func (p *prober) renew(ctx context.Context, conn *connection, cluster *federation.Cluster) {
	issued, expires, err := lifetime(*conn.token.Load())
	now := time.Now()
	if err != nil || now.Before(renewAt(p.name, issued, expires)) || now.Before(p.renewNext) {
		return
	}
	p.renewNext = now.Add(min(renewRetry, expires.Sub(issued)/20))
	if err := p.renewToken(ctx, conn, cluster.Spec.SecretName); err != nil {
		tokenRenewals.WithLabelValues(p.name, "failed").Inc()
		if p.renewErr != err.Error() {
			p.renewErr = err.Error()
			p.emit(cluster, tokenNotRenewed(err))
			log.FromContext(ctx).Error(err, "renewing token")
		}
		return
	}
	p.renewErr = ""
	tokenRenewals.WithLabelValues(p.name, "renewed").Inc()
	p.emit(cluster, tokenRenewed())
}

func (p *prober) renewToken(ctx context.Context, conn *connection, secretName string) error {
	bounded, cancel := context.WithTimeout(ctx, detailsTimeout)
	defer cancel()
	token, err := requestToken(bounded, conn.core, p.c.options.TokenLifetime)
	if err != nil {
		return fmt.Errorf("renewing the token of cluster %s: %w", p.name, err)
	}
	patch, err := json.Marshal(map[string]any{"data": map[string][]byte{secretToken: []byte(token)}})
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: federation.SystemNamespace, Name: secretName}}
	if err := p.c.federation.Patch(bounded, secret, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("storing the renewed token of cluster %s: %w", p.name, err)
	}
	return nil
}
