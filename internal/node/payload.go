package node

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"time"

	v1 "k8s.io/api/core/v1"
)

// payload is what a configMap, secret, downwardAPI or projected volume holds: files by path relative to the volume.
type payload map[string]file

type file struct {
	data []byte
	mode fs.FileMode
}

// tokenIssuer issues tokens of the pod's service account. The token may be one that was issued before.
type tokenIssuer func(pod *v1.Pod, audience string, seconds int64) (token string, renew time.Time, err error)

// watched names the objects that a pod's payloads come from.
type watched struct{ configMaps, secrets map[string]bool }

// hasPayload says whether the volume is of a kind that payload knows.
func hasPayload(v *v1.Volume) bool {
	return v.ConfigMap != nil || v.Secret != nil || v.DownwardAPI != nil || v.Projected != nil
}

// payload gathers a volume's files. renew is when they have to be gathered again even if no object changes (zero:
// never).
func (s setting) payload(v *v1.Volume, issue tokenIssuer) (files payload, renew time.Time, err error) {
	files = payload{}
	switch {
	case v.ConfigMap != nil:
		err = s.addConfigMap(files, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional, mode(v.ConfigMap.DefaultMode))
	case v.Secret != nil:
		err = s.addSecret(files, v.Secret.SecretName, v.Secret.Items, v.Secret.Optional, mode(v.Secret.DefaultMode))
	case v.DownwardAPI != nil:
		err = s.addDownward(files, v.DownwardAPI.Items, mode(v.DownwardAPI.DefaultMode))
	case v.Projected != nil:
		return s.projected(v.Projected, issue)
	}
	return files, time.Time{}, err
}

func (s setting) projected(p *v1.ProjectedVolumeSource, issue tokenIssuer) (files payload, renew time.Time, err error) {
	files = payload{}
	m := mode(p.DefaultMode)
	for _, source := range p.Sources {
		switch {
		case source.ConfigMap != nil:
			err = s.addConfigMap(files, source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional, m)
		case source.Secret != nil:
			err = s.addSecret(files, source.Secret.Name, source.Secret.Items, source.Secret.Optional, m)
		case source.DownwardAPI != nil:
			err = s.addDownward(files, source.DownwardAPI.Items, m)
		case source.ServiceAccountToken != nil:
			t := source.ServiceAccountToken
			var token string
			var next time.Time
			token, next, err = issue(s.pod, t.Audience, seconds(t.ExpirationSeconds))
			files[t.Path] = file{[]byte(token), m}
			if renew.IsZero() || next.Before(renew) {
				renew = next
			}
		default:
			err = fmt.Errorf("a projected source is not supported by local clusters")
		}
		if err != nil {
			return nil, renew, err
		}
	}
	return files, renew, nil
}

func seconds(s *int64) int64 {
	if s == nil {
		return 3600
	}
	return *s
}

func mode(m *int32) fs.FileMode {
	if m == nil {
		return 0o644
	}
	return fs.FileMode(*m)
}

func (s setting) addConfigMap(files payload, name string, items []v1.KeyToPath, optional *bool, m fs.FileMode) error {
	object, err := s.reader.configMap(s.pod.Namespace, name)
	if err != nil {
		return unlessOptional(err, optional)
	}
	data := make(map[string][]byte, len(object.Data)+len(object.BinaryData))
	for k, v := range object.Data {
		data[k] = []byte(v)
	}
	maps.Copy(data, object.BinaryData)
	return addItems(files, "config map "+name, data, items, optional, m)
}

func (s setting) addSecret(files payload, name string, items []v1.KeyToPath, optional *bool, m fs.FileMode) error {
	object, err := s.reader.secret(s.pod.Namespace, name)
	if err != nil {
		return unlessOptional(err, optional)
	}
	return addItems(files, "secret "+name, object.Data, items, optional, m)
}

// addItems adds all keys, or where items are given only those.
func addItems(files payload, source string, data map[string][]byte, items []v1.KeyToPath, optional *bool, m fs.FileMode) error {
	if len(items) == 0 {
		for k, v := range data {
			files[k] = file{v, m}
		}
		return nil
	}
	for _, item := range items {
		value, ok := data[item.Key]
		switch {
		case ok && item.Mode != nil:
			files[item.Path] = file{value, mode(item.Mode)}
		case ok:
			files[item.Path] = file{value, m}
		case optional == nil || !*optional:
			return fmt.Errorf("%s has no key %q", source, item.Key)
		}
	}
	return nil
}

func (s setting) addDownward(files payload, items []v1.DownwardAPIVolumeFile, m fs.FileMode) error {
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = s.field(item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = resourceField(s.pod, &v1.Container{}, item.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		files[item.Path] = file{[]byte(value), m}
	}
	return nil
}

// watchedBy lists the objects whose change changes a payload of the pod.
func watchedBy(pod *v1.Pod) watched {
	w := watched{map[string]bool{}, map[string]bool{}}
	for _, v := range pod.Spec.Volumes {
		if v.ConfigMap != nil {
			w.configMaps[v.ConfigMap.Name] = true
		}
		if v.Secret != nil {
			w.secrets[v.Secret.SecretName] = true
		}
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ConfigMap != nil {
				w.configMaps[s.ConfigMap.Name] = true
			}
			if s.Secret != nil {
				w.secrets[s.Secret.Name] = true
			}
		}
	}
	return w
}

// fingerprint is equal for payloads that need not be written again.
func (p payload) fingerprint() string {
	type entry struct {
		Data []byte
		Mode fs.FileMode
	}
	all := make(map[string]entry, len(p))
	for path, f := range p {
		all[path] = entry{f.data, f.mode}
	}
	text, _ := json.Marshal(all) // cannot go wrong: strings, bytes and numbers
	return string(text)
}
