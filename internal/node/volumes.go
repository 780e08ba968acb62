package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// volumeSet is a pod's volumes as host directories. It is used by one goroutine at a time.
type volumeSet struct {
	client kubernetes.Interface
	dir    string // of the pod
	// written has the fingerprint of each payload on disk.
	written map[string]string
	tokens  map[string]issuedToken
}

type issuedToken struct {
	token string
	renew time.Time
}

func newVolumeSet(client kubernetes.Interface, dir string) *volumeSet {
	return &volumeSet{client: client, dir: dir, written: map[string]string{}, tokens: map[string]issuedToken{}}
}

// mount makes all volumes and returns the host path of each.
func (v *volumeSet) mount(ctx context.Context, s setting) (paths map[string]string, renew time.Time, err error) {
	paths = map[string]string{}
	for i := range s.pod.Spec.Volumes {
		volume := &s.pod.Spec.Volumes[i]
		path, err := v.path(ctx, s.pod, volume)
		if err != nil {
			return nil, renew, fmt.Errorf("mounting volume %s: %w", volume.Name, err)
		}
		paths[volume.Name] = path
	}
	renew, err = v.refresh(ctx, s)
	return paths, renew, err
}

// refresh writes the payloads that have changed and says when to come back even if nothing changes (zero: never).
func (v *volumeSet) refresh(ctx context.Context, s setting) (renew time.Time, err error) {
	issue := func(pod *v1.Pod, audience string, seconds int64) (string, time.Time, error) {
		return v.issue(ctx, pod, audience, seconds)
	}
	for i := range s.pod.Spec.Volumes {
		volume := &s.pod.Spec.Volumes[i]
		if !hasPayload(volume) {
			continue
		}
		files, next, err := s.payload(volume, issue)
		if err != nil {
			return renew, fmt.Errorf("mounting volume %s: %w", volume.Name, err)
		}
		if !next.IsZero() && (renew.IsZero() || next.Before(renew)) {
			renew = next
		}
		print := files.fingerprint()
		if before, ok := v.written[volume.Name]; ok && before == print {
			continue
		}
		if err := files.publish(v.own(volume.Name)); err != nil {
			return renew, fmt.Errorf("writing volume %s: %w", volume.Name, err)
		}
		v.written[volume.Name] = print
	}
	return renew, nil
}

// own is the directory of a volume that lives as long as its pod.
func (v *volumeSet) own(name string) string { return filepath.Join(v.dir, "v", name) }

func (v *volumeSet) path(ctx context.Context, pod *v1.Pod, volume *v1.Volume) (string, error) {
	switch {
	case hasPayload(volume):
		return v.own(volume.Name), nil
	case volume.EmptyDir != nil:
		return v.own(volume.Name), os.MkdirAll(v.own(volume.Name), 0o777)
	case volume.HostPath != nil:
		return volume.HostPath.Path, ensureHostPath(volume.HostPath)
	case volume.PersistentVolumeClaim != nil:
		return v.claimed(ctx, pod.Namespace, volume.PersistentVolumeClaim.ClaimName)
	}
	return "", errors.New("its kind is not supported by local clusters")
}

func ensureHostPath(h *v1.HostPathVolumeSource) error {
	if kind := ptr.Deref(h.Type, v1.HostPathUnset); kind != v1.HostPathUnset && kind != v1.HostPathDirectoryOrCreate {
		_, err := os.Stat(h.Path)
		return err
	}
	_, err := os.Stat(h.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(h.Path, 0o755)
	}
	return err
}

// claimed is the directory of a claim's persistent volume.
func (v *volumeSet) claimed(ctx context.Context, namespace, claim string) (string, error) {
	c, err := v.client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, claim, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if c.Status.Phase != v1.ClaimBound {
		return "", fmt.Errorf("claim %s is not bound yet", claim)
	}
	volume, err := v.client.CoreV1().PersistentVolumes().Get(ctx, c.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	switch {
	case volume.Spec.HostPath != nil:
		return volume.Spec.HostPath.Path, os.MkdirAll(volume.Spec.HostPath.Path, 0o777)
	case volume.Spec.Local != nil:
		return volume.Spec.Local.Path, nil
	}
	return "", fmt.Errorf("persistent volume %s is not a directory of this machine", volume.Name)
}

// issue returns a token that has at least a fifth of its life before it.
func (v *volumeSet) issue(ctx context.Context, pod *v1.Pod, audience string, seconds int64) (string, time.Time, error) {
	key := fmt.Sprintf("%s/%d", audience, seconds)
	if t, ok := v.tokens[key]; ok && time.Now().Before(t.renew) {
		return t.token, t.renew, nil
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: ptr.To(seconds),
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if audience != "" {
		request.Spec.Audiences = []string{audience}
	}
	answer, err := v.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("requesting a token of service account %s: %w", pod.Spec.ServiceAccountName, err)
	}
	now := time.Now()
	// The time asked for counts, not a longer one that the server gave: kubelets renew by it, too.
	life := min(time.Duration(seconds)*time.Second, answer.Status.ExpirationTimestamp.Sub(now))
	t := issuedToken{answer.Status.Token, now.Add(life * 4 / 5)}
	v.tokens[key] = t
	return t.token, t.renew, nil
}

// mirror makes root show each mount at its path in the container, for programs with paths that are built in. A mount
// inside another one's directory is left out: its place belongs to the other volume.
func (t mountTable) mirror(root string) error {
	if err := os.RemoveAll(root); err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for i := len(t) - 1; i >= 0; i-- { // outer ones first
		if t[:].inside(i) {
			continue
		}
		link := filepath.Join(root, t[i].path)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(t[i].host, link); err != nil {
			return err
		}
	}
	return nil
}

func (t mountTable) inside(i int) bool {
	for k := range t {
		if rel, err := filepath.Rel(t[k].path, t[i].path); k != i && err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}
