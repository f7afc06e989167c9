//! Which rollout owns a device that several rollouts target. For each device and module it is the one with the highest
//! `spec.priority`, then the one with the later release. If two are equal, neither sends to the device.
//!
//! **Invariant:** the answer follows from the specs and from what the device reports, never from the order of events, and
//! is the same for each of the rollouts.

mod foreseen;

pub use foreseen::{Foreseen, foresee};

use super::sets::Chosen;
use super::stage::Target;
use super::version_order;
use crate::api::{OtaPackage, OtaRollout};
use crate::cloud::Device;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Another rollout of the same account, with what decides ownership.
#[derive(Clone, Debug)]
pub struct Rival<'a> {
    /// The rollout.
    pub rollout: &'a OtaRollout,
    /// Its package.
    pub package: &'a OtaPackage,
    /// Ids that its groups or tags resolve to; none when it names neither, or when they were not read.
    pub members: Option<&'a BTreeSet<String>>,
}

/// A rollout with what decides which devices it claims.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    rollout: &'a OtaRollout,
    package: &'a OtaPackage,
    selected: Selected<'a>,
    excluded: BTreeSet<&'a str>,
}

#[derive(Clone, Debug)]
enum Selected<'a> {
    All,
    Ids(BTreeSet<&'a str>),
    Members(&'a BTreeSet<String>),
    Unread,
}

/// The owner of a device.
#[derive(Clone, Debug)]
pub enum Owner<'o, 'a> {
    /// This rollout, or no other one.
    Ours,
    /// Another rollout.
    Elsewhere(&'o Claim<'a>),
    /// None: this rollout and these others have equal claims.
    Nobody(Vec<&'o Claim<'a>>),
}

/// The claim of this rollout and those of its rivals.
#[derive(Clone, Debug)]
pub struct Ownership<'a> {
    ours: Claim<'a>,
    rivals: Vec<Claim<'a>>,
}

impl<'a> Ownership<'a> {
    /// `rivals` are other rollouts of the same account. Those of another product, type or module, and those being
    /// deleted, are ignored.
    #[must_use]
    pub fn new(rollout: &'a OtaRollout, package: &'a OtaPackage, rivals: &[Rival<'a>]) -> Self {
        let ours = Claim::new(&Rival { rollout, package, members: None });
        let rivals = rivals.iter().map(Claim::new).filter(|claim| claim.is_rival_of(&ours)).collect();
        Self { ours, rivals }
    }

    /// The owner of a device that our targets select.
    #[must_use]
    pub fn owner(&self, device: &Device) -> Owner<'_, 'a> {
        if self.rivals.is_empty() || !self.ours.fits(device) {
            return Owner::Ours;
        }
        let rivals: Vec<&Claim<'_>> = self.rivals.iter().filter(|rival| rival.claims(device)).collect();
        let is_beaten = |claim: &Claim<'_>| {
            let others = rivals.iter().copied().chain([&self.ours]);
            others.into_iter().any(|other| other.compare(claim) == Ordering::Greater)
        };
        let first: Vec<&Claim<'_>> = rivals.iter().copied().filter(|rival| !is_beaten(rival)).collect();
        match (is_beaten(&self.ours), first.as_slice()) {
            (false, []) => Owner::Ours,
            (true, [owner, ..]) => Owner::Elsewhere(owner),
            (false, equal) => self.nobody(equal.to_vec(), device),
            // Counters and versions contradict each other: each claim is beaten by another.
            (true, []) => self.nobody(rivals, device),
        }
    }

    /// Rollouts of a version send nothing to devices that already run it.
    fn nobody<'o>(&self, rivals: Vec<&'o Claim<'a>>, device: &Device) -> Owner<'o, 'a> {
        let is_done = self.ours.target().is_reported_by(device)
            && rivals.iter().all(|rival| rival.package.spec.version == self.ours.package.spec.version);
        if is_done { Owner::Ours } else { Owner::Nobody(rivals) }
    }

    /// The other rollout that owns the device, if any.
    #[must_use]
    pub fn owned_elsewhere(&self, device: &Device) -> Option<&Claim<'a>> {
        match self.owner(device) {
            Owner::Elsewhere(rival) => Some(rival),
            Owner::Ours | Owner::Nobody(_) => None,
        }
    }

    /// A rival that may own some of our devices, and whose groups or tags were not read.
    #[must_use]
    pub fn unread(&self) -> Option<&Claim<'a>> {
        let is_unread = |claim: &&Claim<'_>| matches!(claim.selected, Selected::Unread);
        self.rivals.iter().filter(is_unread).find(|rival| rival.compare(&self.ours) != Ordering::Less)
    }

    /// Why this rival takes precedence over us: `priority 10 is higher than 0`.
    #[must_use]
    pub fn why(&self, owner: &Claim<'_>) -> String {
        owner.beats_because(&self.ours)
    }

    /// What equal claims have in common: `priority 0 and release V2`.
    #[must_use]
    pub fn tie(&self) -> String {
        format!("priority {} and release {}", self.ours.priority(), self.ours.release())
    }

    /// Name of a rival, with its namespace if that is not ours.
    #[must_use]
    pub fn name_of(&self, rival: &Claim<'_>) -> String {
        let (meta, ours) = (&rival.rollout.metadata, &self.ours.rollout.metadata);
        let name = meta.name.as_deref().unwrap_or_default();
        match &meta.namespace {
            Some(namespace) if meta.namespace != ours.namespace => format!("{namespace}/{name}"),
            _ => name.to_owned(),
        }
    }
}

impl<'a> Claim<'a> {
    /// The claim of a rollout.
    #[must_use]
    pub fn new(of: &Rival<'a>) -> Self {
        let targets = &of.rollout.spec.targets;
        let selected = match &targets.devices {
            Some(devices) => Selected::Ids(devices.iter().map(String::as_str).collect()),
            None if Chosen::by_targets(targets).is_some() => {
                of.members.map_or(Selected::Unread, Selected::Members)
            }
            None if targets.all == Some(true) => Selected::All,
            None => Selected::Ids(BTreeSet::new()),
        };
        let excluded = targets.exclude.iter().flat_map(|exclude| &exclude.devices);
        let excluded = excluded.map(String::as_str).collect();
        Self { rollout: of.rollout, package: of.package, selected, excluded }
    }

    fn is_rival_of(&self, ours: &Self) -> bool {
        let (theirs, own) = (&self.package.spec, &ours.package.spec);
        let (meta, own_meta) = (&self.rollout.metadata, &ours.rollout.metadata);
        let is_other = (&meta.namespace, &meta.name) != (&own_meta.namespace, &own_meta.name);
        let same_part = theirs.kind == own.kind && theirs.module() == own.module();
        is_other && same_part && theirs.product == own.product && meta.deletion_timestamp.is_none()
    }

    /// True when it wants the device to run its version.
    fn claims(&self, device: &Device) -> bool {
        let id = device.id.as_str();
        let is_selected = match &self.selected {
            Selected::All => true,
            Selected::Ids(ids) => ids.contains(id),
            Selected::Members(members) => members.contains(id),
            Selected::Unread => false,
        };
        is_selected && !self.excluded.contains(id) && self.fits(device)
    }

    /// True for a device that may be sent the package, or runs it.
    fn fits(&self, device: &Device) -> bool {
        let version = device.version(self.package.spec.kind);
        let allowed = [&self.rollout.spec.targets.from_versions, &self.package.spec.source_versions];
        let fits =
            |list: &Vec<String>| list.is_empty() || version.is_some_and(|v| list.iter().any(|a| a == v));
        self.target().is_reported_by(device) || allowed.into_iter().all(fits)
    }

    fn target(&self) -> Target<'_> {
        Target { kind: self.package.spec.kind, version: &self.package.spec.version }
    }

    fn priority(&self) -> i32 {
        self.rollout.spec.priority
    }

    /// Precedence: `Greater` is the owner.
    fn compare(&self, other: &Self) -> Ordering {
        self.priority().cmp(&other.priority()).then_with(|| self.compare_release(other))
    }

    fn compare_release(&self, other: &Self) -> Ordering {
        match self.counters(other) {
            Some((ours, theirs)) => ours.cmp(&theirs),
            None => version_order::compare(&self.package.spec.version, &other.package.spec.version),
        }
    }

    fn counters(&self, other: &Self) -> Option<(u32, u32)> {
        self.package.spec.release_counter.zip(other.package.spec.release_counter)
    }

    fn release(&self) -> String {
        let version = &self.package.spec.version;
        let counter = self.package.spec.release_counter;
        counter.map_or_else(|| version.clone(), |counter| format!("{version} (counter {counter})"))
    }

    fn beats_because(&self, other: &Self) -> String {
        if self.priority() != other.priority() {
            return format!("priority {} is higher than {}", self.priority(), other.priority());
        }
        match self.counters(other) {
            Some((first, second)) => format!("release counter {first} is later than {second}"),
            None => format!("{} is later than {}", self.package.spec.version, other.package.spec.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::testing::{package, rollout};
    use jiff::Timestamp;
    use proptest::prelude::*;

    /// A rollout and its package.
    type Entry = (OtaRollout, OtaPackage);

    fn entry(name: &str, version: &str) -> Entry {
        let (mut rollout, mut package) = (rollout(), package());
        rollout.metadata.name = Some(name.to_owned());
        version.clone_into(&mut package.spec.version);
        (rollout, package)
    }

    fn edited(name: &str, version: &str, edit: impl FnOnce(&mut OtaRollout, &mut OtaPackage)) -> Entry {
        let (mut rollout, mut package) = entry(name, version);
        edit(&mut rollout, &mut package);
        (rollout, package)
    }

    fn device(id: &str, version: &str) -> Device {
        Device {
            id: id.into(),
            product: "meter".into(),
            firmware: Some(version.into()),
            software: None,
            online: None,
            upgrading: None,
        }
    }

    /// How the first of them sees the device.
    fn told(entries: &[&Entry], device: &Device) -> String {
        let rivals: Vec<Rival<'_>> =
            entries[1..].iter().map(|(rollout, package)| Rival { rollout, package, members: None }).collect();
        let (rollout, package) = entries[0];
        let ownership = Ownership::new(rollout, package, &rivals);
        match ownership.owner(device) {
            Owner::Ours => "ours".to_owned(),
            Owner::Elsewhere(owner) => format!("{}: {}", ownership.name_of(owner), ownership.why(owner)),
            Owner::Nobody(equal) => {
                let names: Vec<String> = equal.iter().map(|claim| ownership.name_of(claim)).collect();
                format!("nobody, with {}: {}", names.join(", "), ownership.tie())
            }
        }
    }

    fn both(a: &Entry, b: &Entry, version: &str) -> (String, String) {
        let device = device("d", version);
        (told(&[a, b], &device), told(&[b, a], &device))
    }

    #[test]
    fn the_highest_priority_comes_first_then_the_later_release() {
        let (v9, v10) = (entry("a", "V9"), entry("b", "V10"));
        assert_eq!(both(&v9, &v10, "V1"), ("b: V10 is later than V9".into(), "ours".into()));
        let urgent = edited("a", "V9", |rollout, _| rollout.spec.priority = 5);
        assert_eq!(both(&urgent, &v10, "V1"), ("ours".into(), "a: priority 5 is higher than 0".into()));
        let counted = |name, version, counter| {
            edited(name, version, |_, package| package.spec.release_counter = counter)
        };
        let (old, new) = (counted("a", "V9", Some(7)), counted("b", "V10", Some(6)));
        assert_eq!(both(&old, &new, "V1"), ("ours".into(), "a: release counter 7 is later than 6".into()));
        let new = counted("b", "V10", None);
        assert_eq!(both(&old, &new, "V1"), ("b: V10 is later than V9".into(), "ours".into()));
    }

    #[test]
    fn equal_claims_are_nobodys_but_for_devices_that_are_done() {
        let (a, b) = (entry("a", "V2"), entry("b", "V2"));
        let tied = |name| format!("nobody, with {name}: priority 0 and release V2");
        assert_eq!(both(&a, &b, "V1"), (tied("b"), tied("a")));
        assert_eq!(both(&a, &b, "V2"), ("ours".into(), "ours".into()));
        let c = edited("c", "V1", |rollout, _| rollout.spec.priority = 1);
        assert_eq!(told(&[&a, &b, &c], &device("d", "V1")), "c: priority 1 is higher than 0");
        let d = edited("d", "V3", |rollout, _| rollout.spec.priority = -1);
        assert!(told(&[&d, &a, &b], &device("d", "V1")).starts_with("a: priority 0 is higher than -1"));
    }

    #[test]
    fn counters_and_versions_that_contradict_each_other_make_nobody_the_owner() {
        let counted = |name, version, counter| {
            edited(name, version, |_, package| package.spec.release_counter = counter)
        };
        let (a, b, c) = (counted("a", "V1", Some(5)), counted("b", "V2", None), counted("c", "V3", Some(3)));
        for entries in [[&a, &b, &c], [&b, &c, &a], [&c, &a, &b]] {
            assert!(told(&entries, &device("d", "V0")).starts_with("nobody"));
        }
    }

    #[test]
    fn a_rollout_claims_what_it_targets_and_what_runs_its_version() {
        let old = entry("old", "V2");
        let from = |versions: &[&str]| {
            let versions = versions.iter().map(ToString::to_string).collect();
            edited("new", "V3", |rollout, _| rollout.spec.targets.from_versions = versions)
        };
        let next = from(&["V2"]);
        assert_eq!(told(&[&old, &next], &device("d", "V1")), "ours", "the chain begins");
        for version in ["V2", "V3"] {
            assert_eq!(told(&[&old, &next], &device("d", version)), "new: V3 is later than V2");
            assert_eq!(told(&[&next, &old], &device("d", version)), "ours");
        }
        let sourced = edited("new", "V3", |_, package| package.spec.source_versions = vec!["V2".into()]);
        assert_eq!(told(&[&old, &sourced], &device("d", "V1")), "ours");
        let excluding = edited("new", "V3", |rollout, _| {
            rollout.spec.targets.exclude =
                serde_json::from_value(serde_json::json!({"devices": ["d"]})).unwrap();
        });
        assert_eq!(told(&[&old, &excluding], &device("d", "V1")), "ours");
        assert_ne!(told(&[&old, &excluding], &device("e", "V1")), "ours");
        let named = edited("new", "V3", |rollout, _| {
            rollout.spec.targets.all = None;
            rollout.spec.targets.devices = Some(vec!["d".into()]);
        });
        assert_ne!(told(&[&old, &named], &device("d", "V1")), "ours");
        assert_eq!(told(&[&old, &named], &device("e", "V1")), "ours");
    }

    #[test]
    fn what_is_deleted_or_for_something_else_is_no_rival() {
        let old = entry("old", "V2");
        let edits: [fn(&mut OtaRollout, &mut OtaPackage); 4] = [
            |rollout, _| rollout.metadata.deletion_timestamp = Some(crate::api::Time(Timestamp::UNIX_EPOCH)),
            |_, package| package.spec.product.id = Some("pump".into()),
            |_, package| package.spec.kind = crate::api::PackageType::Software,
            |_, package| package.spec.module = Some("modem".into()),
        ];
        for edit in edits {
            assert_eq!(told(&[&old, &edited("new", "V3", edit)], &device("d", "V1")), "ours");
        }
        let intents: [fn(&mut OtaRollout, &mut OtaPackage); 2] = [
            |rollout, _| rollout.spec.suspend = true,
            |_, package| package.spec.module = Some("default".into()),
        ];
        for edit in intents {
            assert_ne!(told(&[&old, &edited("new", "V3", edit)], &device("d", "V1")), "ours");
        }
    }

    #[test]
    fn groups_that_were_not_read_matter_only_where_they_could_win() {
        let grouped = |version| {
            edited("b", version, |rollout, _| {
                rollout.spec.targets.all = None;
                rollout.spec.targets.groups = Some(vec!["g".into()]);
            })
        };
        let ours = entry("a", "V2");
        for (version, is_unread) in [("V1", false), ("V2", true), ("V3", true)] {
            let (rollout, package) = &grouped(version);
            let rival = |members| [Rival { rollout, package, members }];
            assert_eq!(
                Ownership::new(&ours.0, &ours.1, &rival(None)).unread().is_some(),
                is_unread,
                "{version}"
            );
            let members = BTreeSet::from(["d".to_owned()]);
            let read = rival(Some(&members));
            let ownership = Ownership::new(&ours.0, &ours.1, &read);
            assert!(ownership.unread().is_none());
            assert_eq!(ownership.owned_elsewhere(&device("d", "V1")).is_some(), version == "V3");
            assert!(ownership.owned_elsewhere(&device("e", "V1")).is_none());
        }
    }

    fn any_entry(n: usize) -> impl Strategy<Value = Entry> {
        let counter = prop_oneof![Just(None), (0_u32..3).prop_map(Some)];
        (0..2_i32, counter, 1..4_u8, prop::collection::vec(1..4_u8, 0..3)).prop_map(
            move |(priority, counter, version, from)| {
                edited(&format!("r{n}"), &format!("V{version}"), |rollout, package| {
                    rollout.spec.priority = priority;
                    rollout.spec.targets.from_versions = from.iter().map(|v| format!("V{v}")).collect();
                    package.spec.release_counter = counter;
                })
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn all_rollouts_agree_on_the_owner_in_any_order(
            entries in (any_entry(0), any_entry(1), any_entry(2), any_entry(3)), version in 1..4_u8, turn in 1..3_usize,
        ) {
            let entries = [&entries.0, &entries.1, &entries.2, &entries.3];
            let device = device("d", &format!("V{version}"));
            let mut senders = BTreeSet::new();
            let mut owners = BTreeSet::new();
            for n in 0..entries.len() {
                let mut asked = entries.to_vec();
                asked.swap(0, n);
                let answer = told(&asked, &device);
                asked[1..].rotate_left(turn);
                let again = told(&asked, &device);
                prop_assert_eq!(answer.split(':').next() == Some("ours"), again == "ours");
                let claim = Claim::new(&Rival { rollout: &asked[0].0, package: &asked[0].1, members: None });
                if answer == "ours" && claim.claims(&device) && !claim.target().is_reported_by(&device) {
                    senders.insert(format!("r{n}"));
                } else if answer.contains("is higher") || answer.contains("is later") {
                    owners.insert(answer.split(':').next().unwrap_or_default().to_owned());
                }
            }
            prop_assert!(senders.len() <= 1, "{:?}", senders);
            if let Some(sender) = senders.first() {
                prop_assert!(owners.iter().all(|owner| owner == sender), "{:?} {:?}", sender, owners);
            }
        }
    }
}
