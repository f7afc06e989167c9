//! Packages that people upload in the cloud's portal, because no call can: they are looked for, named exactly when they are
//! missing, and never chosen between.

use super::report::Outcome;
use super::{is_hidden, take_over};
use crate::api::{OtaPackage, OtaPackageStatus, PackageType, Reason, Truth};
use crate::cloud::Package;
use crate::decide::{PackageView, Seen};

/// Judges a package that only the portal creates.
pub(super) fn judge(
    view: &PackageView<'_>,
    packages: &Seen<Vec<Package>>,
    status: &mut OtaPackageStatus,
) -> Outcome {
    let wanted = name(view.object);
    let fits = |package: &&Package| wanted.is_none() || package.row.name.as_deref() == wanted;
    let found: Vec<&Package> = packages.value.iter().filter(fits).collect();
    let known = status.package_id.clone();
    if let Some(package) = found.iter().find(|package| known.as_deref() == Some(&package.row.id)) {
        return unproven(take_over(view, status, package, packages, true));
    }
    match found.as_slice() {
        [] if known.is_some() && is_hidden(view, packages.at, status) => Outcome::working(
            Reason::Observing,
            format!("package {} is not listed yet", known.unwrap_or_default()),
        ),
        [] => awaited(view.object, known.as_deref()),
        [package] => unproven(take_over(view, status, package, packages, false)),
        several => ambiguous(several),
    }
}

fn name(object: &OtaPackage) -> Option<&str> {
    object.spec.artifact.portal.as_ref().and_then(|portal| portal.name.as_deref())
}

/// The cloud shows neither digest nor size nor source versions of what was uploaded.
fn unproven(mut outcome: Outcome) -> Outcome {
    let words = "its bytes and source versions cannot be compared, because the cloud does not show them";
    if let Some(fact) = outcome.in_sync.as_mut().filter(|fact| fact.truth == Truth::True) {
        fact.message = format!("{}; {words}", fact.message);
    }
    outcome
}

/// Says exactly what must be uploaded; only a person can.
fn awaited(object: &OtaPackage, lost: Option<&str>) -> Outcome {
    let spec = &object.spec;
    let file_type = match spec.kind {
        PackageType::Firmware => "firmwarePackage",
        PackageType::Software => "softwarePackage",
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let product = &spec.product;
    let sources = match spec.source_versions.as_slice() {
        [] => "those that are to be upgraded".to_owned(),
        versions => versions.join(", "),
    };
    let name = name(object).map(|name| format!(", name {name}")).unwrap_or_default();
    let lost = lost.map(|id| format!("package {id} is not in the portal any more; ")).unwrap_or_default();
    let message = format!(
        "{lost}upload it in the portal: fileType {file_type}, manufacturer {}, deviceType {}, model {}, version {}, source versions {sources}{name}, sha256 {}; it is looked for at every drift interval",
        text(&product.manufacturer),
        text(&product.device_type),
        text(&product.model),
        spec.version,
        text(&spec.artifact.sha256),
    );
    Outcome::stuck(Reason::AwaitingManualUpload, message).in_sync(Truth::False)
}

fn ambiguous(several: &[&Package]) -> Outcome {
    let named = |package: &&Package| match &package.row.name {
        Some(name) => format!("{} ({name})", package.row.id),
        None => package.row.id.clone(),
    };
    let list: Vec<String> = several.iter().map(named).collect();
    let message = format!(
        "the portal holds {} packages of this version, and none is chosen: {}; delete all but one, or give the name of one in spec.artifact.portal.name",
        several.len(),
        list.join(", ")
    );
    Outcome::stuck(Reason::Ambiguous, message).in_sync(Truth::Unknown)
}
