// Runs the actions of integrations/argocd in Argo CD's own evaluator, as its API server runs them: without libraries.
package argocd

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
	"time"

	appv1 "github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// A request has the time at which it was made; the tables have this one. Argo CD's own test of what it ships needs the same for
// these kinds in its normalizer (custom_actions_test.go).
const anyTime = "2026-01-01T00:00:00Z"

type definition struct {
	Name   string `json:"name"`
	Action string `json:"action.lua"`
}

func text(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The value of resource.customizations.actions.GROUP_KIND.
func actionsOf(t *testing.T, healthScript string) string {
	t.Helper()
	folder := filepath.Join(filepath.Dir(healthScript), "actions")
	found, _ := filepath.Glob(filepath.Join(folder, "*", "action.lua"))
	sort.Strings(found)
	definitions := []definition{}
	for _, script := range found {
		definitions = append(definitions, definition{filepath.Base(filepath.Dir(script)), text(t, script)})
	}
	value, err := yaml.Marshal(map[string]any{
		"discovery.lua": text(t, filepath.Join(folder, "discovery.lua")), "definitions": definitions,
	})
	if err != nil || len(definitions) == 0 {
		t.Fatalf("%s: %v", folder, err)
	}
	return string(value)
}

type actionTests struct {
	DiscoveryTests []struct {
		InputPath string                 `json:"inputPath"`
		Result    []appv1.ResourceAction `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
}

func TestActionsAreOfferedAndDoWhatTheTableSays(t *testing.T) {
	each(t, func(t *testing.T, script, _ string) {
		group, kind := kindOf(script)
		folder := filepath.Join(filepath.Dir(script), "actions")
		overrides := map[string]appv1.ResourceOverride{group + "/" + kind: {Actions: actionsOf(t, script)}}
		vm := lua.VM{ResourceOverrides: overrides}
		var table actionTests
		read(t, filepath.Join(folder, "action_test.yaml"), &table)
		for _, test := range table.DiscoveryTests {
			var object unstructured.Unstructured
			read(t, filepath.Join(folder, test.InputPath), &object.Object)
			scripts, err := vm.GetResourceActionDiscovery(&object)
			if err != nil {
				t.Fatal(err)
			}
			got, err := vm.ExecuteResourceActionDiscovery(&object, scripts)
			if err != nil {
				t.Fatalf("%s: %v", test.InputPath, err)
			}
			if !reflect.DeepEqual(sorted(got), sorted(test.Result)) {
				t.Errorf("%s: %+v, not %+v", test.InputPath, got, test.Result)
			}
		}
		tested := map[string]bool{}
		for _, test := range table.ActionTests {
			tested[test.Action] = true
			var object unstructured.Unstructured
			read(t, filepath.Join(folder, test.InputPath), &object.Object)
			before := object.DeepCopy()
			action, err := vm.GetResourceAction(&object, test.Action)
			if err != nil {
				t.Fatal(err)
			}
			got, err := vm.ExecuteResourceAction(&object, action.ActionLua, nil)
			if err != nil || len(got) != 1 || got[0].K8SOperation != lua.PatchOperation {
				t.Fatalf("%s: %v, %v", test.Action, got, err)
			}
			check(t, filepath.Join(folder, test.ExpectedOutputPath), before, got[0].UnstructuredObj)
		}
		found, _ := filepath.Glob(filepath.Join(folder, "*", "action.lua"))
		for _, script := range found {
			if name := filepath.Base(filepath.Dir(script)); !tested[name] {
				t.Errorf("%s: no test says what it does", name)
			}
		}
	})
}

func sorted(actions []appv1.ResourceAction) []appv1.ResourceAction {
	sort.Slice(actions, func(i, j int) bool { return actions[i].Name < actions[j].Name })
	return actions
}

// The output is what the file says, and differs from the input in annotations alone.
func check(t *testing.T, file string, before, got *unstructured.Unstructured) {
	t.Helper()
	annotations := got.GetAnnotations()
	for name, value := range annotations {
		if !strings.HasPrefix(name, "ota.rollwave.dev/") {
			continue
		}
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			t.Errorf("%s: %s: %v", file, name, err)
		}
		annotations[name] = anyTime
	}
	got.SetAnnotations(annotations)
	if *write {
		text, err := yaml.Marshal(plain(t, got))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var want unstructured.Unstructured
	read(t, file, &want.Object)
	if !reflect.DeepEqual(plain(t, &want), plain(t, got)) {
		t.Errorf("%s: %+v", file, got.Object)
	}
	before.SetAnnotations(nil)
	got.SetAnnotations(nil)
	if !reflect.DeepEqual(plain(t, before), plain(t, got)) {
		t.Errorf("%s: more than annotations changed", file)
	}
}

// Numbers come back from Lua as other types.
func plain(t *testing.T, object *unstructured.Unstructured) any {
	t.Helper()
	text, err := json.Marshal(object.Object)
	var plain any
	if err == nil {
		err = json.Unmarshal(text, &plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
