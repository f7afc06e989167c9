//! The Helm chart: what it renders is taken by a real API server, and the controller works with exactly the account, the
//! roles and the arguments that stand in it.

use super::control_plane::{ADMIN, ControlPlane, SOMEBODY, api_of, apply, find_parts, runtime, shared};
use super::harness::Field;
use crate::engine::harness::{PACKAGE, Process, ROLLOUT};
use kube::api::{Patch, PatchParams, PostParams};
use rollwave::api::{API_VERSION, Kind, Request, definition_file};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Everything that a flag switches on.
const EVERYTHING: &str = "networkPolicy.enabled=true,serviceMonitor.enabled=true,prometheusRule.enabled=true,\
                          artifacts.persistentVolumeClaim.claimName=firmware,logFilter=debug,priorityClassName=high";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn helm(args: &[&str]) -> Output {
    let program = &find_parts(&["helm"])["helm"];
    Command::new(program).args(args).current_dir(root()).output().unwrap()
}

/// What the chart comes to with these values.
fn render(namespace: &str, values: &str) -> Vec<Value> {
    render_with(namespace, &["--set", values])
}

/// What `helm install rollwave charts/rollwave --namespace NAMESPACE MORE` would apply.
pub fn render_with(namespace: &str, more: &[&str]) -> Vec<Value> {
    let args = ["template", "rollwave", "charts/rollwave", "--namespace", namespace];
    let output = helm(&[&args, more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_yaml::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

pub fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Vec<&'a Value> {
    manifests.iter().filter(|manifest| manifest["kind"] == kind).collect()
}

#[test]
fn the_chart_passes_lint_and_refuses_values_that_it_does_not_know() {
    for values in [
        "replicas=1",
        "replicas=5,shards=4",
        "replicas=0",
        EVERYTHING,
        "watchNamespaces={field,other},serviceAccount.create=false",
        "allowedHosts={iot.example.com,*.myhuaweicloud.com}",
    ] {
        let output = helm(&["lint", "--strict", "charts/rollwave", "--set", values]);
        assert!(output.status.success(), "{values}: {}", String::from_utf8_lossy(&output.stdout));
    }
    for wrong in [
        "replica=1",
        "shards=3",
        "replicas=two",
        "watchNamespaces={No_Name}",
        "port=80",
        "image.pullPolicy=Maybe",
        "image.registry=example.com",
        "image.digest=sha256:short",
        "networkPolicy.egress=443",
        "allowedHosts=iot.example.com",
    ] {
        let output = helm(&["template", "charts/rollwave", "--set", wrong]);
        let said = String::from_utf8(output.stderr).unwrap();
        let field = wrong.split(['.', '=']).next().unwrap();
        assert!(!output.status.success() && said.contains(field), "{wrong}: {said}");
    }
}

#[test]
fn its_roles_are_those_of_the_example() {
    let text = fs_err::read_to_string(root().join("examples/kubernetes/rbac.yaml")).unwrap();
    let example: Vec<Value> = serde_yaml::from_multiple(&text).unwrap();
    let rules: Vec<&Value> = example.iter().map(|role| &role["rules"]).collect();
    let everywhere = render("ota", "replicas=1");
    let (aggregated, own): (Vec<&Value>, Vec<&Value>) =
        of_kind(&everywhere, "ClusterRole").into_iter().partition(|role| is_aggregated(role));
    let roles = [own, of_kind(&everywhere, "Role")].concat();
    assert_eq!(roles.iter().map(|role| &role["rules"]).collect::<Vec<_>>(), rules);
    let groups: Vec<&Value> = aggregated.iter().flat_map(|role| role["rules"].as_array().unwrap()).collect();
    assert_eq!(aggregated.len(), 2);
    assert!(groups.iter().all(|rule| rule["apiGroups"] == json!(["ota.rollwave.dev"])), "{groups:?}");
    let least = render("ota", "rbac.keepSecrets=false");
    let keeps = |manifests: &[Value]| {
        let roles = of_kind(manifests, "ClusterRole").into_iter();
        let rules = roles.flat_map(|role| role["rules"].as_array().unwrap());
        rules
            .filter(|rule| rule["resources"] == json!(["secrets"]))
            .any(|rule| rule["verbs"] == json!(["get", "patch"]))
    };
    assert!(keeps(&everywhere) && !keeps(&least));
    let in_two = render("ota", "watchNamespaces={field,other}");
    assert!(of_kind(&in_two, "ClusterRole").is_empty() && of_kind(&in_two, "ClusterRoleBinding").is_empty());
    let roles = of_kind(&in_two, "Role");
    let expected = [rules[0], rules[0], rules[1]];
    assert_eq!(roles.iter().map(|role| &role["rules"]).collect::<Vec<_>>(), expected);
    let places: Vec<&Value> = roles.iter().map(|role| &role["metadata"]["namespace"]).collect();
    assert_eq!(places, ["field", "other", "ota"]);
}

/// It is for people, by way of the roles that Kubernetes has for them.
fn is_aggregated(role: &Value) -> bool {
    role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
}

#[test]
fn a_cluster_can_put_its_own_in_place_of_what_the_chart_sets() {
    let values = "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null,\
                  image.digest=sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a,\
                  extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy.example.com,strategy.type=Recreate,\
                  extraVolumes[0].name=ca,extraVolumes[0].configMap.name=ca,\
                  extraVolumeMounts[0].name=ca,extraVolumeMounts[0].mountPath=/etc/ssl/certs";
    let values = values.split_whitespace().collect::<String>();
    let manifests = render("ota", &values);
    let deployment = &of_kind(&manifests, "Deployment")[0]["spec"];
    assert_eq!(deployment["strategy"]["type"], "Recreate");
    let pod = &deployment["template"]["spec"];
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let container = &pod["containers"][0];
    let digest = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a";
    assert_eq!(container["image"], format!("rollwave@sha256:{digest}"));
    assert_eq!(container["env"][1], json!({"name": "HTTPS_PROXY", "value": "http://proxy.example.com"}));
    assert_eq!(container["volumeMounts"], json!([{"name": "ca", "mountPath": "/etc/ssl/certs"}]));
}

/// Applies what the API server knows; gives what belongs to the Prometheus operator.
pub async fn install<'a>(client: &kube::Client, manifests: &'a [Value]) -> Vec<&'a Value> {
    let (foreign, own): (Vec<&Value>, Vec<&Value>) =
        manifests.iter().partition(|manifest| manifest["apiVersion"] == "monitoring.coreos.com/v1");
    for manifest in own {
        apply(client, manifest).await.unwrap_or_else(|error| panic!("{error}: {manifest:#}"));
    }
    foreign
}

#[test]
fn an_api_server_takes_what_it_renders_and_its_pods_keep_to_the_restricted_profile() {
    let plane = shared();
    let namespace = plane.namespace();
    let manifests =
        render(&namespace, &format!("{EVERYTHING},watchNamespaces={{{namespace}}},priorityClassName="));
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        let foreign = install(&client, &manifests).await;
        assert_eq!(foreign.len(), 2, "{foreign:#?}");
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let restricted = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
        apply(&client, &restricted).await.unwrap();
        let mut pod = of_kind(&manifests, "Deployment")[0]["spec"]["template"].clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = "one".into();
        pod["metadata"]["namespace"] = namespace.as_str().into();
        create(&client, &pod).await.unwrap();
        pod["metadata"]["name"] = "other".into();
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
        let refused = create(&client, &pod).await.unwrap_err().to_string();
        assert!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
    });
}

async fn create(client: &kube::Client, manifest: &Value) -> kube::Result<()> {
    let object = serde_json::from_value(manifest.clone()).unwrap();
    api_of(client, manifest).create(&PostParams::default(), &object).await.map(drop)
}

/// The controller as the chart's Deployment starts it, but for the port.
fn deployed(field: &Field<'_>, manifests: &[Value]) -> Command {
    let pod = &of_kind(manifests, "Deployment")[0]["spec"]["template"]["spec"];
    let args = pod["containers"][0]["args"].as_array().unwrap();
    let args: Vec<&str> = args.iter().map(|arg| arg.as_str().unwrap()).collect();
    let place = args.iter().position(|arg| *arg == "--listen=0.0.0.0:8080").unwrap();
    let args: Vec<&str> = [&args[..place], &["--listen=127.0.0.1:0"], &args[place + 1..]].concat();
    let account = pod["serviceAccountName"].as_str().unwrap();
    let kubeconfig: PathBuf = field.plane.kubeconfig_of_account(&field.namespace, account);
    field.controller_with(&args, &kubeconfig)
}

/// Everything converges, and the probes and figures that the chart speaks of are there, and so does more.
fn assert_works(field: &Field<'_>, manifests: &[Value], assert_more: impl Fn()) {
    runtime().block_on(async { install(&field.plane.client(ADMIN).await, manifests).await });
    let log = field.lab.path().join("log");
    let controller = Process::start_with_log(&mut deployed(field, manifests), &log);
    field.apply(PACKAGE);
    field.apply(ROLLOUT);
    field.assert_converges("under the chart's account");
    let container = &of_kind(manifests, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    for probe in ["livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(field.ask(&log, path).0, 200, "{probe}");
    }
    let monitor = of_kind(manifests, "ServiceMonitor")[0]["spec"]["endpoints"][0]["path"].as_str().unwrap();
    let (code, figures) = field.ask(&log, monitor);
    assert_eq!(code, 200);
    assert!(figures.contains("rollwave_leader 1\n"), "{figures}");
    assert_more();
    let (ended, _) = controller.terminate();
    assert!(ended.success(), "{ended}: {}", fs_err::read_to_string(&log).unwrap());
}

/// A figure without a value yet is not rendered, so the names are looked for where they are registered.
#[test]
fn its_alerts_ask_for_figures_that_exist() {
    let registered = include_str!("../../../src/web/metrics.rs");
    let manifests = render("ota", EVERYTHING);
    let rules = of_kind(&manifests, "PrometheusRule")[0]["spec"]["groups"][0]["rules"].as_array().unwrap();
    for rule in rules {
        let expression = rule["expr"].as_str().unwrap();
        let (_, name) = expression.split_once("rollwave_").unwrap();
        let (name, _) = name.split_once('{').unwrap();
        let name = name.trim_end_matches("_total");
        assert!(registered.contains(&format!("\"{name}\"")), "{expression}");
        assert!(expression.contains("{job=\"rollwave-metrics\""), "{expression}");
    }
    assert!(rules.len() > 3);
}

#[test]
fn the_board_of_grafana_asks_for_figures_that_exist() {
    let registered = include_str!("../../../src/web/metrics.rs");
    let board: Value =
        serde_json::from_str(include_str!("../../../integrations/grafana/rollwave.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    for expression in targets.map(|target| target["expr"].as_str().unwrap()) {
        for (_, rest) in expression.match_indices("rollwave_").map(|(at, _)| expression.split_at(at + 9)) {
            let name = rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
            let name = name.trim_end_matches("_total").trim_end_matches("_bucket");
            assert!(registered.contains(&format!("\"{name}\"")), "{name}: {expression}");
        }
    }
    assert!(panels.len() > 8);
}

/// Where fields lead to in the installed definitions.
#[test]
fn the_figures_of_kube_state_metrics_are_of_fields_that_exist() {
    let text = include_str!("../../../integrations/prometheus/kube-state-metrics.yaml");
    let config: Value = serde_yaml::from_str(text).unwrap();
    let resources = config["spec"]["resources"].as_array().unwrap();
    assert_eq!(resources.len(), Kind::ALL.len());
    for resource in resources {
        let kind = Kind::ALL.into_iter().find(|kind| resource["groupVersionKind"]["kind"] == kind.as_str());
        let schema = rollwave::api::schema(kind.unwrap());
        for metric in resource["metrics"].as_array().unwrap() {
            let each = &metric["each"];
            let part = if each["type"] == "StateSet" { &each["stateSet"] } else { &each["gauge"] };
            let path = part["path"].as_array().unwrap().iter().map(|field| field.as_str().unwrap());
            let place = path.fold(schema.clone(), |at, field| at["properties"][field].clone());
            assert!(place.is_object(), "{metric}");
            if let Some(list) = part["list"].as_array() {
                let known: Vec<&str> = place["enum"]
                    .as_array()
                    .map_or_else(Vec::new, |values| values.iter().filter_map(Value::as_str).collect());
                assert_eq!(list.iter().map(|value| value.as_str().unwrap()).collect::<Vec<_>>(), known);
            }
        }
    }
}

#[test]
fn the_controller_works_with_the_charts_account_and_roles_in_the_namespaces_that_it_is_given() {
    let (field, second, other) = (Field::new(shared()), Field::new(shared()), Field::new(shared()));
    let values =
        format!("{EVERYTHING},artifacts=null,watchNamespaces={{{},{}}}", field.namespace, second.namespace);
    for field in [&second, &other] {
        field.apply(PACKAGE);
    }
    assert_works(&field, &render(&field.namespace, &values), || {
        second.apply(ROLLOUT);
        second.assert_converges("in the second namespace");
        second.delete("OtaRollout", "meter");
        second.until_gone("OtaRollout", "meter");
    });
    assert_eq!(other.lab.all_calls(), 0, "in a namespace that it was not given");
}

#[test]
fn the_controller_works_with_the_charts_definitions_and_roles_in_all_namespaces() {
    let plane = ControlPlane::bare();
    runtime().block_on(async {
        let client = plane.client(ADMIN).await;
        for kind in Kind::ALL {
            let file = root().join("charts/rollwave/crds").join(definition_file(kind));
            let definition = serde_yaml::from_str(&fs_err::read_to_string(file).unwrap()).unwrap();
            apply(&client, &definition).await.unwrap();
        }
    });
    plane.wait_for_definitions();
    let field = Field::new(&plane);
    let manifests = render(&field.namespace, &format!("{EVERYTHING},artifacts=null,rbac.requests=true"));
    assert_works(&field, &manifests, || assert_requests_alone(&field));
}

/// The chart's role for requests lets people make each of them, and change nothing else.
fn assert_requests_alone(field: &Field<'_>) {
    field.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: on-call}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: rollwave-request}}\n\
         subjects: [{{kind: User, name: {SOMEBODY}}}]\n"
    ));
    let patch = |patch: Value| {
        runtime().block_on(async {
            let client = field.plane.client(SOMEBODY).await;
            let object = json!({"apiVersion": API_VERSION, "kind": "OtaRollout",
                "metadata": {"namespace": field.namespace}});
            let api = api_of(&client, &object);
            api.patch("meter", &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
        })
    };
    // The API server learns of a new policy, and of a new role, within seconds.
    let refuses = |change: Value, words: &str| {
        let refused = patch(change.clone()).unwrap_err().to_string();
        assert!(
            refused.contains(words) && refused.contains("requires the verb update"),
            "{change}: {refused}"
        );
    };
    field.lab.until("the role is bound", || patch(json!({})).is_ok());
    refuses(json!({"spec": {"suspend": true}}), "changing the spec");
    for metadata in [
        json!({"labels": {"team": "other"}}),
        json!({"annotations": {"note": "mine"}}),
        json!({"finalizers": []}),
    ] {
        refuses(json!({"metadata": metadata}), "changing other metadata");
    }
    for request in Request::ALL {
        let annotation = json!({request.annotation(): "2026-11-30T10:00:00Z"});
        patch(json!({"metadata": {"annotations": annotation}})).unwrap();
        patch(json!({"metadata": {"annotations": {request.annotation(): null}}})).unwrap();
    }
    field.annotate("OtaRollout", "meter", "note", "of an editor");
}
