// What Flux makes of our objects, by kstatus. The Kustomizations of integrations/flux need no health check expressions.
package flux

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const objects = "../../integrations/argocd/resource_customizations/ota.rollwave.dev"

// What each object of a real run comes to.
var table = map[string]status.Status{
	"OtaCloud/new":                   status.InProgressStatus,
	"OtaCloud/unauthorized":          status.FailedStatus,
	"OtaCloud/ready":                 status.CurrentStatus,
	"OtaPackage/new":                 status.InProgressStatus,
	"OtaPackage/no-cloud":            status.FailedStatus,
	"OtaPackage/unauthorized":        status.FailedStatus,
	"OtaPackage/verified":            status.CurrentStatus,
	"OtaPackage/verification-failed": status.FailedStatus,
	"OtaPackage/job-vanished":        status.FailedStatus,
	"OtaRollout/new":                 status.InProgressStatus,
	"OtaRollout/edited":              status.InProgressStatus,
	"OtaRollout/no-cloud":            status.FailedStatus,
	"OtaRollout/no-package":          status.FailedStatus,
	"OtaRollout/soaking":             status.InProgressStatus,
	"OtaRollout/stopped":             status.FailedStatus,
	"OtaRollout/gate-failed":         status.FailedStatus,
	"OtaRollout/completed":           status.CurrentStatus,
	// By readyWhen, though their devices are not done.
	"OtaRollout/accepted":      status.CurrentStatus,
	"OtaRollout/canary-passed": status.CurrentStatus,
	// A person has them stand still: that is no failure, and is waited for.
	"OtaRollout/suspended": status.InProgressStatus,
	"OtaRollout/paused":    status.InProgressStatus,
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

func TestFluxSeesWhatTheObjectsSay(t *testing.T) {
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
		if err != nil || got.Status != want {
			t.Errorf("%s: kstatus says %v, not %s (%v)", name, got, want, err)
		}
	}
}
