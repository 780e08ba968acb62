package cluster

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// JoinOptions say which cluster joins which federation.
type JoinOptions struct {
	// Name of the cluster in the federation, a DNS label.
	Name string
	// Federation and Member are the user's own ways to both. Nothing of Member's credentials is stored.
	Federation, Member *rest.Config
	// Labels, Provider, Region and Zones override what nodes say; what is empty leaves an existing Cluster's alone.
	Labels map[string]string
	// Reference is what the cluster's cloud calls it, if it was found by that.
	Reference        string
	Provider, Region string
	Zones            []string
	// CustomResources lets the federation extend its rights to the custom resources that it federates.
	CustomResources bool
	// Witness is the image of the witness that looks at other members from this one; without it, there is none.
	Witness string
	// Timeout bounds the wait for the cluster to be Ready.
	Timeout time.Duration
	// Progress is told what is being done or waited for; nil is silence.
	Progress func(format string, args ...any)
}

// JoinResult says what Join did.
type JoinResult struct {
	Federation string
	// AlreadyJoined says that the cluster had joined before; Repaired is what had to be put right then.
	AlreadyJoined bool
	Repaired      []string
	// Cleared says that the remains of an earlier membership were dealt with first.
	Cleared *Cleaning
	Cluster *federation.Cluster
}

// Join makes a cluster a member of a federation and waits until it is Ready. It looks before it writes: what it refuses
// leaves nothing behind. What was interrupted is resumed by calling it again, and a cluster that has joined already is
// repaired.
func Join(ctx context.Context, o JoinOptions) (JoinResult, error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	s, err := surveyJoin(ctx, o)
	if err != nil {
		return JoinResult{}, err
	}
	if err := judge(o, s); err != nil {
		return JoinResult{}, err
	}
	if err := s.checkRights(ctx, o); err != nil {
		return JoinResult{}, err
	}
	result := JoinResult{Federation: s.info.Name, AlreadyJoined: s.cluster != nil}
	if result.Cleared, err = s.clearTombstones(ctx, o); err != nil {
		return result, err
	}
	note := func(what string, changed bool) {
		if changed {
			result.Repaired = append(result.Repaired, what)
		}
	}
	o.Progress("writing to cluster %s", o.Name)
	for _, obj := range o.objects(s) {
		changed, err := s.member.apply(ctx, obj)
		if err != nil {
			return result, err
		}
		form, _ := applyForm(obj)
		note(describe(form)+" in the cluster", changed)
	}
	if !o.CustomResources {
		if err := s.withdrawCustomResources(ctx); err != nil {
			return result, err
		}
	}
	if o.Witness == "" {
		changed, err := s.dismissWitness(ctx)
		if err != nil {
			return result, err
		}
		note("the witness in the cluster, which is gone", changed)
	}
	o.Progress("writing to federation %s", s.info.Name)
	changed, err := s.writeSecret(ctx, o)
	if err != nil {
		return result, err
	}
	note("Secret "+secretName(o.Name)+" in the federation", changed)
	if changed, err = s.writeCluster(ctx, o); err != nil {
		return result, err
	}
	note("Cluster "+o.Name+" in the federation", changed)
	result.Cluster, err = s.awaitReady(ctx, o)
	return result, err
}

// objects are what join makes in the member.
func (o JoinOptions) objects(s *survey) []client.Object {
	objects := memberObjects(s.owner(o.Name), o.CustomResources)
	if o.Witness != "" {
		objects = append(objects, witnessObjects(o.Witness)...)
	}
	return objects
}

// withdrawCustomResources takes away what an earlier join with custom resources gave.
func (s *survey) withdrawCustomResources(ctx context.Context) error {
	for _, obj := range []client.Object{&rbacv1.ClusterRoleBinding{}, &rbacv1.ClusterRole{}} {
		obj.SetName(CustomResourcesRole)
		if err := s.member.client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %T %s in %s: %w", obj, CustomResourcesRole, s.member.what, err)
		}
	}
	return nil
}

// writeSecret stores a token of the federation's service account, unless the one that is there still works.
func (s *survey) writeSecret(ctx context.Context, o JoinOptions) (changed bool, err error) {
	key := types.NamespacedName{Namespace: federation.SystemNamespace, Name: secretName(o.Name)}
	var have corev1.Secret
	err = s.federation.client.Get(ctx, key, &have)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading Secret %s in %s: %w", key, s.federation.what, err)
	}
	if err == nil && bytes.Equal(have.Data[secretCA], s.ca) && s.tokenWorks(ctx, o.Name, string(have.Data[secretToken])) {
		return false, nil
	}
	token, err := requestToken(ctx, s.member.core, tokenLifetime)
	if err != nil {
		return false, fmt.Errorf("%w in %s", err, s.member.what)
	}
	return s.federation.apply(ctx, clusterSecret(o.Name, token, s.ca))
}

func clusterSecret(name, token string, ca []byte) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: federation.SystemNamespace, Name: secretName(name)},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{secretToken: []byte(token)},
	}
	if len(ca) > 0 {
		secret.Data[secretCA] = ca
	}
	return secret
}

// tokenWorks says whether a stored token is still accepted; any doubt is no.
func (s *survey) tokenWorks(ctx context.Context, name, token string) bool {
	if token == "" {
		return false
	}
	c, err := connect(ctx, name, endpoint{server: s.server, id: s.clusterID, ca: string(s.ca)}, token)
	if err != nil {
		return false
	}
	defer c.close()
	answer, _ := c.probe(ctx, requestTimeout, true)
	return answer == AnswerOK
}

// clusterObject is the Cluster that join writes: what is there, overlaid with what the options say.
func (s *survey) clusterObject(o JoinOptions) *federation.Cluster {
	cluster := &federation.Cluster{ObjectMeta: metav1.ObjectMeta{Name: o.Name}}
	if s.cluster != nil {
		cluster = s.cluster.DeepCopy()
	}
	if len(o.Labels) > 0 && cluster.Labels == nil {
		cluster.Labels = map[string]string{}
	}
	maps.Copy(cluster.Labels, o.Labels)
	if o.Reference != "" {
		metav1.SetMetaDataAnnotation(&cluster.ObjectMeta, federation.AnnotationReference, o.Reference)
	}
	spec := &cluster.Spec
	spec.Server, spec.SecretName, spec.ClusterID = s.server, secretName(o.Name), s.clusterID
	if o.Provider != "" {
		spec.Provider = o.Provider
	}
	if o.Region != "" {
		spec.Region = o.Region
	}
	if len(o.Zones) > 0 {
		spec.Zones = slices.Sorted(slices.Values(o.Zones))
	}
	return cluster
}

func (s *survey) writeCluster(ctx context.Context, o JoinOptions) (changed bool, err error) {
	cluster := s.clusterObject(o)
	switch {
	case s.cluster == nil:
		changed, err = true, s.federation.client.Create(ctx, cluster, client.FieldOwner(joinManager))
	case !apiequality.Semantic.DeepEqual(s.cluster, cluster):
		changed, err = true, s.federation.client.Update(ctx, cluster, client.FieldOwner(joinManager))
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return false, fmt.Errorf("writing Cluster %s to %s: someone else changed it just now: run the command again", o.Name, s.federation.what)
	}
	if err != nil {
		return false, fmt.Errorf("writing Cluster %s to %s: %w", o.Name, s.federation.what, err)
	}
	return changed, nil
}

// awaitReady waits until the federation finds the cluster ready.
func (s *survey) awaitReady(ctx context.Context, o JoinOptions) (*federation.Cluster, error) {
	var cluster federation.Cluster
	err := await(ctx, o.Timeout, fmt.Sprintf("cluster %q to be Ready", o.Name), o.Progress, func(ctx context.Context) (string, error) {
		if err := s.federation.client.Get(ctx, types.NamespacedName{Name: o.Name}, &cluster); err != nil {
			return "", err
		}
		ready, why := condition(cluster.Status, federation.ClusterReady)
		if why == "" && !ready {
			why = "the federation has not probed it yet; its controllers do that"
		}
		return why, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w; it has joined and may still become Ready: see `kubectl describe cluster %s`, and run `kubefed join %s` again once the cause is gone",
			err, o.Name, o.Name)
	}
	return &cluster, nil
}
