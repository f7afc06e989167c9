//! Identities: what makes two create requests the same, and two plans the same.
//!
//! No clock, no randomness: every idempotency key can be computed from the manifest, so an existing job is found even
//! when the state is lost.

use crate::api::{
    Artifact, NewDevices, OtaPackage, OtaRollout, OtaRolloutSpec, ReadyWhen, Verification, VerificationStatus,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Identity of a package, independent of its name: account, type, product, module, version and bytes. 16 lower-case hex
/// digits.
#[must_use]
pub fn package_identity(package: &OtaPackage) -> String {
    let spec = &package.spec;
    let digest = artifact_digest(&spec.artifact);
    let kind = format!("{:?}", spec.kind);
    let product = spec.product.to_string();
    let mut parts = vec!["package", &spec.cloud_ref.name, &kind, &product, &spec.version, &digest];
    parts.extend(spec.module());
    short(&parts)
}

/// Digest of a package's files: the SHA-256 of its file in lower case; of several files, a hash of their names and
/// digests.
#[must_use]
pub fn artifact_digest(artifact: &Artifact) -> String {
    let Some(files) = &artifact.files else {
        return artifact.sha256.as_deref().unwrap_or_default().to_ascii_lowercase();
    };
    let by_name: BTreeMap<&str, String> =
        files.iter().map(|file| (file.name.as_str(), file.sha256.to_ascii_lowercase())).collect();
    let parts = by_name.iter().flat_map(|(name, sha256)| [*name, sha256]);
    short(&std::iter::once("files").chain(parts).collect::<Vec<_>>())
}

/// Hash of everything that decides which devices get what and when, and what stops it: the package's identity and the
/// whole spec except `suspend`, `readyWhen`, `priority` and `newDevices`, which are judged on every pass. 16 lower-case
/// hex digits.
///
/// Gates and stop rules are part of it: they change the verdict, so a hold is judged again and an approval for other
/// numbers is void. They are not part of a job's identity ([`job_token`]): editing a threshold sends nothing again.
#[must_use]
pub fn plan_hash(rollout: &OtaRollout, package: &OtaPackage) -> String {
    let spec = canonical(&rollout.spec);
    // A spec is plain data with text keys: it always serializes.
    let text = serde_json::to_string(&spec).unwrap_or_default();
    short(&["plan", &package_identity(package), &text])
}

/// Lists that are sets are sorted, so that another order gives the same plan.
fn canonical(spec: &OtaRolloutSpec) -> OtaRolloutSpec {
    let mut spec = OtaRolloutSpec {
        suspend: false,
        ready_when: ReadyWhen::default(),
        priority: 0,
        new_devices: NewDevices::default(),
        ..spec.clone()
    };
    let targets = &mut spec.targets;
    let sets = [targets.devices.as_mut(), targets.groups.as_mut(), Some(&mut targets.from_versions)];
    sets.into_iter().flatten().for_each(sort_set);
    let labels = [targets.tags.as_mut(), targets.attributes.as_mut()];
    labels.into_iter().flatten().flat_map(BTreeMap::values_mut).for_each(sort_set);
    targets.exclude.iter_mut().for_each(|exclude| sort_set(&mut exclude.devices));
    for select in spec.stages.iter_mut().map(|stage| &mut stage.select) {
        [select.devices.as_mut(), select.groups.as_mut()].into_iter().flatten().for_each(sort_set);
        let labels = [select.tags.as_mut(), select.attributes.as_mut()];
        labels.into_iter().flatten().flat_map(BTreeMap::values_mut).for_each(sort_set);
    }
    spec
}

fn sort_set(list: &mut Vec<String>) {
    list.sort_unstable();
    list.dedup();
}

/// Which job of a run: the `chunk`-th one of the `attempt`-th attempt at a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobSlot<'a> {
    /// Number of the run, from 1 on.
    pub run: u32,
    /// Name of the stage.
    pub stage: &'a str,
    /// Attempt at the stage's devices, from 0 on.
    pub attempt: u32,
    /// Job of the attempt, from 0 on.
    pub chunk: u32,
}

/// Idempotency key of one upgrade job: rollout, package, run, stage, attempt and chunk. It begins with [`rollout_mark`].
///
/// Targets and selects are left out on purpose: a job keeps its key when the spec is edited, so that it is recognised and
/// never sent twice. The cloud reports which devices it holds.
#[must_use]
pub fn job_token(uid: &str, identity: &str, slot: JobSlot<'_>) -> String {
    let [run, attempt, chunk] = [slot.run, slot.attempt, slot.chunk].map(|number| number.to_string());
    let hash = short(&["job", uid, identity, &run, slot.stage, &chunk, &attempt]);
    format!("{}{}", rollout_mark(uid), &hash[..TOKEN_LEN - MARK_LEN])
}

const TOKEN_LEN: usize = 16;
const MARK_LEN: usize = 4;

/// The first digits of every idempotency key of a rollout, for all packages and runs. Two rollouts share a mark once in
/// 65,536 times: it selects jobs to examine, and never proves whose they are.
#[must_use]
pub fn rollout_mark(uid: &str) -> String {
    short(&["rollout", uid])[..MARK_LEN].to_owned()
}

/// Idempotency key of the request that creates a package.
#[must_use]
pub fn package_token(uid: &str, identity: &str) -> String {
    short(&["create-package", uid, identity])
}

/// Idempotency key of a verify job: another package, other devices or another attempt is another verification.
#[must_use]
pub fn verify_token(uid: &str, identity: &str, devices: &[String], attempt: u32) -> String {
    let mut devices = devices.to_vec();
    sort_set(&mut devices);
    let (devices, attempt) = (devices.join("\n"), attempt.to_string());
    let mut parts = vec!["verify", uid, identity, devices.as_str()];
    // The key of the first attempt is the one from before there were attempts.
    parts.extend((attempt != "0").then_some(attempt.as_str()));
    short(&parts)
}

/// True when this is the verification that the spec requires, whichever attempt it is.
#[must_use]
pub fn is_verification_of(package: &OtaPackage, asked: &Verification, known: &VerificationStatus) -> bool {
    let uid = package.metadata.uid.as_deref().unwrap_or_default();
    verify_token(uid, &package_identity(package), &asked.devices, known.attempt) == known.token
}

/// Every part is preceded by its length, so that no two lists of parts give the same text.
fn short(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut digits = [0; 16];
    // Twice as many digits as bytes, and all of them ASCII.
    let _ = hex::encode_to_slice(&hash.finalize()[..8], &mut digits);
    std::str::from_utf8(&digits).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::testing::{package, rollout};
    use serde_json::json;

    #[test]
    fn every_part_of_a_job_makes_another_token() {
        const SLOT: JobSlot<'static> = JobSlot { run: 1, stage: "canary", attempt: 0, chunk: 0 };
        let base = job_token("uid", "id", SLOT);
        assert_eq!(base, job_token("uid", "id", SLOT));
        assert_eq!(base.len(), 16);
        assert!(base.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        for other in [
            job_token("uie", "id", SLOT),
            job_token("ui", "did", SLOT),
            job_token("uid", "id", JobSlot { run: 2, ..SLOT }),
            job_token("uid", "id", JobSlot { stage: "canar", ..SLOT }),
            job_token("uid", "id", JobSlot { chunk: 1, ..SLOT }),
            job_token("uid", "id", JobSlot { attempt: 1, ..SLOT }),
        ] {
            assert_ne!(base, other);
        }
        let other_run = job_token("uid", "other", JobSlot { run: 7, ..SLOT });
        assert!(base.starts_with(&rollout_mark("uid")) && other_run.starts_with(&rollout_mark("uid")));
    }

    #[test]
    fn the_plan_hash_moves_with_the_spec_but_not_with_suspend_ready_when_or_list_order() {
        let package = package();
        let mut edited = rollout();
        edited.spec.targets.devices = Some(vec!["b".into(), "a".into()]);
        let base = plan_hash(&edited, &package);
        edited.spec.targets.devices = Some(vec!["a".into(), "b".into()]);
        edited.spec.suspend = true;
        edited.spec.ready_when = ReadyWhen::Accepted;
        assert_eq!(base, plan_hash(&edited, &package));
        edited.spec.stages[0].soak = Some(crate::api::Period::hours(9));
        assert_ne!(base, plan_hash(&edited, &package));
    }

    #[test]
    fn the_case_of_a_digest_is_no_difference() {
        let mut upper = package();
        upper.spec.artifact.sha256 = upper.spec.artifact.sha256.map(|sha256| sha256.to_ascii_uppercase());
        assert_eq!(package_identity(&package()), package_identity(&upper));
    }

    #[test]
    fn files_are_what_their_names_and_digests_are_in_any_order() {
        let of = |files: &[(&str, &str)]| {
            let file = |(name, digit): &(&str, &str)| json!({"name": name, "file": "x.bin", "sha256": digit.repeat(64)});
            let files: Vec<_> = files.iter().map(file).collect();
            let mut package = package();
            package.spec.artifact = serde_json::from_value(json!({"files": files})).unwrap();
            package_identity(&package)
        };
        let base = of(&[("app", "a"), ("modem", "b")]);
        assert_eq!(base, of(&[("modem", "B"), ("app", "A")]));
        for other in [
            of(&[("app", "b"), ("modem", "a")]),
            of(&[("app", "a"), ("modem2", "b")]),
            of(&[("app", "a"), ("modem", "b"), ("x", "b")]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_package_of_a_module_is_another_one_and_the_default_module_is_none() {
        let of = |module: Option<&str>| {
            let mut package = package();
            package.spec.module = module.map(str::to_owned);
            package_identity(&package)
        };
        assert_eq!(of(None), of(Some("default")));
        assert!(of(None) != of(Some("modem")) && of(Some("modem")) != of(Some("modem2")));
    }

    #[test]
    fn a_verification_is_the_same_for_the_same_set_of_devices() {
        let list = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            verify_token("u", "i", &list(&["a", "b"]), 0),
            verify_token("u", "i", &list(&["b", "a", "a"]), 0)
        );
        let attempts = [0, 1, 2].map(|attempt| verify_token("u", "i", &list(&["a"]), attempt));
        assert_ne!(attempts[0], verify_token("u", "i", &list(&["b"]), 0));
        assert!(attempts[0] != attempts[1] && attempts[1] != attempts[2]);
        assert_eq!(attempts[0], short(&["verify", "u", "i", "a"]), "as it was before there were attempts");
    }
}
