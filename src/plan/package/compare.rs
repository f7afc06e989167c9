//! Is the cloud's package the one that the spec describes?

use crate::api::{Artifact, OtaPackage, OtaPackageSpec, Verification, folder_of};
use crate::cloud::{
    ArtifactRef, Capabilities, HeldArtifact, LocalFile, NewArtifact, NewPackage, NewVerification,
    ObsArtifact, Package,
};
use crate::plan::gate::reaches;
use crate::plan::needs::{details_needed, package_key};
use std::collections::BTreeSet;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Equal,
    /// Each difference as a sentence.
    Different(Vec<String>),
    /// The cloud did not say where the bytes are.
    Unknown,
}

/// Compares a listed package with the spec. Its artifact is trusted to be the same while its list row is the one that was
/// found equal before.
pub(super) fn compare(object: &OtaPackage, package: &Package) -> Compared {
    let spec = &object.spec;
    let mut differences = row_differences(spec, package);
    // Only the details are sure to have it; while the row stays the same, it is what it was.
    if package.artifact.is_some() {
        let (cloud, wanted) = (package.row.custom_info.as_deref(), spec.custom_info.as_deref());
        differences.extend(text_difference("customInfo", cloud, wanted));
    }
    match &package.artifact {
        Some(artifact) => differences.extend(artifact_differences(spec, artifact)),
        None if differences.is_empty() && details_needed(object, &package.row.hash()) => {
            return Compared::Unknown;
        }
        None => {}
    }
    if differences.is_empty() { Compared::Equal } else { Compared::Different(differences) }
}

fn row_differences(spec: &OtaPackageSpec, package: &Package) -> Vec<String> {
    let row = &package.row;
    let (cloud, wanted) = (set(&row.source_versions), set(&spec.source_versions));
    let listed = |set: &BTreeSet<&str>| set.iter().copied().collect::<Vec<_>>().join(", ");
    let sources = (cloud != wanted).then(|| difference("sourceVersions", &listed(&cloud), &listed(&wanted)));
    let text = text_difference("description", row.description.as_deref(), spec.description.as_deref());
    let (held, asked) = (row.delta, spec.artifact.is_delta());
    let delta = (held != asked).then(|| difference("artifact.delta", &held.to_string(), &asked.to_string()));
    sources.into_iter().chain(delta).chain(text).collect()
}

/// The cloud may leave out an empty text.
fn text_difference(field: &str, cloud: Option<&str>, wanted: Option<&str>) -> Option<String> {
    let (cloud, wanted) = (cloud.unwrap_or_default(), wanted.unwrap_or_default());
    (cloud != wanted).then(|| difference(field, cloud, wanted))
}

fn set(versions: &[String]) -> BTreeSet<&str> {
    versions.iter().map(String::as_str).collect()
}

fn artifact_differences(spec: &OtaPackageSpec, cloud: &ArtifactRef) -> Vec<String> {
    let artifact = &spec.artifact;
    let sha256 = artifact.sha256.to_ascii_lowercase();
    match (cloud, &artifact.obs) {
        (ArtifactRef::Obs(object), Some(obs)) => {
            let cloud_sha256 = object.sha256.as_deref().unwrap_or_default().to_ascii_lowercase();
            let fields = [
                ("artifact.obs.region", object.region.as_str(), obs.region.as_str()),
                ("artifact.obs.bucket", &object.bucket, &obs.bucket),
                ("artifact.obs.key", &object.key, &obs.key),
                ("artifact.sha256", &cloud_sha256, &sha256),
            ];
            unequal(fields)
        }
        (ArtifactRef::Obs(object), None) => {
            let place = format!("{}/{}/{}", object.region, object.bucket, object.key);
            vec![difference("artifact.obs", &place, "")]
        }
        // By hand: nothing that the cloud says of the bytes can be compared.
        (ArtifactRef::Held(_), _) if artifact.portal.is_some() => Vec::new(),
        (ArtifactRef::Held(held), _) => held_differences(artifact, &sha256, held),
    }
}

/// Digests are compared as far as both sides know them; one of them must be known to both.
fn held_differences(artifact: &Artifact, sha256: &str, held: &HeldArtifact) -> Vec<String> {
    let md5 = artifact.md5.as_ref().map(|md5| md5.to_ascii_lowercase());
    let digests = [
        ("artifact.sha256", held.sha256.as_deref(), Some(sha256)),
        ("artifact.md5", held.md5.as_deref(), md5.as_deref()),
    ];
    let both = digests.into_iter().filter_map(|(field, cloud, wanted)| Some((field, cloud?, wanted?)));
    let both: Vec<(&str, &str, &str)> = both.collect();
    if both.is_empty() {
        return vec!["no digest of the bytes in the cloud can be compared with the spec".to_owned()];
    }
    unequal(both)
}

fn unequal<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Vec<String> {
    let fields = fields.into_iter().filter(|(_, cloud, wanted)| cloud != wanted);
    fields.map(|(field, cloud, wanted)| difference(field, cloud, wanted)).collect()
}

fn difference(field: &str, cloud: &str, wanted: &str) -> String {
    format!("{field} is {cloud:?} in the cloud, {wanted:?} in the spec")
}

/// The package that the spec describes, to be created.
pub(crate) fn wanted(object: &OtaPackage, capabilities: &Capabilities) -> NewPackage {
    let spec = &object.spec;
    NewPackage {
        key: package_key(object),
        name: object.metadata.name.clone().unwrap_or_default(),
        source_versions: spec.source_versions.clone(),
        delta: spec.artifact.is_delta(),
        description: spec.description.clone(),
        custom_info: spec.custom_info.clone(),
        artifact: artifact(object),
        verification: spec.verification.as_ref().filter(|_| capabilities.verifies).map(asked_of_the_cloud),
    }
}

fn artifact(object: &OtaPackage) -> NewArtifact {
    let artifact = &object.spec.artifact;
    let sha256 = artifact.sha256.to_ascii_lowercase();
    match (&artifact.obs, &artifact.file) {
        (Some(obs), _) => NewArtifact::Obs(ObsArtifact {
            region: obs.region.clone(),
            bucket: obs.bucket.clone(),
            key: obs.key.clone(),
            sha256: Some(sha256),
        }),
        (None, Some(file)) => NewArtifact::File(LocalFile {
            path: folder_of(&object.metadata).join(file),
            sha256,
            md5: artifact.md5.as_ref().map(|md5| md5.to_ascii_lowercase()),
            size: artifact.size.and_then(|size| u64::try_from(size).ok()),
        }),
        (None, None) => NewArtifact::Portal,
    }
}

fn asked_of_the_cloud(verification: &Verification) -> NewVerification {
    let devices = verification.devices.iter().collect::<BTreeSet<_>>().len();
    let devices = u32::try_from(devices).unwrap_or(u32::MAX);
    let enough = |count: &u32| reaches(*count, devices, verification.min_success);
    NewVerification { devices, min_success: (1..=devices).find(enough).unwrap_or(devices) }
}
