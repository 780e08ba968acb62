package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// readManifests reads YAML or JSON documents from a file or, for "-", from in. Lists are taken apart.
func readManifests(path string, in io.Reader) ([]*unstructured.Unstructured, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, &ExitError{ExitUsage, fmt.Errorf("reading manifests: %w", err)}
		}
		defer file.Close()
		in = file
	}
	var manifests []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bufio.NewReader(in), 4096); ; {
		obj := &unstructured.Unstructured{}
		if err := d.Decode(&obj.Object); errors.Is(err, io.EOF) {
			return manifests, nil
		} else if err != nil {
			return nil, &ExitError{ExitUsage, fmt.Errorf("reading manifests from %s: %w", path, err)}
		}
		if len(obj.Object) == 0 {
			continue
		}
		if obj.GetKind() == "" || obj.GetAPIVersion() == "" {
			return nil, &ExitError{ExitUsage, fmt.Errorf("reading manifests from %s: a document has no apiVersion and kind", path)}
		}
		if !obj.IsList() {
			manifests = append(manifests, obj)
			continue
		}
		err := obj.EachListItem(func(item runtime.Object) error {
			if one, ok := item.(*unstructured.Unstructured); ok {
				manifests = append(manifests, one)
			}
			return nil
		})
		if err != nil {
			return nil, &ExitError{ExitUsage, fmt.Errorf("reading manifests from %s: %w", path, err)}
		}
	}
}
