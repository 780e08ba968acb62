package override

import (
	_ "crypto/sha256" // algorithms of image digests
	_ "crypto/sha512"
	"fmt"
	"strings"

	"github.com/distribution/reference"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
)

// image is a reference as it was written: "nginx" has no registry and the repository "nginx", though its full name is
// docker.io/library/nginx.
type image struct{ registry, repository, tag, digest string }

// parseImage parses an image reference (distribution/reference grammar).
func parseImage(text string) (image, error) {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return image{}, fmt.Errorf("image %q can't be read: %w: correct the image of the object", text, err)
	}
	var i image
	if d, ok := named.(reference.Digested); ok {
		i.digest = d.Digest().String()
	}
	if t, ok := named.(reference.Tagged); ok {
		i.tag = t.Tag()
	}
	i.repository = text
	if i.digest != "" {
		i.repository = strings.TrimSuffix(i.repository, "@"+i.digest)
	}
	if i.tag != "" {
		i.repository = strings.TrimSuffix(i.repository, ":"+i.tag)
	}
	if first, rest, found := strings.Cut(i.repository, "/"); found && isRegistry(first) {
		i.registry, i.repository = first, rest
	}
	return i, nil
}

// isRegistry says whether the first part of a reference is a registry, as container runtimes do.
func isRegistry(first string) bool {
	return strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first
}

func (i image) String() string {
	var b strings.Builder
	if i.registry != "" {
		b.WriteString(i.registry + "/")
	} else if first, _, found := strings.Cut(i.repository, "/"); found && isRegistry(first) {
		b.WriteString("docker.io/") // else the repository would be read as a registry
	}
	b.WriteString(i.repository)
	if i.tag != "" {
		b.WriteString(":" + i.tag)
	}
	if i.digest != "" {
		b.WriteString("@" + i.digest)
	}
	return b.String()
}

// replaceImage replaces parts of a reference; those that the override lacks stay as they were written.
func replaceImage(text string, o *federation.ImageOverride) (string, error) {
	i, err := parseImage(text)
	if err != nil {
		return "", err
	}
	if o.Registry != "" {
		i.registry = o.Registry
	}
	if o.Repository != "" {
		i.repository = o.Repository
	}
	if o.Tag != "" {
		i.tag, i.digest = o.Tag, ""
	}
	if o.Digest != "" {
		i.tag, i.digest = "", o.Digest
	}
	out := i.String()
	if _, err := reference.ParseNormalizedNamed(out); err != nil {
		return "", fmt.Errorf("image %q would become %q, which can't be read: %w: correct the override", text, out, err)
	}
	return out, nil
}

// checkImage says whether an override fits any image at all.
func checkImage(o *federation.ImageOverride) error {
	_, err := replaceImage("registry.example.com/example:1", o)
	return err
}
