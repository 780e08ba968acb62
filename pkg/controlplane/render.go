package controlplane

import (
	"bytes"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// RenderYAML prints objects exactly as Init applies them, as a stream of YAML documents.
func RenderYAML(objects []client.Object) ([]byte, error) {
	var out bytes.Buffer
	for _, obj := range objects {
		u, err := applyForm(obj)
		if err != nil {
			return nil, err
		}
		document, err := yaml.Marshal(u.Object)
		if err != nil {
			return nil, fmt.Errorf("printing %s: %w", describe(obj), err)
		}
		out.WriteString("---\n")
		out.Write(document)
	}
	return out.Bytes(), nil
}

// RenderList is all objects as one Kubernetes List, for printing as JSON.
func RenderList(objects []client.Object) (map[string]any, error) {
	items := make([]any, 0, len(objects))
	for _, obj := range objects {
		u, err := applyForm(obj)
		if err != nil {
			return nil, err
		}
		items = append(items, u.Object)
	}
	return map[string]any{"apiVersion": "v1", "kind": "List", "items": items}, nil
}
