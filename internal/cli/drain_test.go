package cli

import (
	"strings"
	"testing"
)

func TestDrainRefusedBeforeAnythingIsAsked(t *testing.T) {
	for line, want := range map[string]string{
		"cordon":                       "say which clusters: by name, --zone, --region or --provider",
		"uncordon a -o xml":            "--output=xml: use json or yaml",
		"drain":                        "say which clusters: by name, --zone, --region or --provider",
		"drain a --timeout=-5s":        "--timeout=-5s: must not be negative; 0 waits as long as it takes",
		"drain a --context=nowhere":    "no such context in the kubeconfig",
		"cordon --region=x --zone=y=z": "the kubeconfig has no current context",
	} {
		t.Run(line, func(t *testing.T) {
			code, out, errs := typed(t, strings.Fields(line)...)
			if code == ExitOK || out != "" || !strings.Contains(errs, want) {
				t.Errorf("exit code %d, printed %q, error %q, want %q", code, out, errs, want)
			}
		})
	}
}
