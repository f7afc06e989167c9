//! What became of the devices of each stage in truth: by their jobs, and by what they run.

use crate::checkers::{Creates, Sent};
use crate::clouds::{JobTruth, VersionTruth};
use jiff::{SignedDuration, Timestamp};
use rollwave::cloud::PackageKind;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long it is remembered how many devices had failed.
const REMEMBERED: SignedDuration = SignedDuration::from_mins(20);

/// A run of a rollout: all stages of [`Sent`] that share the rest.
pub(super) type Run = (String, String);

pub(super) fn run_of(sent: &Sent) -> Run {
    (sent.uid.clone(), sent.package.clone())
}

/// What a stage is to bring its devices to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    pub(super) kind: PackageKind,
    pub(super) version: String,
}

/// A device that a stage was sent to.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// The newest job of this stage that names it.
    job: String,
    /// That job shows no token: once the state is lost, nothing tells whose it is.
    is_anonymous: bool,
    /// That job says how it ended for this device.
    answered: bool,
    /// It says so because the device never came online. It is no failure; it counts as one until the reason was read.
    never_began: bool,
    /// Nobody can be sure what the engine counts it as: its job or the device was deleted, or another job names it.
    unsure: bool,
    runs: bool,
    /// It was failing at some time.
    failed: bool,
    /// It ran the version after it had failed, or the cloud tried it again.
    recovered: bool,
    /// Another attempt was taken, and it has no newer job yet: it counts as failed until the job that it failed in is over.
    forgiven: bool,
}

impl Member {
    const fn is_failing(&self) -> bool {
        self.answered && !self.runs && !self.forgiven && !self.never_began
    }
}

/// The devices that one stage was sent to in one run.
#[derive(Clone, Debug)]
pub(super) struct Cohort {
    goal: Goal,
    members: BTreeMap<String, Member>,
    /// Devices that were seen to run the version since they were sent it.
    pub(super) ran: BTreeSet<String>,
    /// The state was lost, and no key of a stage that neither spec nor status names is looked for: nothing shows its jobs.
    is_untold: bool,
}

/// Numbers of devices of a run, at one moment: the smallest and the largest that may be true for whoever looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) failing: (u32, u32),
    pub(super) running: (u32, u32),
    /// Devices that were sent: no more can have begun.
    pub(super) sent: u32,
}

/// What is true, and what was.
#[derive(Default)]
pub(super) struct Truth {
    goals: BTreeMap<Sent, Goal>,
    cohorts: BTreeMap<Sent, Cohort>,
    jobs: BTreeSet<String>,
    /// What a device runs of a kind, since when, and what it ran before.
    versions: BTreeMap<(String, PackageKind), (String, Timestamp, Option<String>)>,
    numbers: BTreeMap<Run, VecDeque<(Timestamp, Numbers)>>,
    state_lost: bool,
}

impl Truth {
    /// A job leaves that is to bring its devices there.
    pub(super) fn leaves(&mut self, sent: &Sent, goal: Goal) {
        self.goals.insert(sent.clone(), goal);
    }

    pub(super) fn cohort(&self, sent: &Sent) -> Option<&Cohort> {
        self.cohorts.get(sent)
    }

    pub(super) fn kind_of(&self, sent: &Sent) -> Option<PackageKind> {
        self.goals.get(sent).map(|goal| goal.kind)
    }

    /// Devices of a stage that had failed, and came to run the version, or that the cloud tried again.
    pub(super) fn recovered(&self, sent: &Sent) -> u32 {
        let members = self.cohorts.get(sent).into_iter().flat_map(|cohort| cohort.members.values());
        u32::try_from(members.filter(|member| member.recovered).count()).unwrap_or(u32::MAX)
    }

    /// Devices of a stage that do not run the version now.
    pub(super) fn not_running(&self, sent: &Sent) -> u32 {
        let Some(cohort) = self.cohorts.get(sent) else { return u32::MAX };
        u32::try_from(cohort.members.values().filter(|member| !member.runs).count()).unwrap_or(u32::MAX)
    }

    /// True when the device has run a version that is none of these for at least so long.
    pub(super) fn ran_none_of(
        &self,
        device: &str,
        kind: PackageKind,
        versions: &[String],
        long: SignedDuration,
        now: Timestamp,
    ) -> bool {
        let Some((version, since, before)) = self.versions.get(&(device.to_owned(), kind)) else {
            return false;
        };
        let is_recent = now.duration_since(*since) < long;
        let fitted = is_recent && before.as_ref().is_none_or(|before| versions.contains(before));
        !versions.contains(version) && !fitted
    }

    /// What the device runs, and what it ran before if that was so lately that it may still be seen; nothing of one that is unknown.
    pub(super) fn seen_lately(
        &self,
        device: &str,
        kind: PackageKind,
        long: SignedDuration,
        now: Timestamp,
    ) -> Vec<&str> {
        let Some((version, since, before)) = self.versions.get(&(device.to_owned(), kind)) else {
            return Vec::new();
        };
        let is_recent = now.duration_since(*since) < long;
        let before = before.as_deref().filter(|_| is_recent);
        std::iter::once(version.as_str()).chain(before).collect()
    }

    /// Every device that was seen.
    pub(super) fn devices(&self) -> impl Iterator<Item = &String> {
        self.versions.keys().map(|(device, _)| device)
    }

    /// True when the device runs this version, or has just left it.
    pub(super) fn has_run(&self, device: &str, kind: PackageKind, version: &str) -> bool {
        let known = self.versions.get(&(device.to_owned(), kind));
        known.is_some_and(|(now, _, before)| now == version || before.as_deref() == Some(version))
    }

    /// Everything that there is now.
    pub(super) fn is_now<'a>(
        &mut self,
        jobs: &[JobTruth],
        versions: impl Iterator<Item = VersionTruth<'a>>,
        creates: &Creates,
        now: Timestamp,
    ) {
        self.versions_are(versions, now);
        let there: BTreeSet<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
        for job in jobs {
            if self.jobs.insert(job.id.clone()) {
                self.job_is_new(job, creates);
            }
            let Some(cohort) = creates.sent_by(&job.id).and_then(|sent| self.cohorts.get_mut(sent)) else {
                continue;
            };
            for (device, member) in cohort.members.iter_mut().filter(|(_, member)| member.job == job.id) {
                member.never_began |= job.never_began.contains(device);
                // The cloud tries it again (`delivery.retry`).
                member.recovered |= member.failed && member.answered && job.open.contains(device);
                member.recovered |= job.tried_again.contains(device);
                member.answered &= !job.open.contains(device);
                // What had answered before its job was stopped is sure.
                member.unsure |= !member.answered && job.untold.contains(device);
                member.answered |= job.answered.contains(device);
            }
        }
        self.look(&there, creates, now);
    }

    /// These are the stages that spec and status of the rollout of this run name.
    pub(super) fn stages_are(&mut self, run: &Run, names: &BTreeSet<&str>, now: Timestamp) {
        if !self.state_lost {
            return;
        }
        for (sent, cohort) in self.cohorts.iter_mut().filter(|(sent, _)| run_of(sent) == *run) {
            cohort.is_untold = !sent.stage.as_deref().is_some_and(|stage| names.contains(stage));
        }
        self.count(now);
    }

    fn versions_are<'a>(&mut self, versions: impl Iterator<Item = VersionTruth<'a>>, now: Timestamp) {
        let mut known = std::mem::take(&mut self.versions);
        for seen in versions {
            let key = (seen.device.to_owned(), seen.kind);
            let running = match known.remove(&key) {
                Some(running) if running.0 == seen.version => running,
                before => (seen.version.to_owned(), now, before.map(|(version, ..)| version)),
            };
            self.versions.insert(key, running);
        }
    }

    fn job_is_new(&mut self, job: &JobTruth, creates: &Creates) {
        let sent = creates.sent_by(&job.id).filter(|sent| sent.stage.is_some());
        let named = creates.devices_of(job);
        for cohort in self.cohorts.iter_mut().filter(|(of, _)| Some(*of) != sent).map(|(_, cohort)| cohort) {
            let taken = cohort.members.iter_mut().filter(|(device, _)| named.contains(*device));
            taken.for_each(|(_, member)| member.unsure = true);
        }
        let Some((sent, goal)) = sent.and_then(|sent| Some((sent, self.goals.get(sent)?))) else { return };
        let new = || Cohort {
            goal: goal.clone(),
            members: BTreeMap::new(),
            ran: BTreeSet::new(),
            is_untold: false,
        };
        let cohort = self.cohorts.entry(sent.clone()).or_insert_with(new);
        for device in named {
            let member = cohort.members.entry(device).or_default();
            let (id, is_anonymous) = (job.id.clone(), job.token.is_none());
            *member = Member { job: id, is_anonymous, failed: member.failed, ..Member::default() };
        }
    }

    fn look(&mut self, there: &BTreeSet<&str>, creates: &Creates, now: Timestamp) {
        for cohort in self.cohorts.values_mut() {
            for (device, member) in &mut cohort.members {
                let running = self.versions.get(&(device.clone(), cohort.goal.kind));
                member.unsure |= running.is_none() || !there.contains(member.job.as_str());
                // The state was lost while the cloud did not list the job, as Alibaba Cloud does not once the package is deleted.
                member.unsure |= creates.sent_by(&member.job).is_none();
                member.runs = running.is_some_and(|(version, ..)| *version == cohort.goal.version);
                member.recovered |= member.failed && member.runs;
                member.failed |= member.is_failing();
                if member.runs {
                    cohort.ran.insert(device.clone());
                }
            }
        }
        self.count(now);
    }

    /// Notes how many devices of each run have failed, and how many run the version.
    fn count(&mut self, now: Timestamp) {
        let mut numbers: BTreeMap<Run, Numbers> = BTreeMap::new();
        for (sent, cohort) in &self.cohorts {
            let of_run = numbers.entry(run_of(sent)).or_default();
            let is_unsure = |member: &Member| member.unsure || cohort.is_untold;
            let members = cohort.members.values();
            members.for_each(|member| of_run.add(&Member { unsure: is_unsure(member), ..member.clone() }));
        }
        for (run, numbers) in numbers {
            let history = self.numbers.entry(run).or_default();
            if history.back().is_none_or(|(_, last)| *last != numbers) {
                history.push_back((now, numbers));
            }
            let is_old = |at: Timestamp| now.duration_since(at) > REMEMBERED;
            while history.get(1).is_some_and(|(at, _)| is_old(*at)) {
                history.pop_front();
            }
        }
    }

    /// What was true of a run at some time since then.
    pub(super) fn numbers_since(&self, run: &Run, since: Timestamp) -> Vec<Numbers> {
        let Some(history) = self.numbers.get(run) else { return Vec::new() };
        let first = history.iter().rposition(|(at, _)| *at <= since).unwrap_or(0);
        history.range(first..).map(|(_, numbers)| *numbers).collect()
    }

    /// Since when anything is known of a run.
    pub(super) fn known_since(&self, run: &Run) -> Option<Timestamp> {
        self.numbers.get(run)?.front().map(|(at, _)| *at)
    }

    /// The state is lost, or is again what it was.
    pub(super) fn forget(&mut self) {
        self.state_lost = true;
        let members = self.cohorts.values_mut().flat_map(|cohort| cohort.members.values_mut());
        members.for_each(|member| member.unsure |= member.is_anonymous);
    }

    /// Another attempt was taken for what has failed of this stage.
    pub(super) fn forgive(&mut self, sent: &Sent, now: Timestamp) {
        let members = self.cohorts.get_mut(sent).into_iter().flat_map(|cohort| cohort.members.values_mut());
        members.for_each(|member| member.forgiven |= member.is_failing());
        self.count(now);
    }

    /// Devices of a stage that never came online.
    pub(super) fn never_began(&self, sent: &Sent) -> u32 {
        let members = self.cohorts.get(sent).into_iter().flat_map(|cohort| cohort.members.values());
        let silent = members.filter(|member| member.never_began && !member.runs);
        u32::try_from(silent.count()).unwrap_or(u32::MAX)
    }
}

impl Numbers {
    fn add(&mut self, member: &Member) {
        let one = |numbers: &mut (u32, u32), surely: bool| {
            numbers.0 += u32::from(surely);
            numbers.1 += 1;
        };
        self.sent += 1;
        if member.unsure {
            one(&mut self.failing, false);
            one(&mut self.running, false);
        } else if member.runs {
            one(&mut self.running, true);
        } else if member.answered {
            one(&mut self.failing, member.is_failing());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_surely_failed_is_surely_failing() {
        let failed = Member { answered: true, ..Member::default() };
        for (member, failing, running) in [
            (failed.clone(), (1, 1), (0, 0)),
            (Member { never_began: true, ..failed.clone() }, (0, 1), (0, 0)),
            (Member { forgiven: true, ..failed.clone() }, (0, 1), (0, 0)),
            (Member { unsure: true, ..failed.clone() }, (0, 1), (0, 1)),
            (Member { runs: true, ..failed }, (0, 0), (1, 1)),
            (Member::default(), (0, 0), (0, 0)),
        ] {
            let mut numbers = Numbers::default();
            numbers.add(&member);
            assert_eq!(numbers, Numbers { failing, running, sent: 1 }, "{member:?}");
        }
    }

    #[test]
    fn what_no_name_leads_to_is_unsure_once_the_state_is_lost() {
        let sent = Sent { uid: "u".into(), package: "p/1".into(), stage: Some("old".into()) };
        let goal = Goal { kind: PackageKind::Firmware, version: "V2".into() };
        let failed = Member { answered: true, ..Member::default() };
        let members = BTreeMap::from([("a".to_owned(), failed)]);
        let cohort = Cohort { goal, members, ran: BTreeSet::new(), is_untold: false };
        let mut truth = Truth { cohorts: BTreeMap::from([(sent.clone(), cohort)]), ..Truth::default() };
        let failing = |truth: &mut Truth, names: &[&str], second: i64| {
            let now = Timestamp::from_second(second).unwrap();
            truth.stages_are(&run_of(&sent), &names.iter().copied().collect(), now);
            truth.count(now);
            truth.numbers_since(&run_of(&sent), now).last().unwrap().failing
        };
        assert_eq!(failing(&mut truth, &["new"], 1), (1, 1), "the status remembers it");
        truth.forget();
        assert_eq!(failing(&mut truth, &["new"], 2), (0, 1));
        assert_eq!(failing(&mut truth, &["old"], 3), (1, 1), "it is found again");
    }
}
