//! Compares the cloud's package with the one that the spec describes.

use crate::api::{Artifact, ArtifactFile, OtaPackage, OtaPackageSpec, Verification, folder_of, root_of};
use crate::cloud::{
    ArtifactRef, Capabilities, HeldArtifact, HeldFile, LocalFile, NewArtifact, NewFile, NewPackage,
    NewVerification, ObsArtifact, Package,
};
use crate::decide::needs::{details_needed, package_key};
use std::collections::{BTreeMap, BTreeSet};

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Equal,
    /// Each difference as a message.
    Different(Vec<String>),
    /// The cloud does not report where the file is.
    Unknown,
}

/// Compares a listed package with the spec. Its artifact counts as unchanged while its list row is the one that was found
/// equal before.
pub(super) fn compare(object: &OtaPackage, package: &Package) -> Compared {
    let spec = &object.spec;
    let mut differences = row_differences(spec, package);
    // Only the details include it; while the row stays the same, so does the artifact.
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
    let sha256 = lower(artifact.sha256.as_ref()).unwrap_or_default();
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
        // Uploaded by hand: the cloud reports nothing about the file that can be compared.
        (ArtifactRef::Held(_), _) if artifact.portal.is_some() => Vec::new(),
        (ArtifactRef::Files(held), _) => files_differences(artifact, held),
        (ArtifactRef::Held(_), _) if artifact.files.is_some() => files_differences(artifact, &[]),
        (ArtifactRef::Held(held), _) => {
            let wanted = Digests { sha256: &sha256, md5: artifact.md5.as_ref() };
            held_differences("artifact", &wanted, held)
        }
    }
}

/// Files are identified by their names: the names must be the same, and then the content of each.
fn files_differences(artifact: &Artifact, held: &[HeldFile]) -> Vec<String> {
    let wanted = artifact.files.as_deref().unwrap_or_default();
    let wanted: BTreeMap<&str, &ArtifactFile> =
        wanted.iter().map(|file| (file.name.as_str(), file)).collect();
    let cloud: BTreeMap<&str, &HeldArtifact> =
        held.iter().map(|file| (file.name.as_str(), &file.bytes)).collect();
    if !cloud.keys().eq(wanted.keys()) || cloud.len() != held.len() {
        let mut held: Vec<&str> = held.iter().map(|file| file.name.as_str()).collect();
        held.sort_unstable();
        let wanted: Vec<&str> = wanted.into_keys().collect();
        return vec![difference("artifact.files", &held.join(", "), &wanted.join(", "))];
    }
    let of_file = |(name, file): (&str, &ArtifactFile)| {
        let wanted = Digests { sha256: &file.sha256.to_ascii_lowercase(), md5: file.md5.as_ref() };
        let held = cloud.get(name).copied();
        held.map(|held| held_differences(&format!("artifact.files[{name}]"), &wanted, held))
            .unwrap_or_default()
    };
    wanted.into_iter().flat_map(of_file).collect()
}

/// The expected digests of a file.
struct Digests<'a> {
    /// In lower case.
    sha256: &'a str,
    md5: Option<&'a String>,
}

/// Digests are compared where both sides know them; at least one must be known to both.
fn held_differences(field: &str, wanted: &Digests<'_>, held: &HeldArtifact) -> Vec<String> {
    let md5 = lower(wanted.md5);
    let digests = [
        ("sha256", held.sha256.as_deref(), Some(wanted.sha256)),
        ("md5", held.md5.as_deref(), md5.as_deref()),
    ];
    let both = digests.into_iter().filter_map(|(name, cloud, wanted)| Some((name, cloud?, wanted?)));
    let both: Vec<(&str, &str, &str)> = both.collect();
    if both.is_empty() {
        return vec![format!("the cloud reports no digest that can be compared with {field} of the spec")];
    }
    let unequal = both.into_iter().filter(|(_, cloud, wanted)| cloud != wanted);
    unequal.map(|(name, cloud, wanted)| difference(&format!("{field}.{name}"), cloud, wanted)).collect()
}

fn lower(digest: Option<&String>) -> Option<String> {
    digest.map(|digest| digest.to_ascii_lowercase())
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
    let Artifact { sha256, md5, size, obs, file, files, .. } = &object.spec.artifact;
    let local = |path: &str, sha256: &str, md5: Option<&String>, size: Option<i64>| LocalFile {
        path: folder_of(&object.metadata).join(path),
        root: root_of(&object.metadata),
        sha256: sha256.to_ascii_lowercase(),
        md5: lower(md5),
        size: size.and_then(|size| u64::try_from(size).ok()),
    };
    let sha256 = sha256.as_deref().unwrap_or_default();
    match (obs, file, files) {
        (Some(obs), ..) => NewArtifact::Obs(ObsArtifact {
            region: obs.region.clone(),
            bucket: obs.bucket.clone(),
            key: obs.key.clone(),
            sha256: Some(sha256.to_ascii_lowercase()),
        }),
        (None, Some(file), _) => NewArtifact::File(local(file, sha256, md5.as_ref(), *size)),
        (None, None, Some(files)) => {
            let of = |file: &ArtifactFile| NewFile {
                name: file.name.clone(),
                file: local(&file.file, &file.sha256, file.md5.as_ref(), file.size),
                handle: None,
            };
            NewArtifact::Files(files.iter().map(of).collect())
        }
        (None, None, None) => NewArtifact::Portal,
    }
}

/// The local files of a package, each with the field that names it.
#[must_use]
pub fn local_files(object: &OtaPackage) -> Vec<(String, LocalFile)> {
    let files = match artifact(object) {
        NewArtifact::File(file) => vec![file],
        NewArtifact::Files(files) => files.into_iter().map(|file| file.file).collect(),
        _ => Vec::new(),
    };
    object.spec.artifact.paths().map(|(field, _)| field).zip(files).collect()
}

fn asked_of_the_cloud(verification: &Verification) -> NewVerification {
    let devices = verification.devices.iter().collect::<BTreeSet<_>>().len();
    let devices = u32::try_from(devices).unwrap_or(u32::MAX);
    let enough = |count: &u32| verification.min_success.is_reached(*count, devices);
    NewVerification { devices, min_success: (1..=devices).find(enough).unwrap_or(devices) }
}
