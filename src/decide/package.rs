//! What a package does next: create it, adopt it, verify it, report that it differs, or let it go.
//!
//! A package cannot be changed in the cloud (IoTDA has no such call: SDK 3.1.219), so a difference is corrected by deleting
//! and creating it, and only when it is ours and no running job needs it.

mod compare;
mod former;
mod leave;
mod portal;
mod report;
mod retry;
mod verify;

pub use compare::local_files;
pub(crate) use compare::wanted;

use super::keys::{is_verification_of, package_identity, package_token};
use super::needs::unsupported;
use super::{Action, PackageView, Plan, Seen};
use crate::api::{
    Adoption, CreateOperation, DriftPolicy, Kind, NO_FILES, Origin, OtaPackage, OtaPackageStatus, Reason,
    Truth, VERIFIED, condition_is_true, support::refusals,
};
use crate::cloud::Package;
use compare::{Compared, compare};
use jiff::Timestamp;
use report::{Fact, Outcome, finish};

/// Decides what a package does next. The same view gives the same plan; a plan that was carried out is not made again.
#[must_use]
pub fn plan(view: &PackageView<'_>) -> Plan<OtaPackageStatus> {
    let mut status = view.object.status.clone().unwrap_or_default();
    if view.object.metadata.deletion_timestamp.is_some() {
        return leave::delete(view, status);
    }
    let Some(packages) = &view.packages else {
        // Nothing was seen, so nothing is concluded: what was known stands.
        if status.observed_generation == view.object.metadata.generation.unwrap_or(0) {
            return Plan { status, actions: Vec::new(), requeue: super::Requeue::After(super::POLL) };
        }
        let outcome =
            Outcome::working(Reason::Observing, "looking at the cloud's packages").in_sync(Truth::Unknown);
        return finish(view.object, status, outcome, view.now);
    };
    void_verification(view, &mut status);
    // A clock that was ahead wrote it: how long ago that was nobody knows, and so it is counted from now on.
    status.known_since = status.known_since.map(|since| since.min(view.now));
    let outcome = judge(view, packages, &mut status);
    let outcome = retry::answer(view, &mut status, outcome, |status| judge(view, packages, status));
    finish(view.object, status, outcome, view.now)
}

/// What is decided without a look at the cloud, if anything is: a package that leaves no trace there goes at once, and one that
/// its account refuses is `Stalled`. `refusal`: why the account does not allow its namespace; none when it does.
#[must_use]
pub fn plan_unseen(
    object: &OtaPackage,
    refusal: Option<String>,
    now: Timestamp,
) -> Option<Plan<OtaPackageStatus>> {
    let is_refused = || {
        let why = refusal.filter(|_| object.metadata.deletion_timestamp.is_none())?;
        let status = object.status.clone().unwrap_or_default();
        Some(finish(object, status, Outcome::stuck(Reason::NamespaceNotAllowed, why), now))
    };
    leave::at_once(object, now).or_else(is_refused)
}

/// What is decided of a package whose account is not there any more, if anything is: one that is being deleted does not wait for
/// it unless something of ours would stay behind.
#[must_use]
pub fn plan_without_account(object: &OtaPackage, now: Timestamp) -> Option<Plan<OtaPackageStatus>> {
    leave::without_account(object, now)
}

/// A verification of another package, or on other devices, proves nothing about this one.
fn void_verification(view: &PackageView<'_>, status: &mut OtaPackageStatus) {
    let Some(asked) = &view.object.spec.verification else { return };
    if status.verification.as_ref().is_none_or(|known| !is_verification_of(view.object, asked, known))
        && condition_is_true(&status.conditions, VERIFIED)
    {
        crate::api::clear_condition(&mut status.conditions, VERIFIED);
    }
}

fn judge(view: &PackageView<'_>, packages: &Seen<Vec<Package>>, status: &mut OtaPackageStatus) -> Outcome {
    if !view.capabilities.creates_packages {
        return portal::judge(view, packages, status);
    }
    let known = status.package_id.clone();
    let known_one = packages.value.iter().find(|package| known.as_deref() == Some(&package.row.id));
    if let Some(id) = known.as_ref().filter(|_| known_one.is_none()) {
        if is_hidden(view, packages.at, status) {
            return Outcome::working(Reason::Observing, format!("package {id} is not listed yet"));
        }
        if packages.value.is_empty() {
            return vanished(view, status, id);
        }
    }
    let newest_equal =
        || packages.value.iter().rev().find(|package| compare(view.object, package) == Compared::Equal);
    let chosen = known_one.or_else(newest_equal).or_else(|| packages.value.last());
    let Some(chosen) = chosen else { return create(view, status) };
    let is_known = known_one.is_some();
    match compare(view.object, chosen) {
        Compared::Equal => take_over(view, status, chosen, packages, is_known),
        Compared::Different(differences) => differs(view, status, chosen, &differences, is_known),
        Compared::Unknown => {
            let id = &chosen.row.id;
            let message =
                format!("the cloud does not say where the bytes of package {id} are: nothing is concluded");
            Outcome::working(Reason::ArtifactUnknown, message).in_sync(Truth::Unknown)
        }
    }
}

/// True while a list may still lack the package that we know.
fn is_hidden(view: &PackageView<'_>, looked_at: Timestamp, status: &OtaPackageStatus) -> bool {
    let visible =
        status.known_since.and_then(|since| since.checked_add(view.capabilities.visibility_lag).ok());
    visible.is_some_and(|visible| looked_at < visible)
}

fn token(view: &PackageView<'_>) -> String {
    let uid = view.object.metadata.uid.as_deref().unwrap_or_default();
    package_token(uid, &package_identity(view.object))
}

fn create(view: &PackageView<'_>, status: &OtaPackageStatus) -> Outcome {
    if let Some(message) =
        unsupported(&refusals(view.capabilities.cloud, Kind::OtaPackage, &view.object.spec))
    {
        return Outcome::stuck(Reason::NotSupported, message).in_sync(Truth::False);
    }
    if let Some(why) = lacks_files(view.object) {
        return Outcome::stuck(Reason::FilesUnavailable, why).in_sync(Truth::False);
    }
    let token = token(view);
    let other = |intent: &&crate::api::Intent| {
        intent.operation == CreateOperation::CreatePackage && intent.token != token
    };
    if let Some(intent) = status.pending.iter().find(other) {
        let message = format!("waits for call {}, which is not settled", intent.token);
        return Outcome::working(Reason::Creating, message).in_sync(Truth::False);
    }
    let mut package = wanted(view.object, view.capabilities);
    // Its devices run it already: the cloud could verify nothing, and would hold it back for ever.
    if condition_is_true(&status.conditions, VERIFIED) {
        package.verification = None;
    }
    let message = format!("version {} is not in the cloud, and is created", package.key.version);
    let outcome = Outcome::working(Reason::Creating, message).in_sync(Truth::False);
    outcome.with([Action::CreatePackage { token, package }])
}

/// Why a package that would be uploaded cannot be.
fn lacks_files(object: &OtaPackage) -> Option<String> {
    let (field, _) = local_files(object).into_iter().find(|(_, file)| file.root.as_os_str().is_empty())?;
    Some(format!("{field}: {NO_FILES}"))
}

fn vanished(view: &PackageView<'_>, status: &OtaPackageStatus, id: &str) -> Outcome {
    match view.object.spec.drift_policy {
        DriftPolicy::Correct => create(view, status),
        DriftPolicy::Report => {
            let message = format!(
                "package {id} was deleted in the cloud (driftPolicy: Report; Correct would create it anew)"
            );
            Outcome::stuck(Reason::Drifted, message).in_sync(Truth::False)
        }
    }
}

/// The cloud holds an equal package: it is ours from now on, unless the spec forbids to adopt it.
fn take_over(
    view: &PackageView<'_>,
    status: &mut OtaPackageStatus,
    package: &Package,
    packages: &Seen<Vec<Package>>,
    is_known: bool,
) -> Outcome {
    let id = &package.row.id;
    let token = token(view);
    let created = status.pending.iter().any(|intent| intent.token == token);
    let origin = match status.origin.filter(|_| is_known) {
        Some(origin) => origin,
        None if created => Origin::Created,
        None => Origin::Adopted,
    };
    if origin == Origin::Adopted && view.object.spec.adoption == Adoption::Never {
        return refused(id);
    }
    status.pending.retain(|intent| intent.token != token);
    if !is_known {
        status.known_since = Some(packages.at);
    }
    status.package_id = Some(id.clone());
    status.origin = Some(origin);
    let (reason, word) = match origin {
        Origin::Created => (Reason::Created, "was created by Rollwave"),
        Origin::Adopted => (Reason::Adopted, "was there, equal, and was adopted"),
    };
    let others: Vec<&str> =
        packages.value.iter().map(|p| p.row.id.as_str()).filter(|other| other != id).collect();
    let mut message = format!("package {id} {word}");
    if !others.is_empty() {
        message += &format!("; the cloud holds {} more of this version: {}", others.len(), others.join(", "));
    }
    let mut outcome = verify::verify(view, status, id);
    outcome.in_sync = Some(Fact::new(Truth::True, reason, message.clone()));
    if outcome.standing == report::Standing::Done {
        outcome.reason = Reason::Ready;
        outcome.message = format!("{message}; {}", outcome.message);
    }
    outcome
}

fn refused(id: &str) -> Outcome {
    let message = format!(
        "the cloud already holds package {id} of this version, and Rollwave did not create it (adoption: Never)"
    );
    Outcome::stuck(Reason::AdoptionRefused, message).in_sync(Truth::False)
}

/// The cloud holds a different package of this version.
fn differs(
    view: &PackageView<'_>,
    status: &mut OtaPackageStatus,
    package: &Package,
    differences: &[String],
    is_known: bool,
) -> Outcome {
    let (id, spec) = (&package.row.id, &view.object.spec);
    let differences = differences.join("; ");
    let message = format!("package {id} differs: {differences}");
    if !is_known && spec.adoption == Adoption::Never {
        return refused(id);
    }
    if spec.drift_policy == DriftPolicy::Report {
        return Outcome::stuck(Reason::Drifted, message).in_sync(Truth::False);
    }
    if !is_known || status.origin.is_none() {
        let message =
            format!("{message}; it is not deleted, because Rollwave neither created nor adopted it");
        return Outcome::stuck(Reason::DriftedNotOwned, message).in_sync(Truth::False);
    }
    let Some(jobs) = &view.jobs else {
        let message = format!("{message}; looking at the jobs that may need it");
        return Outcome::working(Reason::Drifted, message).in_sync(Truth::False);
    };
    let holders = leave::holders(&jobs.value, id, view.capabilities);
    if !holders.is_empty() {
        let holders = leave::describe(&holders);
        let message = format!("{message}; it cannot be replaced while something needs it: {holders}");
        return Outcome::stuck(Reason::DriftBlocked, message).in_sync(Truth::False);
    }
    if let Some(why) = lacks_files(view.object) {
        let message = format!("{message}; it is not deleted, because it could not be created again: {why}");
        return Outcome::stuck(Reason::DriftBlocked, message).in_sync(Truth::False);
    }
    // Where jobs are listed by package, one that nobody has seen could not be found any more, and would be sent again.
    if let Some(token) = verify::unsettled(status, &jobs.value, view.now) {
        let message = format!("{message}; it is not replaced before call {token} is settled");
        return Outcome::working(Reason::Drifted, message).in_sync(Truth::False);
    }
    let message = format!("{message}; it is deleted, and created anew");
    Outcome::working(Reason::Replacing, message)
        .in_sync(Truth::False)
        .with([Action::DeletePackage { id: id.clone() }])
}
