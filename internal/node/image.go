package node

import (
	"strings"

	v1 "k8s.io/api/core/v1"
)

// imageRepository is an image reference without tag and digest.
func imageRepository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(image, ':'); colon > strings.LastIndexByte(image, '/') {
		return image[:colon]
	}
	return image
}

// imageTag is an image reference's tag, "latest" where it names neither tag nor digest.
func imageTag(image string) string {
	name, digest, hasDigest := strings.Cut(image, "@")
	if tag := strings.TrimPrefix(name[len(imageRepository(name)):], ":"); tag != "" {
		return tag
	}
	if hasDigest {
		return digest
	}
	return "latest"
}

// containerImage is the image of the container or init container of that name.
func containerImage(pod *v1.Pod, name string) string {
	for _, c := range append(pod.Spec.InitContainers[:len(pod.Spec.InitContainers):len(pod.Spec.InitContainers)], pod.Spec.Containers...) {
		if c.Name == name {
			return c.Image
		}
	}
	return ""
}
