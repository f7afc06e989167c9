// What Flux makes of our objects: by kstatus, and by the health check expressions of integrations/flux.
package flux

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	example = "../../integrations/flux/kustomizations.yaml"
	objects = "../../integrations/argocd/resource_customizations/ota.rollwave.dev"
)

// What each object of a real run comes to: by kstatus, and by the expressions if there are some for its kind.
var table = map[string][2]status.Status{
	"OtaCloud/new":            {status.InProgressStatus, ""},
	"OtaCloud/unauthorized":   {status.FailedStatus, ""},
	"OtaCloud/ready":          {status.CurrentStatus, ""},
	"OtaPackage/new":          {status.InProgressStatus, ""},
	"OtaPackage/no-cloud":     {status.FailedStatus, ""},
	"OtaPackage/unauthorized": {status.FailedStatus, ""},
	"OtaPackage/verified":     {status.CurrentStatus, ""},
	"OtaRollout/new":          {status.InProgressStatus, status.InProgressStatus},
	"OtaRollout/edited":       {status.InProgressStatus, status.InProgressStatus},
	"OtaRollout/no-cloud":     {status.FailedStatus, status.FailedStatus},
	"OtaRollout/no-package":   {status.FailedStatus, status.FailedStatus},
	"OtaRollout/soaking":      {status.InProgressStatus, status.InProgressStatus},
	"OtaRollout/stopped":      {status.FailedStatus, status.FailedStatus},
	"OtaRollout/gate-failed":  {status.FailedStatus, status.FailedStatus},
	"OtaRollout/completed":    {status.CurrentStatus, status.CurrentStatus},
	// A person suspended it: kstatus takes that for a failure, the expressions wait for the person.
	"OtaRollout/suspended": {status.FailedStatus, status.InProgressStatus},
}

// Whole numbers stay whole, as in an answer of an API server.
func read(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var object unstructured.Unstructured
	text, err = yaml.YAMLToJSON(text)
	if err == nil {
		err = object.UnmarshalJSON(text)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &object
}

func evaluators(t *testing.T) map[string]*cel.StatusEvaluator {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*cel.StatusEvaluator{}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var object struct {
			Spec struct {
				HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		for _, check := range object.Spec.HealthCheckExprs {
			evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
			if err != nil {
				t.Fatal(err)
			}
			found[check.Kind] = evaluator
		}
	}
	if len(found) != 1 {
		t.Fatalf("expressions for %d kinds", len(found))
	}
	return found
}

func TestFluxSeesWhatTheObjectsSay(t *testing.T) {
	evaluators := evaluators(t)
	files, _ := filepath.Glob(objects + "/*/testdata/*.yaml")
	if len(files) != len(table) {
		t.Errorf("%d files, %d rows", len(files), len(table))
	}
	for _, file := range files {
		kind := filepath.Base(filepath.Dir(filepath.Dir(file)))
		name := kind + "/" + strings.TrimSuffix(filepath.Base(file), ".yaml")
		object := read(t, file)
		want, known := table[name]
		if !known {
			t.Errorf("%s: no row says what it comes to", name)
			continue
		}
		got, err := status.Compute(object)
		if err != nil || got.Status != want[0] {
			t.Errorf("%s: kstatus says %v, not %s (%v)", name, got, want[0], err)
		}
		evaluator := evaluators[kind]
		if evaluator == nil {
			continue
		}
		got, err = evaluator.Evaluate(context.Background(), object)
		if err != nil || got.Status != want[1] {
			t.Errorf("%s: the expressions say %v, not %s (%v)", name, got, want[1], err)
		}
	}
}
