//! Faults that stay with one resource: every read of one device, of one job, of a page of a job's devices, or of one package fails
//! for ever; every read of one page of a list that many objects need fails for a long time, and no longer than other faults strike.
//!
//! Which resource it is, is known once it is read: the n-th of its kind that is asked for.

use super::clouds::{Account, Order, Topic};
use super::dice::Dice;
use super::faults::Strike;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Worlds of earlier seeds have none of it: their histories are older.
pub const FIRST_OF_BROKEN: u64 = 6_000_000;

/// In a thousand worlds so many have such a fault.
const CHANCE: u32 = 600;
/// In a thousand of those so many have one more.
const SECOND: u32 = 250;
/// Devices that a rollout names: each of them costs a call whenever it is looked at.
const MOST_NAMED: usize = 4;
/// Seconds for which a page of a list fails at least.
const SHORTEST: u64 = 300;

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Device,
    Job,
    /// One page of a job's devices.
    JobPage,
    Package,
    /// One page of a list that many objects need.
    ListPage,
}

/// A resource that fails for ever, and of which a read has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) account: String,
    pub(super) what: Thing,
}

/// What it is, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Device(String),
    Job(String),
    Package(String),
}

/// A fault that stays.
#[derive(Clone, Debug)]
struct Lasting {
    sort: Sort,
    account: String,
    /// So many others of its kind are asked for before it.
    others: usize,
    from: Timestamp,
    /// For ever, when absent.
    until: Option<Timestamp>,
    strike: Strike,
    seen: BTreeSet<String>,
    /// What fails, once it is known.
    target: Option<String>,
    /// Whether it may strike in this run, once that was asked.
    may_strike: Option<bool>,
    /// What fails, once it did.
    broken: Option<Broken>,
}

/// The faults of one world that stay.
#[derive(Default)]
pub(super) struct BrokenThings(Vec<Lasting>);

impl BrokenThings {
    /// Those of a seed, whose other faults strike for so many seconds.
    pub(super) fn of_seed(seed: u64, accounts: &[Account], start: Timestamp, seconds: u64) -> Self {
        let mut dice = Dice::new(seed, "broken for ever");
        if seed < FIRST_OF_BROKEN || !dice.permille(CHANCE) {
            return Self::default();
        }
        let count = if dice.permille(SECOND) { 2 } else { 1 };
        Self((0..count).filter_map(|_| Lasting::drawn(&mut dice, accounts, start, seconds)).collect())
    }

    /// What happens to a read of something that is broken; `lets` is asked once of each fault whether it may strike.
    pub(super) fn strikes(
        &mut self,
        order: &Order,
        now: Timestamp,
        mut lets: impl FnMut(String) -> bool,
    ) -> Option<Strike> {
        let at = self.0.iter_mut().find_map(|fault| fault.meets(order, now).then_some(fault))?;
        let what = || format!("{:?} for ever: every {} of {}", at.strike, order.operation, order.question);
        if !*at.may_strike.get_or_insert_with(|| lets(what())) {
            return None;
        }
        at.broken = at.broken.take().or_else(|| at.is_broken(order));
        Some(at.strike)
    }

    /// What fails for ever and has failed, with its account.
    pub(super) fn broken(&self) -> Vec<Broken> {
        self.0.iter().filter_map(|fault| fault.broken.clone()).collect()
    }

    /// Only what fails for ever, and has failed, fails from now on.
    pub(super) fn faults_end(&mut self) {
        self.0.retain(|fault| fault.broken.is_some());
    }

    /// One of them is of something that every object of an account needs.
    pub(super) fn concern_all(&self) -> bool {
        self.0.iter().any(|fault| fault.sort == Sort::ListPage)
    }
}

impl Lasting {
    fn drawn(dice: &mut Dice, accounts: &[Account], start: Timestamp, seconds: u64) -> Option<Self> {
        let sorts = [Sort::Device, Sort::Job, Sort::Job, Sort::JobPage, Sort::Package, Sort::ListPage];
        let sort = *dice.pick(&sorts)?;
        let account = dice.pick(accounts)?.name();
        // Most from the start on: so early most objects of an account have something to do.
        let from = if dice.permille(600) { dice.between(0, 120) } else { dice.between(0, seconds / 2) };
        let length = dice.between(SHORTEST, seconds);
        let others = usize::try_from(dice.between(0, 3)).unwrap_or(0);
        let strike = if dice.permille(650) { Strike::ErrorBefore } else { Strike::ReplyNever };
        let after = |seconds: u64| {
            let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1));
            start.saturating_add(length).unwrap_or(Timestamp::MAX)
        };
        Some(Self {
            sort,
            account,
            others,
            from: after(from),
            until: (sort == Sort::ListPage).then(|| after(from + length)),
            strike,
            seen: BTreeSet::new(),
            target: None,
            may_strike: None,
            broken: None,
        })
    }

    /// A read of what fails.
    fn meets(&mut self, order: &Order, now: Timestamp) -> bool {
        let is_over = self.until.is_some_and(|until| until <= now);
        if now < self.from || is_over || order.account != self.account {
            return false;
        }
        let Some(key) = self.key_of(order) else { return false };
        if self.target.is_none() {
            self.seen.insert(key.to_owned());
            self.target = (self.seen.len() > self.others).then(|| key.to_owned());
        }
        self.target.as_deref() == Some(key)
    }

    /// What of this sort a read is of.
    fn key_of<'a>(&self, order: &'a Order) -> Option<&'a str> {
        match (self.sort, &order.topic) {
            (Sort::Device, Topic::Device(id))
            | (Sort::Job, Topic::Job(id) | Topic::JobDevices(id))
            | (Sort::Package, Topic::Package(id)) => Some(id),
            (Sort::JobPage, Topic::JobDevices(_)) | (Sort::ListPage, Topic::List) => Some(&order.question),
            _ => None,
        }
    }

    fn is_broken(&self, order: &Order) -> Option<Broken> {
        let what = match &order.topic {
            Topic::List | Topic::Other => return None,
            Topic::Device(id) => Thing::Device(id.clone()),
            Topic::Job(id) | Topic::JobDevices(id) => Thing::Job(id.clone()),
            Topic::Package(id) => Thing::Package(id.clone()),
        };
        Some(Broken { account: self.account.clone(), what })
    }
}

/// In half of the worlds in which something fails for ever, rollouts of one account share no device: none of them needs what another
/// one needs, so that nothing but the account itself could make one wait for the other.
pub(super) fn set_apart(
    seed: u64,
    accounts: &[Account],
    fleet: u64,
    manifests: &mut BTreeMap<String, Value>,
) {
    let mut dice = Dice::new(seed, "set apart");
    let is_drawn = seed >= FIRST_OF_BROKEN && Dice::new(seed, "broken for ever").permille(CHANCE);
    if !is_drawn || !dice.permille(500) {
        return;
    }
    for account in accounts {
        let (first, more) =
            (format!("package{}-0-rollout0", account.n), format!("package{}-0-rollout7", account.n));
        if let Some(mut rollout) = manifests.get(&first).cloned() {
            rollout["metadata"]["name"] = json!(more);
            manifests.insert(more, rollout);
        }
        let prefix = format!("package{}-", account.n);
        let is_one =
            |(name, of): &(&String, &mut Value)| name.starts_with(&prefix) && of["kind"] == "OtaRollout";
        let rollouts: Vec<&mut Value> =
            manifests.iter_mut().filter(is_one).map(|(_, rollout)| rollout).collect();
        let step = rollouts.len();
        for (index, rollout) in rollouts.into_iter().enumerate() {
            let own = (0..fleet).skip(index).step_by(step).take(MOST_NAMED);
            let devices: Vec<String> = own.map(|n| super::scenario::device(account.n, n)).collect();
            target(&mut rollout["spec"], &devices);
        }
    }
}

/// These devices, and no stage that names others.
fn target(spec: &mut Value, devices: &[String]) {
    if devices.is_empty() {
        return;
    }
    spec["targets"] = json!({"devices": devices});
    for stage in spec["stages"].as_array_mut().into_iter().flatten() {
        if stage["select"]["devices"].is_array() {
            stage["select"] = json!({"count": 1});
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clouds::Deed;
    use rollwave::api::CloudKind;

    fn order(topic: Topic, question: &str) -> Order {
        Order {
            cloud: CloudKind::HuaweiIotda,
            operation: "Read",
            account: "project0".to_owned(),
            deed: Deed::Show,
            topic,
            shows_versions: false,
            question: question.to_owned(),
        }
    }

    fn lasting(sort: Sort, others: usize, until: Option<Timestamp>) -> BrokenThings {
        let account = "project0".to_owned();
        let (from, strike, seen) = (Timestamp::UNIX_EPOCH, Strike::ErrorBefore, BTreeSet::new());
        let (target, may_strike, broken) = (None, None, None);
        let one = Lasting { sort, account, others, from, until, strike, seen, target, may_strike, broken };
        BrokenThings(vec![one])
    }

    #[test]
    fn the_nth_of_a_kind_fails_for_ever_and_no_other() {
        let mut things = lasting(Sort::Job, 1, None);
        let now = Timestamp::UNIX_EPOCH;
        let read = |id: &str| order(Topic::Job(id.to_owned()), id);
        for (id, expected) in
            [("a", false), ("a", false), ("b", true), ("a", false), ("c", false), ("b", true)]
        {
            assert_eq!(things.strikes(&read(id), now, |_| true).is_some(), expected, "{id}");
        }
        let devices = order(Topic::JobDevices("b".to_owned()), "devices of b");
        assert!(things.strikes(&devices, now, |_| true).is_some());
        let what = Thing::Job("b".to_owned());
        assert_eq!(things.broken(), [Broken { account: "project0".to_owned(), what }]);
        things.faults_end();
        assert!(things.strikes(&read("b"), now, |_| true).is_some());
    }

    #[test]
    fn a_page_of_a_list_fails_for_some_time() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut things = lasting(Sort::ListPage, 0, Some(at(10)));
        let page = |n: &str| order(Topic::List, n);
        for (n, second, expected) in [("1", 0, true), ("2", 0, false), ("1", 9, true), ("1", 10, false)] {
            assert_eq!(things.strikes(&page(n), at(second), |_| true).is_some(), expected, "{n} {second}");
        }
        assert_eq!(things.broken(), []);
    }

    #[test]
    fn worlds_of_kept_seeds_have_none() {
        let accounts = [Account { cloud: CloudKind::HuaweiIotda, n: 0 }];
        let drawn = |seed| BrokenThings::of_seed(seed, &accounts, Timestamp::UNIX_EPOCH, 3_600).0.len();
        let before = [FIRST_OF_BROKEN - 1, 1_752_434_521, 1_752_437_297];
        assert_eq!(before.map(drawn), [0; 3]);
        assert!((FIRST_OF_BROKEN..FIRST_OF_BROKEN + 20).map(drawn).sum::<usize>() > 5);
    }
}
