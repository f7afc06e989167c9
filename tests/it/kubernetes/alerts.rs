//! The chart's alerts: Prometheus' own promtool takes them, and they fire when they should (`tests/kubernetes/alerts.test.yaml`).

use super::chart::{of_kind, render_with};
use super::control_plane::find_parts;
use std::path::Path;
use std::process::Command;

#[test]
fn alerts_fire_when_somebody_must_act_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let manifests = render_with("ota", &["--set", "prometheusRule.enabled=true"]);
    let rules = serde_yaml::to_string(&of_kind(&manifests, "PrometheusRule")[0]["spec"]).unwrap();
    fs_err::write(folder.path().join("rules.yaml"), rules).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubernetes/alerts.test.yaml");
    fs_err::copy(tests, folder.path().join("alerts.test.yaml")).unwrap();
    let promtool = &find_parts(&["promtool"])["promtool"];
    for args in [
        &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"][..],
        &["test", "rules", "alerts.test.yaml"],
    ] {
        let ended = Command::new(promtool).args(args).current_dir(folder.path()).output().unwrap();
        let said =
            String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success() && said.contains("SUCCESS"), "{args:?}: {said}");
    }
}

#[test]
fn every_alert_of_the_chart_has_a_test() {
    let manifests = render_with("ota", &["--set", "prometheusRule.enabled=true"]);
    let tests = include_str!("../../kubernetes/alerts.test.yaml");
    let groups = of_kind(&manifests, "PrometheusRule")[0]["spec"]["groups"].as_array().unwrap();
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        let fires = format!("alertname: {}\n        exp_alerts:", rule["alert"].as_str().unwrap());
        assert!(tests.contains(&fires), "{}", rule["alert"]);
    }
}
