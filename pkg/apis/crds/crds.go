// Package crds holds the CustomResourceDefinitions of the federation's own kinds, generated from pkg/apis by
// `make generate`.
package crds

import "embed"

// Files are the definitions, one YAML file each.
//
//go:embed *.yaml
var Files embed.FS
