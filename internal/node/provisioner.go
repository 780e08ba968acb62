package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

const (
	// storageClassName is the default StorageClass of local clusters.
	storageClassName = "local"
	provisionerName  = "kubefed.dev/local"

	provisionedBy      = "pv.kubernetes.io/provisioned-by"
	storageProvisioner = "volume.kubernetes.io/storage-provisioner"
	defaultClass       = "storageclass.kubernetes.io/is-default-class"
)

// provisioner makes a directory for each claim of the default StorageClass, and removes it with its volume. The
// persistent-volume controller binds the two.
type provisioner struct {
	client  kubernetes.Interface
	dir     string
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	// Names of volumes have no namespace, those of claims have one.
	queue *queue
}

func newProvisioner(client kubernetes.Interface, dir string, f informers.SharedInformerFactory) *provisioner {
	return &provisioner{
		client: client, dir: filepath.Join(dir, "volumes"), queue: newQueue("claims"),
		claims:  f.Core().V1().PersistentVolumeClaims().Lister(),
		volumes: f.Core().V1().PersistentVolumes().Lister(),
	}
}

func (p *provisioner) subscriptions(f informers.SharedInformerFactory) []subscription {
	return []subscription{
		{f.Core().V1().PersistentVolumeClaims().Informer(), p.queue.handler()},
		{f.Core().V1().PersistentVolumes().Informer(), p.queue.handler()},
	}
}

func (p *provisioner) run(ctx context.Context) {
	p.ensureClass(ctx)
	p.queue.run(ctx, 1, p.reconcile)
}

// ensureClass makes the StorageClass once; a user may change or replace it. Claims wait for it, so it is worth a log
// line, not more, if it can't be made.
func (p *provisioner) ensureClass(ctx context.Context) {
	_, err := p.client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: storageClassName, Annotations: map[string]string{defaultClass: "true"}},
		Provisioner:       provisionerName,
		ReclaimPolicy:     ptr.To(v1.PersistentVolumeReclaimDelete),
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingImmediate),
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) && ctx.Err() == nil {
		klog.FromContext(ctx).Error(err, "creating the default StorageClass; claims need one that is created by hand", "name", storageClassName)
	}
}

func (p *provisioner) reconcile(ctx context.Context, key cache.ObjectName) error {
	if key.Namespace == "" {
		return p.reclaim(ctx, key.Name)
	}
	return p.provision(ctx, key)
}

func (p *provisioner) provision(ctx context.Context, key cache.ObjectName) error {
	claim, err := p.claims.PersistentVolumeClaims(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil || !wantsVolume(claim) {
		return err
	}
	volume := volumeFor(claim, p.dir)
	// Pods write with the rights of this program: its user alone has to be able to read.
	if err := os.MkdirAll(volume.Spec.HostPath.Path, 0o700); err != nil {
		return fmt.Errorf("making the directory of claim %s: %w", key, err)
	}
	_, err = p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("provisioning claim %s: %w", key, err)
	}
	return nil
}

// wantsVolume: the persistent-volume controller names us in an annotation once the claim's class is known.
func wantsVolume(c *v1.PersistentVolumeClaim) bool {
	return c.Annotations[storageProvisioner] == provisionerName && c.Spec.VolumeName == "" &&
		c.Status.Phase != v1.ClaimBound && c.DeletionTimestamp == nil
}

func volumeFor(c *v1.PersistentVolumeClaim, dir string) *v1.PersistentVolume {
	name := "pvc-" + string(c.UID)
	return &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisionerName}},
		Spec: v1.PersistentVolumeSpec{
			Capacity:                      v1.ResourceList{v1.ResourceStorage: c.Spec.Resources.Requests[v1.ResourceStorage]},
			AccessModes:                   c.Spec.AccessModes,
			VolumeMode:                    c.Spec.VolumeMode,
			StorageClassName:              ptr.Deref(c.Spec.StorageClassName, ""),
			PersistentVolumeReclaimPolicy: v1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: filepath.Join(dir, name)}},
			ClaimRef: &v1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: c.Name, UID: c.UID,
			},
		},
	}
}

// reclaim removes a volume whose claim is gone, with its directory.
func (p *provisioner) reclaim(ctx context.Context, name string) error {
	volume, err := p.volumes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil || !reclaimable(volume) {
		return err
	}
	if path := volume.Spec.HostPath.Path; strings.HasPrefix(path, p.dir+string(filepath.Separator)) {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing the directory of volume %s: %w", name, err)
		}
	}
	err = p.client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(volume.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("removing volume %s: %w", name, err)
	}
	return nil
}

func reclaimable(v *v1.PersistentVolume) bool {
	return v.Annotations[provisionedBy] == provisionerName && v.Status.Phase == v1.VolumeReleased && v.DeletionTimestamp == nil &&
		v.Spec.PersistentVolumeReclaimPolicy == v1.PersistentVolumeReclaimDelete && v.Spec.HostPath != nil
}
