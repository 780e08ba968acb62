package node

import (
	"context"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// liveReader asks the API server. Few pods are processes, and they ask when they start and when something changed.
type liveReader struct {
	ctx    context.Context
	client kubernetes.Interface
}

func (r liveReader) configMap(namespace, name string) (*v1.ConfigMap, error) {
	return r.client.CoreV1().ConfigMaps(namespace).Get(r.ctx, name, metav1.GetOptions{})
}

func (r liveReader) secret(namespace, name string) (*v1.Secret, error) {
	return r.client.CoreV1().Secrets(namespace).Get(r.ctx, name, metav1.GetOptions{})
}

func unlessOptional(err error, optional *bool) error {
	if optional != nil && *optional && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
