//! What each cloud does with each field of a manifest: one table for admission, the decision and `docs/clouds.md`.
//!
//! **Invariant:** every field of `OtaPackage` and `OtaRollout` has a row (a test walks their schemas), so that none is ignored
//! silently.

mod devices;
mod files;
mod limits;
mod package;
mod refusal;
mod requests;
mod rollout;
mod row;

pub use refusal::Refusal;
pub use requests::{DOCUMENTS, Document, Origin as FieldOrigin};
pub use row::{Row, Support};

use super::{CloudKind, Kind, OtaPackageSpec, OtaRolloutSpec};
use refusal::each;
use serde::Serialize;

/// The rows of a kind; an `OtaCloud` has none, because it names its cloud.
#[must_use]
pub const fn rows(kind: Kind) -> &'static [Row] {
    match kind {
        Kind::OtaCloud => &[],
        Kind::OtaPackage => package::ROWS,
        Kind::OtaRollout => rollout::ROWS,
    }
}

/// True when Rollwave does on this cloud what the field says, because the cloud does not do it itself.
#[must_use]
pub fn is_emulated(cloud: CloudKind, kind: Kind, field: &str) -> bool {
    let row = rows(kind).iter().find(|row| row.field == field);
    row.is_some_and(|row| matches!(row.of(cloud), Support::Emulated(_)))
}

/// What this cloud cannot honor of an object with this `spec`, in the order of the table.
#[must_use]
pub fn refusals(cloud: CloudKind, kind: Kind, spec: &impl Serialize) -> Vec<Refusal> {
    refusals_at(cloud, kind, "spec", spec)
}

/// What this cloud cannot honor of a rollout, because of the rollout itself or of its package.
#[must_use]
pub fn rollout_refusals(
    cloud: CloudKind,
    rollout: &OtaRolloutSpec,
    package: &OtaPackageSpec,
) -> Vec<Refusal> {
    let mut refused = refusals(cloud, Kind::OtaRollout, rollout);
    refused.extend(files::undeliverable(cloud, rollout, package));
    refused
}

/// What this cloud cannot honor of a part of a manifest, such as `spec.delivery`, in the order of the table.
#[must_use]
pub fn refusals_at(cloud: CloudKind, kind: Kind, path: &str, part: &impl Serialize) -> Vec<Refusal> {
    // What was read from a manifest can be serialized: its keys are all strings.
    let part = serde_json::to_value(part).unwrap_or_default();
    let manifest = path.rsplit('.').fold(part, |inner, field| serde_json::json!({field: inner}));
    let is_below =
        |field: &str| field.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let refused = rows(kind).iter().flat_map(|row| match row.of(cloud) {
        Support::Refused(instead) => {
            let message = format!("not supported by {cloud}: {instead}");
            let places = each(&manifest, row.field).into_iter();
            places.map(|(path, _)| Refusal { path, message: message.clone() }).collect()
        }
        _ => Vec::new(),
    });
    let refused = refused.chain(limits::check(cloud, kind, &manifest));
    let refused = refused.chain(files::check(cloud, kind, &manifest));
    let refused = refused.chain(devices::check(cloud, kind, &manifest));
    refused.filter(|refusal| is_below(&refusal.path)).collect()
}
