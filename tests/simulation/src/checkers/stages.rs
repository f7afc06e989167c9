//! Laws of stages, redone by hand from the manifest and from what devices really ran: a rank decides who is in a share, and
//! a stage is released because the devices of the one before run the version, not because a job or a status says so.

use super::creates::run_key;
use super::{Creates, Sent};
use crate::checkers::effective;
use crate::checkers::intent::is_selected;
use crate::clouds::VersionTruth;
use rollwave::api::{
    Artifact, Evidence, Kind, ObjectKey, OtaPackage, OtaRollout, OutcomeGate, PackageType, Percent,
    StageStatus, Verdict,
};
use rollwave::cloud::PackageKind;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Every version that a device was ever seen to run: whenever the engine may have seen it, too, and before a job begins.
#[derive(Default)]
pub(super) struct Ran {
    versions: BTreeMap<String, Vec<(PackageKind, String)>>,
    /// Objects that were edited since the intent of the job that leaves became durable.
    pub(super) edited: BTreeSet<ObjectKey>,
}

impl Ran {
    /// Devices run this now.
    pub(super) fn now<'a>(&mut self, versions: impl Iterator<Item = VersionTruth<'a>>) {
        for seen in versions {
            if !self.did(&seen) {
                let ran = self.versions.entry(seen.device.to_owned()).or_default();
                ran.push((seen.kind, seen.version.to_owned()));
            }
        }
    }

    fn did(&self, seen: &VersionTruth<'_>) -> bool {
        let is_it = |(kind, version): &(PackageKind, String)| *kind == seen.kind && version == seen.version;
        self.versions.get(seen.device).is_some_and(|ran| ran.iter().any(is_it))
    }

    fn count<'a>(&self, devices: impl Iterator<Item = &'a String>, package: &OtaPackage) -> u32 {
        let (kind, version) = (kind_of(package), package.spec.version.as_str());
        let ran = |device: &&String| self.did(&VersionTruth { device, kind, version });
        u32::try_from(devices.filter(ran).count()).unwrap_or(u32::MAX)
    }

    fn is_edited(&self, package: &OtaPackage) -> bool {
        self.edited.contains(&ObjectKey::of(Kind::OtaPackage, &package.metadata))
    }

    /// The rank of a device, which the bytes of the package decide, is within the share of its stage.
    pub(super) fn within_share(
        &self,
        rollout: &OtaRollout,
        package: &OtaPackage,
        stage: &str,
        devices: &BTreeSet<String>,
    ) -> Result<(), String> {
        if self.is_edited(package) {
            return Ok(());
        }
        in_its_sets(rollout, stage, devices)?;
        let outside = outside_share(rollout, package, stage, devices);
        let Some(device) = outside.first().filter(|_| outside.len() > self.strata(rollout, stage, &outside))
        else {
            return Ok(());
        };
        Err(format!(
            "{device} is sent in stage {stage}, and its rank is outside of its share ({} devices)",
            outside.len()
        ))
    }

    /// Of each stratum one device may be outside of the share: the versions that these ever ran, and none at all.
    fn strata(&self, rollout: &OtaRollout, stage: &str, devices: &[&String]) -> usize {
        let written = rollout.spec.order.as_ref().is_some_and(|order| !order.stratify_by.is_empty());
        let stages = rollout.status.iter().flat_map(|status| &status.stages);
        let begun = stages.into_iter().any(|known| known.name == stage && known.strata.is_some());
        if !written && !begun {
            return 0;
        }
        let versions = devices.iter().filter_map(|device| self.versions.get(*device)).flatten();
        versions.map(|(_, version)| version).collect::<BTreeSet<_>>().len() + 1
    }

    /// Before a request leaves, the strata of the devices that it adds are durable, and each of them ran that version.
    pub(super) fn has_noted_strata(
        &self,
        rollout: &OtaRollout,
        stage: &str,
        (token, devices): (&str, &BTreeSet<String>),
        added: usize,
    ) -> Result<(), String> {
        let by = rollout.spec.order.as_ref().map_or(&[][..], |order| &order.stratify_by);
        let is_edited = self.edited.contains(&ObjectKey::of(Kind::OtaRollout, &rollout.metadata));
        if by.is_empty() || is_edited || added == 0 {
            return Ok(());
        }
        let stages = rollout.status.iter().flat_map(|status| &status.stages);
        let record = stages.filter(|known| known.name == stage).find_map(|known| known.strata.as_ref());
        let noted = record.and_then(|record| record.sending.as_ref()).filter(|noted| noted.token == token);
        let Some(noted) = noted else {
            return Err(format!("{added} devices join stage {stage}, and their strata are not recorded"));
        };
        let counted: u32 = noted.counts.iter().map(|stratum| stratum.devices).sum();
        if (counted as usize) < added {
            return Err(format!("{added} devices join stage {stage}, and {counted} are in a stratum"));
        }
        for stratum in &noted.counts {
            let ran = |device: &&String| {
                let versions = self.versions.get(*device);
                versions.is_some_and(|versions| versions.iter().any(|(_, version)| *version == stratum.name))
            };
            let ran = devices.iter().filter(ran).count();
            let is_version = self.versions.values().flatten().any(|(_, version)| *version == stratum.name);
            if is_version && ran < stratum.devices as usize {
                return Err(format!(
                    "{} devices of stratum {} join stage {stage}, and {ran} of them ever ran it",
                    stratum.devices, stratum.name
                ));
            }
        }
        Ok(())
    }

    /// The trial of a package: enough of its devices ran the version.
    pub(super) fn is_verified(&self, package: &OtaPackage) -> Result<(), String> {
        let Some(trial) = &package.spec.verification else { return Ok(()) };
        if self.is_edited(package) {
            return Ok(());
        }
        let ran = self.count(trial.devices.iter(), package);
        if reaches(ran, trial.devices.len(), trial.min_success) {
            return Ok(());
        }
        let all = trial.devices.len();
        Err(format!("{ran} of {all} devices ever ran {}: it is not verified", package.spec.version))
    }

    /// The stages before this one: as many devices ran the version as their status says, and as their gates ask for.
    pub(super) fn have_passed(
        &self,
        rollout: &OtaRollout,
        package: &OtaPackage,
        stage: &str,
        creates: &Creates,
    ) -> Result<(), String> {
        let Some(status) = &rollout.status else { return Ok(()) };
        let uid = rollout.metadata.uid.clone().unwrap_or_default();
        let identity = run_key(status);
        let mut all = BTreeSet::new();
        for before in status.stages.iter().take_while(|before| before.name != stage) {
            let sent = Sent { uid: uid.clone(), package: identity.clone(), stage: Some(before.name.clone()) };
            // A cloud leaves out a device that another rollout's job has updated a moment before. A request that took no effect
            // sent the package to nobody.
            let mut members = creates.members.get(&sent).cloned().unwrap_or_default();
            if !members.is_empty() {
                members.extend(creates.asked(&sent));
            }
            all.extend(members.iter().cloned());
            if members.is_empty() {
                // A stage that was sent to nobody is proven by the devices before it, and by those that it names.
                let stages = effective::stages(rollout);
                let spec = stages.iter().find(|spec| spec.name == before.name);
                members.clone_from(&all);
                members
                    .extend(spec.into_iter().flat_map(|spec| spec.select.devices.iter().flatten()).cloned());
                let is_selected =
                    |id: &&String| spec.is_some_and(|spec| is_selected(&spec.select, id) == Some(true));
                members.extend(self.versions.keys().filter(is_selected).cloned());
            }
            let ran = self.count(members.iter(), package);
            self.has_passed(rollout, before, ran)?;
        }
        Ok(())
    }

    fn has_passed(&self, rollout: &OtaRollout, before: &StageStatus, ran: u32) -> Result<(), String> {
        let (name, counts) = (&before.name, before.counts);
        if counts.succeeded > ran {
            let told = counts.succeeded;
            return Err(format!(
                "stage {name} counts {told} devices as updated, and {ran} ever ran the version"
            ));
        }
        let stages = effective::stages(rollout);
        let spec = stages.iter().find(|spec| spec.name == *name);
        for gate in spec.into_iter().flat_map(|spec| spec.gates.iter().flatten()) {
            match before.gates.iter().find(|evidence| evidence.rule == gate.name) {
                Some(evidence) => gate
                    .outcome
                    .as_ref()
                    .map_or(Ok(()), |outcome| has_let_pass(outcome, evidence, ran))
                    .map_err(|why| format!("stage {name}, gate {} {why}", gate.name))?,
                None if counts.assigned == 0 => {}
                None => {
                    return Err(format!("stage {name} passed, and gate {} was never evaluated", gate.name));
                }
            }
        }
        Ok(())
    }
}

/// What a gate wrote down when it let the next stage go was enough, and was true: devices may have left the version since,
/// but as many did run it.
fn has_let_pass(gate: &OutcomeGate, evidence: &Evidence, ran: u32) -> Result<(), String> {
    // Those without an outcome count as failures.
    let succeeded = evidence.sample.saturating_sub(evidence.failures + evidence.unfinished);
    let whole = |devices: u32| usize::try_from(devices).unwrap_or(usize::MAX);
    let goal = gate.min_success.unwrap_or(Percent::FULL);
    let is_enough = reaches(succeeded, whole(evidence.sample), goal)
        && reaches(evidence.sample, whole(evidence.assigned), gate.min_observed);
    if evidence.verdict == Verdict::Pass && is_enough && succeeded <= ran {
        return Ok(());
    }
    Err(format!(
        "lets the next one go by \"{}\", and {ran} of its devices ever ran the version",
        evidence.message
    ))
}

/// Devices of a stage that selects groups or tags are in them.
fn in_its_sets(rollout: &OtaRollout, stage: &str, devices: &BTreeSet<String>) -> Result<(), String> {
    let stages = effective::stages(rollout);
    let select = stages.iter().find(|spec| spec.name == stage).map(|spec| spec.select.clone());
    let Some(select) = select else { return Ok(()) };
    match devices.iter().find(|device| is_selected(&select, device) == Some(false)) {
        Some(device) => {
            Err(format!("{device} is sent in stage {stage}, and is in none of its groups or tags"))
        }
        None => Ok(()),
    }
}

/// Devices of a share have a rank within it, whenever they are sent: those that have not.
fn outside_share<'d>(
    rollout: &OtaRollout,
    package: &OtaPackage,
    stage: &str,
    devices: &'d BTreeSet<String>,
) -> Vec<&'d String> {
    let stages = effective::stages(rollout);
    let spec = stages.iter().find(|spec| spec.name == stage);
    let Some(percent) = spec.and_then(|spec| spec.select.percent) else { return Vec::new() };
    let given = rollout.spec.order.as_ref().and_then(|order| order.seed.clone());
    let seed = given.unwrap_or_else(|| digest_of(&package.spec.artifact));
    let share = |device: &str| {
        let digest = Sha256::digest(format!("{seed}{device}"));
        let rank = digest.iter().take(8).fold(0_u128, |rank, byte| (rank << 8) | u128::from(*byte));
        rank * 1_000_000 / (1 << 64)
    };
    let outside = |device: &&String| share(device) >= u128::from(percent.parts_per_million());
    devices.iter().filter(outside).collect()
}

/// The digest of the one file; of several, one over their names and digests in the order of the names, each behind its length.
fn digest_of(artifact: &Artifact) -> String {
    let Some(files) = &artifact.files else {
        return artifact.sha256.clone().unwrap_or_default().to_ascii_lowercase();
    };
    let mut pairs: Vec<[&str; 2]> = files.iter().map(|file| [file.name.as_str(), &file.sha256]).collect();
    pairs.sort_unstable();
    let mut hash = Sha256::new();
    for part in std::iter::once("files").chain(pairs.into_iter().flatten()) {
        hash.update([&(part.len() as u64).to_be_bytes(), part.to_ascii_lowercase().as_bytes()].concat());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn reaches(part: u32, whole: usize, share: Percent) -> bool {
    u128::from(part) * 1_000_000 >= whole as u128 * u128::from(share.parts_per_million())
}

/// What its version is the version of. The fleet knows that of the one module of these worlds as software.
pub(super) fn kind_of(package: &OtaPackage) -> PackageKind {
    match package.spec.kind {
        PackageType::Firmware if package.spec.module.is_none() => PackageKind::Firmware,
        PackageType::Firmware | PackageType::Software => PackageKind::Software,
    }
}
