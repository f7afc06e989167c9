//! Devices that do not run the version: what is known about them, and how long they are waited for.

use super::{devices, listed_ids};
use crate::api::{
    AfterDeadline, CloudKind, CloudRef, Finding, FindingKind, Kind, Object, ObjectKey, OtaPackage,
    OtaRollout, Stage, StageStatus, time_text,
};

/// The findings of a stage, the most common first. `version` is the one that they should run.
pub(super) fn found(stage: &StageStatus, version: Option<&str>) -> Vec<String> {
    let text = |finding: &Finding| format!("In stage {}: {}.", stage.name, text(finding, version));
    stage.findings.iter().map(text).collect()
}

fn text(finding: &Finding, version: Option<&str>) -> String {
    let Finding { kind, text, devices, examples } = finding;
    let what = match (kind, text.as_str()) {
        (FindingKind::Failed, "") => "failed, and the cloud reports no reason".to_owned(),
        (FindingKind::Failed, text) => format!("failed with {text:?}"),
        (FindingKind::OtherVersion, "") => "report no version".to_owned(),
        (FindingKind::OtherVersion, text) => {
            format!("report {text}{}", version.map(|version| format!(", not {version}")).unwrap_or_default())
        }
        (FindingKind::Offline, _) => "are offline".to_owned(),
    };
    format!("{devices} {what}{}", listed_ids(*devices, examples))
}

/// How long devices without an outcome are waited for, and what helps.
pub(super) fn outstanding(
    spec: Option<&Stage>,
    stage: &StageStatus,
    cloud: Option<CloudKind>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let deadline = stage.clock.as_ref().and_then(|clock| clock.deadline_at);
    if let Some(until) = deadline.filter(|_| stage.counts.outstanding() > 0) {
        let then = match spec.and_then(|spec| spec.deadline).and_then(|deadline| deadline.then) {
            Some(AfterDeadline::Hold) => "then the stage is held",
            Some(AfterDeadline::Judge) | None => {
                "then devices that never began leave the sample, and devices that are upgrading time out"
            }
        };
        lines.push(format!(
            "The deadline of the {} without an outcome is {}; {then}.",
            devices(stage.counts.outstanding()),
            time_text(until)
        ));
    }
    let offline = stage.findings.iter().find(|finding| finding.kind == FindingKind::Offline);
    lines.extend(offline.map(|offline| {
        let gives_up = match cloud {
            Some(CloudKind::HuaweiIotda) => "; the cloud gives up on them after 25 h",
            _ => "",
        };
        let (count, examples) = (devices(offline.devices), listed_ids(offline.devices, &offline.examples));
        format!("Offline: {count}{examples}; bring them online to have them upgraded{gives_up}.")
    }));
    lines
}

/// The package that a rollout names.
pub(super) fn package_of<'a>(
    rollout: &OtaRollout,
    key: &ObjectKey,
    all: &'a [Object],
) -> Option<&'a OtaPackage> {
    let wanted = key.sibling(Kind::OtaPackage, &rollout.spec.package_ref.name);
    all.iter().find(|object| object.key() == wanted)?.as_package()
}

/// The cloud that its package is in.
pub(super) fn cloud_of(package: &OtaPackage, all: &[Object]) -> Option<CloudKind> {
    let wanted = package.account();
    match all.iter().find(|object| object.key() == wanted)? {
        Object::Cloud(cloud) => cloud.spec.cloud().map(CloudRef::kind),
        _ => None,
    }
}
