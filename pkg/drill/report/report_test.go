package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	federation "kubefed.dev/kubefed/pkg/apis/federation/v1alpha1"
	"kubefed.dev/kubefed/pkg/drill/report"
)

var update = flag.Bool("update", false, "write what is printed into testdata")

var zero = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(seconds float64) metav1.MicroTime {
	return metav1.MicroTime{Time: zero.Add(time.Duration(seconds * float64(time.Second)))}
}

func on(seconds float64) *metav1.MicroTime { t := at(seconds); return &t }

// finished is a drill with something in every field that is reported.
func finished() *federation.FailoverDrill {
	event := func(seconds float64, what, cluster, service, message string) federation.DrillEvent {
		return federation.DrillEvent{Time: at(seconds), Event: what, Cluster: cluster, Service: service, Message: message}
	}
	return &federation.FailoverDrill{
		ObjectMeta: metav1.ObjectMeta{Name: "monday"},
		Spec:       federation.FailoverDrillSpec{Mode: federation.DrillKill, Targets: []federation.DrillTarget{{Cluster: "gondor"}}},
		Status: federation.FailoverDrillStatus{
			Phase: federation.DrillCompleted, Run: 1, Clusters: []federation.DrillCluster{{Name: "gondor"}},
			Times:  federation.DrillTimes{Started: on(-5), Injecting: on(-0.1), Injected: on(0), Withdrawn: on(6.2), Replaced: on(21), Restoring: on(60), Restored: on(70), Finished: on(75)},
			Before: &federation.DrillBefore{Objects: 1, Replicas: 3, Ready: 9},
			Plan:   &federation.DrillPlan{Survives: true, Replicas: 3},
			Timeline: []federation.DrillEvent{
				event(-5, "Started", "", "", "Kill of gondor"), event(0, "Injected", "gondor", "", "its processes were ended"),
				event(0.1, "TrafficFailing", "", "shop/web", "connection refused"), event(4.4, "Detected", "gondor", "", "ClusterNotReachable: <no route> | x"),
				event(6.2, "DNSWithdrawn", "gondor", "", ""), event(9.1, "Verdict", "gondor", "", "Down"), event(10.9, "TrafficRecovered", "", "shop/web", ""),
				event(21, "ReplacementReady", "", "", ""), event(60, "Restoring", "", "", ""), event(70, "Restored", "", "", ""), event(75, "Finished", "", "", "Passed"),
			},
			Services: []federation.DrillServiceResult{{
				Namespace: "shop", Name: "web", Requests: 800, Failed: 36, RecoveryTime: &metav1.Duration{Duration: 10900 * time.Millisecond},
				FirstFailure: on(0.1), LastFailure: on(10.9), LastError: "connection refused", Outages: []federation.DrillOutage{{From: at(0.1), To: at(10.9), Failed: 36}},
			}},
			Moved: 3, Moves: []federation.DrillMove{{Kind: "Deployment", Namespace: "shop", Name: "web", Lost: 3, Ready: 9, Moved: 3}},
			Objectives: []federation.DrillObjective{{Name: "recoveryTime", Service: "shop/web", Want: "<= 30s", Got: "10.9s", Met: true}, {Name: "failedLate", Service: "shop/web", Want: "<= 0", Got: "0", Met: true}},
			Conditions: []metav1.Condition{{Type: federation.DrillPassed, Status: "True", Reason: "ObjectivesMet", Message: "2 objectives met"}},
			History:    []federation.DrillRun{{Run: 1, Finished: metav1.Time{Time: zero.Add(75 * time.Second)}, Result: "Passed", Requests: 800, Failed: 36, Moved: 3, RecoveryTime: &metav1.Duration{Duration: 10900 * time.Millisecond}, Message: "2 objectives met"}},
		},
	}
}

func TestReports(t *testing.T) {
	for name, write := range map[string]func(io.Writer, *federation.FailoverDrill) error{
		"report.txt":  func(w io.Writer, d *federation.FailoverDrill) error { report.Table(w, d); return nil },
		"report.md":   func(w io.Writer, d *federation.FailoverDrill) error { report.Markdown(w, d); return nil },
		"report.html": report.HTML,
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := write(&out, finished()); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v: run go test -update", err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestHTMLNeedsNothingElse: no scripts, nothing loaded, and the drawing is well-formed.
func TestHTMLNeedsNothingElse(t *testing.T) {
	var out bytes.Buffer
	if err := report.HTML(&out, finished()); err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []string{"<script", "http://", "https://", "url(", "src=", "<link", "NaN", "ZgotmplZ"} {
		if strings.Contains(out.String(), forbidden) {
			t.Errorf("the page has %q", forbidden)
		}
	}
	drawing := out.String()[strings.Index(out.String(), "<svg"):]
	d := xml.NewDecoder(strings.NewReader(drawing[:strings.Index(drawing, "</svg>")+6]))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the drawing: %v", err)
		}
	}
}

// TestEveryStage: what was only begun, refused, or has no Services is reported as well.
func TestEveryStage(t *testing.T) {
	begun := &federation.FailoverDrill{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Spec: federation.FailoverDrillSpec{Mode: federation.DrillDNS, Targets: []federation.DrillTarget{{Region: "us-east-1"}}}}
	bare := finished()
	bare.Status.Services, bare.Status.Times.Restoring, bare.Status.History = nil, nil, nil
	for _, d := range []*federation.FailoverDrill{begun, bare} {
		var text, page bytes.Buffer
		report.Table(&text, d)
		report.Markdown(&text, d)
		if err := report.HTML(&page, d); err != nil {
			t.Error(err)
		}
		if !strings.Contains(text.String(), report.What(d)) {
			t.Errorf("not told what it was: %s", text.String())
		}
	}
}
