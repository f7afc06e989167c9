//! Edits that users make in simulation runs of the newest seeds: every field of every kind, at any moment.
//!
//! An edit writes whole fields of a `spec`, and fields that are valid only together are written together. So each edit
//! stays valid whichever others are left out when a failing run is made smaller.

mod account;
mod coverage;
mod package;
mod rollout;
mod stages;

use super::Home;
use super::clouds::Account;
use super::control::FIRST_OF_CONTROL;
use super::dice::Dice;
use super::portal;
use super::scenario::{Turn, group};
use jiff::SignedDuration;
use rollwave::api::{CloudKind, Kind, support};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Worlds of earlier seeds have none of them: their histories are older.
pub const FIRST_OF_EDITS: u64 = 5_000_000;

/// Fields of a `spec` that are valid only together.
const TOGETHER: [&[&str]; 2] = [&["huaweiIotda", "credentials"], &["artifact", "sourceVersions"]];

/// Fields of a `spec` with what they say from now on; null when they are taken out.
pub(super) type Fields = Map<String, Value>;

/// What the editor must know of a run.
pub(super) struct Setting<'a> {
    pub(super) seed: u64,
    pub(super) home: Home,
    pub(super) accounts: &'a [Account],
    /// Devices of each account.
    pub(super) fleet: u64,
    /// Nothing fails by itself: every rollout can be completed, whatever is edited.
    pub(super) easy: bool,
}

/// Does to the manifests what a turn says of them.
pub(super) fn follow(manifests: &mut BTreeMap<String, Value>, turn: &Turn) {
    match turn {
        Turn::Edit(name, path, value) => {
            if let Some(manifest) = manifests.get_mut(name) {
                super::scenario::put(manifest, path, value.clone());
            }
        }
        Turn::Rewrite(name, fields) => {
            if let Some(manifest) = manifests.get_mut(name) {
                apply(manifest, fields);
            }
        }
        Turn::Write(name, manifest) => drop(manifests.insert(name.clone(), manifest.clone())),
        Turn::Remove(name) => drop(manifests.remove(name)),
        _ => {}
    }
}

/// Writes these fields of a manifest's `spec`.
fn apply(manifest: &mut Value, fields: &Fields) {
    let Some(spec) = manifest.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for (field, value) in fields {
        if value.is_null() {
            spec.remove(field);
        } else {
            spec.insert(field.clone(), value.clone());
        }
    }
}

/// Packages that rollouts can be moved to, beside those that have rollouts from the start.
pub(super) fn add_releases(setting: &Setting<'_>, manifests: &mut BTreeMap<String, Value>) {
    if setting.seed < FIRST_OF_EDITS {
        return;
    }
    for account in setting.accounts {
        let first = format!("package{}-0", account.n);
        let Some(mut release) = manifests.get(&first).cloned() else { continue };
        let name = format!("package{}-2", account.n);
        release["metadata"]["name"] = json!(name);
        release["spec"]["version"] = json!("V4");
        package::renew(*account, account.n * 16 + 2, &mut release["spec"]);
        manifests.insert(name, release);
    }
}

/// What users edit within so many seconds. The manifests are those of the start.
pub(super) fn plot(
    setting: &Setting<'_>,
    seconds: u64,
    manifests: &BTreeMap<String, Value>,
) -> Vec<(SignedDuration, Turn)> {
    if setting.seed < FIRST_OF_EDITS {
        return Vec::new();
    }
    let mut dice = Dice::new(setting.seed, "edits");
    let most = if setting.easy { 4 } else { 14 };
    let edits = if dice.permille(100) { 0 } else { dice.between(1, most) };
    let mut moments: Vec<u64> = (0..edits).map(|_| dice.between(1, seconds)).collect();
    moments.sort_unstable();
    let mut editor = Editor { setting, dice, manifests: manifests.clone(), fresh: 0, plot: Vec::new() };
    for moment in moments {
        // Some edits come right after each other, while the one before is still being acted on.
        let moment = if editor.dice.permille(200) { editor.last_moment().unwrap_or(moment) } else { moment };
        let late = editor.dice.between(0, 20);
        editor.edit(moment + late);
    }
    editor.plot.into_iter().map(|(at, turn)| (since_start(at), turn)).collect()
}

fn since_start(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1))
}

struct Editor<'a> {
    setting: &'a Setting<'a>,
    dice: Dice,
    /// As the edits so far have left them.
    manifests: BTreeMap<String, Value>,
    /// Numbers that were given to new things.
    fresh: u64,
    plot: Vec<(u64, Turn)>,
}

impl Editor<'_> {
    fn last_moment(&self) -> Option<u64> {
        self.plot.iter().map(|(at, _)| *at).next_back()
    }

    fn edit(&mut self, at: u64) {
        match self.dice.between(0, 99) {
            _ if self.setting.easy => self.moves_to_a_release(at),
            0..15 => self.moves_to_a_release(at),
            15..60 => self.changes(Kind::OtaRollout, at),
            60..65 => self.adds_a_rollout(at),
            65..70 => self.writes_another_version(at),
            70..88 => self.changes(Kind::OtaPackage, at),
            _ => self.changes(Kind::OtaCloud, at),
        }
    }

    /// Some object of a kind says something else.
    fn changes(&mut self, kind: Kind, at: u64) {
        let Some(name) = self.pick(kind) else { return };
        let mut spec = self.spec_of(&name);
        match kind {
            Kind::OtaRollout => rollout::change(self, &mut spec),
            Kind::OtaPackage => package::change(self, &name, &mut spec),
            Kind::OtaCloud => {
                let right = account::change(self, &name, &mut spec);
                if let Some(right) = right {
                    let later = at + self.dice.between(10, 1_200);
                    self.rewrite(kind, &name, spec, at);
                    return self.rewrite(kind, &name, right, later);
                }
            }
        }
        self.rewrite(kind, &name, spec, at);
    }

    /// A release, or a revert: a rollout names another package, mostly of the same account.
    fn moves_to_a_release(&mut self, at: u64) {
        let Some(name) = self.pick(Kind::OtaRollout) else { return };
        let mut spec = self.spec_of(&name);
        rollout::move_to_a_release(self, &mut spec);
        self.rewrite(Kind::OtaRollout, &name, spec, at);
    }

    /// One more rollout, like one that is there.
    fn adds_a_rollout(&mut self, at: u64) {
        let Some(like) = self.pick(Kind::OtaRollout) else { return };
        let (mut manifest, name) = (self.manifests[&like].clone(), format!("rollout-{}", self.next_fresh()));
        manifest["metadata"]["name"] = json!(name);
        rollout::change(self, &mut manifest["spec"]);
        self.fit(Kind::OtaRollout, &mut manifest["spec"]);
        self.write(name, manifest, at);
    }

    /// A version cannot be edited: the object is deleted, and written again under its name. Whoever is too fast, or does not
    /// delete it first, is refused.
    fn writes_another_version(&mut self, at: u64) {
        let Some(name) = self.pick(Kind::OtaPackage) else { return };
        let Some(account) = self.account_of(&name) else { return };
        let mut manifest = self.manifests[&name].clone();
        let version = ["V2", "V3", "V4", "V5"][usize::try_from(self.dice.between(0, 3)).unwrap_or(0)];
        manifest["spec"]["version"] = json!(version);
        let number = self.next_fresh();
        package::renew(account, number, &mut manifest["spec"]);
        self.fit(Kind::OtaPackage, &mut manifest["spec"]);
        let back = if self.dice.permille(200) { 0 } else { self.dice.between(1, 1_200) };
        if back > 0 || self.dice.permille(500) {
            self.plot.push((at, Turn::Remove(name.clone())));
        }
        self.write(name, manifest, at + back);
    }

    fn write(&mut self, name: String, manifest: Value, at: u64) {
        if let Some(account) = self.account_of(&name).filter(|account| account.side().packages_come_by_hand())
        {
            let at = at + self.dice.between(0, 600);
            self.plot.push((at, Turn::Portal(portal::upload_of(account, &manifest["spec"]))));
        }
        self.manifests.insert(name.clone(), manifest.clone());
        self.plot.push((at, Turn::Write(name, manifest)));
    }

    /// Writes what differs from what the object says.
    fn rewrite(&mut self, kind: Kind, name: &str, mut spec: Value, at: u64) {
        self.fit(kind, &mut spec);
        let Some(manifest) = self.manifests.get_mut(name) else { return };
        let fields = difference(&manifest["spec"], &spec);
        if fields.is_empty() {
            return;
        }
        apply(manifest, &fields);
        self.plot.push((at, Turn::Rewrite(name.to_owned(), fields)));
    }

    /// Takes out what the object's cloud refuses, and fits the rest to its home.
    fn fit(&self, kind: Kind, spec: &mut Value) {
        let package = spec["packageRef"]["name"].as_str();
        let cloud = spec["cloudRef"]["name"].as_str();
        if let Some(account) = package.or(cloud).and_then(|name| self.account_of(name)) {
            fit_sets(self.setting.seed, account, spec);
            fit_to_cloud(account, kind, spec);
        }
        if self.setting.home == Home::Kubernetes {
            super::scenario::fit_cluster(spec);
        }
    }

    fn spec_of(&self, name: &str) -> Value {
        self.manifests.get(name).map(|manifest| manifest["spec"].clone()).unwrap_or_default()
    }

    fn pick(&mut self, kind: Kind) -> Option<String> {
        let names = self.names(kind);
        self.dice.pick(&names).cloned()
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        let is = |manifest: &Value| manifest["kind"] == kind.as_str();
        self.manifests.iter().filter(|(_, manifest)| is(manifest)).map(|(name, _)| name.clone()).collect()
    }

    /// The account whose number stands in the name of a package or of a cloud.
    fn account_of(&self, name: &str) -> Option<Account> {
        let number: u64 = name.trim_start_matches(char::is_alphabetic).split('-').next()?.parse().ok()?;
        self.setting.accounts.iter().find(|account| account.n == number).copied()
    }

    fn next_fresh(&mut self) -> u64 {
        self.fresh += 1;
        1_000 + self.fresh
    }

    /// Some devices of an account, at most so many; at least one.
    fn devices(&mut self, account: u64, most: u64) -> Vec<String> {
        let fleet = self.setting.fleet;
        let first = self.dice.between(0, fleet - 1);
        let count = self.dice.between(1, most.min(fleet - first));
        (first..first + count).map(|n| super::scenario::device(account, n)).collect()
    }

    fn percent(&mut self, low: u64, high: u64) -> String {
        format!("{}%", self.dice.between(low, high))
    }

    fn text_of(&mut self, choices: &[&str]) -> Value {
        json!(self.dice.pick(choices))
    }
}

/// The fields that differ, and those that are valid only together with one of them.
fn difference(old: &Value, new: &Value) -> Fields {
    let fields = |spec: &Value| spec.as_object().cloned().unwrap_or_default();
    let (old, new) = (fields(old), fields(new));
    let now = |field: &str| new.get(field).cloned().unwrap_or_default();
    let names = old.keys().chain(new.keys());
    let mut changed: Fields =
        names.filter(|name| old.get(*name) != new.get(*name)).map(|name| (name.clone(), now(name))).collect();
    for group in TOGETHER {
        if group.iter().any(|field| changed.contains_key(*field)) {
            let there = group.iter().filter(|field| old.contains_key(**field) || new.contains_key(**field));
            changed.extend(there.map(|field| ((*field).to_owned(), now(field))));
        }
    }
    changed
}

/// Takes out what this cloud does not take, by the table that `docs/clouds.md` is made from.
/// Sets of devices are of the account, and of a kind that its cloud has: attributes instead of groups on EnOS, and groups instead of
/// tags on OceanConnect. Rollouts of earlier seeds target all devices of EnOS.
fn fit_sets(seed: u64, account: Account, spec: &mut Value) {
    let (groups, tags) = (json!({"groups": [group(account.n)]}), json!({"tags": {"site": ["north"]}}));
    let attributes = json!({"attributes": {"model": ["x1"]}});
    let (is_enos, has_tags) = (account.cloud == CloudKind::Enos, account.cloud != CloudKind::OceanConnect);
    let stages = spec.get_mut("stages").and_then(Value::as_array_mut).into_iter().flatten();
    for select in stages.filter_map(|stage| stage.get_mut("select")) {
        let has = |field| select.get(field).is_some();
        let fitting = match (has("groups"), has("tags"), has("attributes")) {
            (true, ..) if is_enos => &attributes,
            (true, ..) => &groups,
            (_, true, _) if !has_tags => &groups,
            (_, _, true) if !is_enos => {
                if has_tags {
                    &tags
                } else {
                    &groups
                }
            }
            _ => continue,
        };
        *select = fitting.clone();
    }
    let targets = spec["targets"].clone();
    if is_enos && seed < FIRST_OF_CONTROL && targets.is_object() {
        take_out(spec, "spec.targets.tags");
    } else if is_enos && targets.get("groups").is_some() {
        take_out(spec, "spec.targets.groups");
        spec["targets"]["attributes"] = attributes["attributes"].clone();
    }
}

fn fit_to_cloud(account: Account, kind: Kind, spec: &mut Value) {
    // Each round takes at least one field out.
    for _ in 0..20 {
        let refusals = support::refusals(account.cloud, kind, spec);
        if refusals.is_empty() {
            break;
        }
        for refusal in refusals {
            take_out(spec, &refusal.path);
        }
    }
    if let Some(targets) = spec.get_mut("targets").and_then(Value::as_object_mut) {
        let has_selector =
            ["all", "devices", "groups", "tags", "attributes"].iter().any(|way| targets.contains_key(*way));
        if !has_selector {
            targets.insert("all".to_owned(), json!(true));
        }
    }
}

/// Takes a field out by its path from `spec` on.
fn take_out(spec: &mut Value, path: &str) {
    let Some(path) = path.strip_prefix("spec.") else {
        // Whole packages have no source versions on Alibaba Cloud.
        return take_out(spec, "spec.sourceVersions");
    };
    let pointer = path.replace(['.', '['], "/").replace(']', "");
    let (parent, field) = pointer.rsplit_once('/').unwrap_or(("", &pointer));
    let parent = if parent.is_empty() { Some(spec) } else { spec.pointer_mut(&format!("/{parent}")) };
    if let Some(parent) = parent.and_then(Value::as_object_mut) {
        parent.remove(field);
    }
}
