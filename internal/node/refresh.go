package node

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// keepFresh refreshes the volumes whenever an object behind them changes, and tokens before they expire, until ctx
// ends.
func (v *volumeSet) keepFresh(ctx context.Context, s setting, renew time.Time) {
	changed := make(chan struct{}, 1)
	finish := watchSources(ctx, v.client, s.pod, changed)
	defer finish()
	for {
		timer := time.NewTimer(untilRenewal(renew))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
		next, err := v.refresh(ctx, s)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			klog.FromContext(ctx).Info("refreshing volumes will be tried again", "pod", klog.KObj(s.pod), "error", err.Error())
			renew = time.Now().Add(10 * time.Second)
		default:
			renew = next
		}
	}
}

func untilRenewal(at time.Time) time.Duration {
	if at.IsZero() {
		return 24 * time.Hour // nothing expires
	}
	return time.Until(at)
}

// watchSources signals changed when one of the pod's config maps or secrets changes. finish returns when all watches
// have ended, which they do with ctx.
func watchSources(ctx context.Context, client kubernetes.Interface, pod *v1.Pod, changed chan<- struct{}) (finish func()) {
	w := watchedBy(pod)
	var ends []<-chan struct{}
	watch := func(resource string, example runtime.Object, name string) {
		end := make(chan struct{})
		ends = append(ends, end)
		go func() {
			defer close(end)
			watchOne(ctx, client, resource, example, pod.Namespace, name, changed)
		}()
	}
	for name := range w.configMaps {
		watch("configmaps", &v1.ConfigMap{}, name)
	}
	for name := range w.secrets {
		watch("secrets", &v1.Secret{}, name)
	}
	return func() {
		for _, end := range ends {
			<-end
		}
	}
}

func watchOne(ctx context.Context, client kubernetes.Interface, resource string, example runtime.Object, namespace, name string, changed chan<- struct{}) {
	source := cache.NewFilteredListWatchFromClient(client.CoreV1().RESTClient(), resource, namespace, func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	})
	signal := func() {
		select {
		case changed <- struct{}{}:
		default: // a signal is waiting already
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: source,
		ObjectType:    example,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { signal() },
			UpdateFunc: func(_, _ any) { signal() },
			DeleteFunc: func(any) { signal() },
		},
	})
	informer.RunWithContext(ctx)
}
