//! Is the cloud's package the one that the spec describes?

use crate::api::{OtaPackage, OtaPackageSpec};
use crate::cloud::{ArtifactRef, NewPackage, Package};
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
    let texts = [
        ("description", row.description.as_deref(), spec.description.as_deref()),
        ("customInfo", row.custom_info.as_deref(), spec.custom_info.as_deref()),
    ];
    // The cloud may leave out an empty text.
    let texts =
        texts.map(|(field, cloud, wanted)| (field, cloud.unwrap_or_default(), wanted.unwrap_or_default()));
    let texts = texts.into_iter().filter(|(_, cloud, wanted)| cloud != wanted);
    sources.into_iter().chain(texts.map(|(field, cloud, wanted)| difference(field, cloud, wanted))).collect()
}

fn set(versions: &[String]) -> BTreeSet<&str> {
    versions.iter().map(String::as_str).collect()
}

fn artifact_differences(spec: &OtaPackageSpec, cloud: &ArtifactRef) -> Vec<String> {
    let (obs, sha256) = (&spec.artifact.obs, spec.artifact.sha256.to_ascii_lowercase());
    let cloud_sha256 = cloud.sha256.as_deref().unwrap_or_default().to_ascii_lowercase();
    let fields = [
        ("artifact.obs.region", cloud.region.as_str(), obs.region.as_str()),
        ("artifact.obs.bucket", &cloud.bucket, &obs.bucket),
        ("artifact.obs.key", &cloud.key, &obs.key),
        ("artifact.sha256", &cloud_sha256, &sha256),
    ];
    let fields = fields.into_iter().filter(|(_, cloud, wanted)| cloud != wanted);
    fields.map(|(field, cloud, wanted)| difference(field, cloud, wanted)).collect()
}

fn difference(field: &str, cloud: &str, wanted: &str) -> String {
    format!("{field} is {cloud:?} in the cloud, {wanted:?} in the spec")
}

/// The package that the spec describes, to be created.
pub(crate) fn wanted(object: &OtaPackage) -> NewPackage {
    let spec = &object.spec;
    let obs = &spec.artifact.obs;
    NewPackage {
        key: package_key(object),
        source_versions: spec.source_versions.clone(),
        description: spec.description.clone(),
        custom_info: spec.custom_info.clone(),
        artifact: ArtifactRef {
            region: obs.region.clone(),
            bucket: obs.bucket.clone(),
            key: obs.key.clone(),
            sha256: Some(spec.artifact.sha256.to_ascii_lowercase()),
        },
    }
}
