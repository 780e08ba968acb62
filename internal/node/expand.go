package node

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// expand replaces $(NAME) by the variable's value. $$ is a single $; a name that is not known stays as it is written.
// https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
func expand(text string, value func(name string) (string, bool)) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '$')
		if i < 0 || i == len(text)-1 {
			return out.String() + text
		}
		out.WriteString(text[:i])
		rest := text[i+1:]
		end := strings.IndexByte(rest, ')')
		switch {
		case rest[0] == '$':
			out.WriteByte('$')
			text = rest[1:]
		case rest[0] == '(' && end > 0:
			if v, ok := value(rest[1:end]); ok {
				out.WriteString(v)
			} else {
				out.WriteString(text[i : i+end+2])
			}
			text = rest[end+1:]
		default:
			out.WriteByte('$')
			text = rest
		}
	}
}

// mount says that a path in the container is a directory or file of the host.
type mount struct{ path, host string }

// mountTable are a container's mounts, those with the longest path first.
type mountTable []mount

// newMountTable takes the host path of each volume.
func newMountTable(mounts []v1.VolumeMount, volumes map[string]string) mountTable {
	var t mountTable
	for _, m := range mounts {
		host, ok := volumes[m.Name]
		if !ok {
			continue
		}
		t = append(t, mount{path: filepath.Clean(m.MountPath), host: filepath.Join(host, m.SubPath)})
	}
	slices.SortStableFunc(t, func(a, b mount) int { return cmp.Compare(len(b.path), len(a.path)) })
	return t
}

// rewrite replaces each path in text that begins with a mount's path. What it wrote is not looked at again.
func (t mountTable) rewrite(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		m := t.at(text, i)
		if m == nil {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(m.host)
		i += len(m.path)
	}
	return out.String()
}

// at returns the mount whose path stands at text[i:] as the beginning of an absolute path.
func (t mountTable) at(text string, i int) *mount {
	if text[i] != '/' || i > 0 && isPathByte(text[i-1]) && !strings.HasSuffix(text[:i], "://") {
		return nil
	}
	for k := range t {
		rest, ok := strings.CutPrefix(text[i:], t[k].path)
		if ok && t[k].path != "/" && (rest == "" || rest[0] == '/' || !isPathByte(rest[0])) {
			return &t[k]
		}
	}
	return nil
}

func isPathByte(b byte) bool {
	return b == '/' || b == '.' || b == '-' || b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func (t mountTable) rewriteAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = t.rewrite(s)
	}
	return out
}
