//! What people and devices do in a world: manifests, a fleet and its failures, and edits at any moment. All of it is drawn
//! from the seed before the world begins.

use super::asked::{self, Ask};
use super::broken::{self, BrokenThings};
use super::clouds::{Account, MOST_ACCOUNTS, Side, Switches};
use super::cluster::FIRST_OF_SECRETS;
use super::dice::Dice;
use super::edits::{self, FIRST_OF_EDITS, Fields, Setting};
use super::hours;
use super::misfortune::{self, Misfortune};
use super::parts::{self, FIRST_OF_PARTS};
use super::play;
use super::portal::{self, Portal, Upload};
use super::{Home, Profile, World};
use super::{control, deadlines, defaults, pace};
use jiff::SignedDuration;
use rollwave::api::{Kind, Object, ObjectKey};
use rollwave::cloud::PackageKind;
use rollwave::simulator::World as CloudWorld;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Something that people, or fate, do.
#[derive(Clone, Debug)]
pub(super) enum Turn {
    /// The manifest of this name says something else in one place.
    Edit(String, &'static str, Value),
    /// These fields of the manifest's `spec` say something else.
    Rewrite(String, Fields),
    /// The manifest is there, and says this.
    Write(String, Value),
    /// The manifest is removed.
    Remove(String),
    /// It is there again, as it was at the start.
    Restore(String),
    /// The process is killed.
    Kill,
    /// The cloud refuses everything for so many seconds.
    Storm(i64),
    /// Every token ends.
    ExpireTokens,
    /// A device loses its connection, or finds it again.
    Device(String, bool),
    /// Something is asked for beside the spec.
    Ask(Ask),
    /// Something worse.
    Befall(Misfortune),
    /// Something is done in the portal of a cloud.
    Portal(Portal),
}

impl Turn {
    /// It may keep a whole account from being asked.
    pub(super) fn stops_an_account(&self, manifests: &BTreeMap<String, Value>) -> bool {
        match self {
            Self::Edit(name, ..) | Self::Rewrite(name, _) | Self::Remove(name) | Self::Restore(name) => {
                manifests.get(name).is_none_or(|of| of["kind"] == "OtaCloud")
            }
            Self::Storm(_) | Self::ExpireTokens | Self::Befall(_) => true,
            _ => false,
        }
    }
}

/// What happens in a world besides faults.
pub(super) struct Scenario {
    pub(super) cloud: CloudWorld,
    /// Manifests by name.
    pub(super) manifests: BTreeMap<String, Value>,
    /// Done in portals before the start.
    pub(super) portal: Vec<Portal>,
    /// By time since the start.
    pub(super) plot: Vec<(SignedDuration, Turn)>,
    /// When faults end, since the start.
    pub(super) chaos_ends: SignedDuration,
    /// How far ahead the machine's clock is.
    pub(super) clock_ahead: SignedDuration,
    /// Controllers, where the state lives in a cluster.
    pub(super) replicas: u64,
    /// Nothing stands in the way: every rollout must be completed.
    pub(super) must_complete: bool,
    /// What fails for a long time, or for ever.
    pub(super) broken: BrokenThings,
    /// But for what fails for ever, and what is in the plot, nothing goes wrong at any time.
    pub(super) is_quiet: bool,
    /// Texts that must never be seen outside of a request.
    pub(super) secrets: Vec<String>,
}

/// An object of a manifest.
///
/// # Errors
/// The text of what is wrong with it.
pub(super) fn object(manifest: &Value) -> Result<Object, String> {
    let kind = manifest.get("kind").and_then(Value::as_str).unwrap_or_default();
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    let value = manifest.clone();
    match kind {
        Some(Kind::OtaCloud) => serde_json::from_value(value).map(Object::Cloud),
        Some(Kind::OtaPackage) => serde_json::from_value(value).map(Object::Package),
        Some(Kind::OtaRollout) => serde_json::from_value(value).map(Object::Rollout),
        None => return Err(format!("a manifest of no kind: {manifest}")),
    }
    .map_err(|error| format!("{error} in {manifest}"))
}

/// The objects of these manifests.
///
/// # Errors
/// The text of what is wrong with one of them.
pub(super) fn objects<'a>(
    manifests: impl IntoIterator<Item = &'a Value>,
) -> Result<BTreeMap<ObjectKey, Object>, String> {
    let objects = manifests.into_iter().map(object);
    objects.map(|object| object.map(|object| (object.key(), object))).collect()
}

struct Author {
    dice: Dice,
    /// Nothing fails by itself, and nobody edits anything.
    easy: bool,
    accounts: Vec<Account>,
    fleet: u64,
    /// Packages may be for a module.
    has_parts: bool,
    overlapping: bool,
    /// Two packages of one account want the same devices.
    contested: bool,
    manifests: BTreeMap<String, Value>,
}

impl Scenario {
    /// The scenario of a world.
    ///
    /// # Errors
    /// The text of what is wrong with it: a mistake in this file.
    pub(super) fn new(World { seed, profile, clouds, home, .. }: World) -> Result<Self, String> {
        let mut dice = Dice::new(seed, "scenario");
        let easy = dice.permille(250);
        let accounts = if dice.permille(800) { 1 } else { MOST_ACCOUNTS };
        let accounts = clouds.accounts(seed, accounts);
        let fleet = dice.between(3, 24);
        let overlapping = dice.permille(300);
        let (contested, has_parts, manifests) = (overlapping, seed >= FIRST_OF_PARTS, BTreeMap::new());
        let mut author = Author {
            dice,
            easy,
            accounts: accounts.clone(),
            fleet,
            has_parts,
            overlapping,
            contested,
            manifests,
        };
        accounts.iter().for_each(|account| author.write_account(*account));
        author.add_rare_fields(seed, profile);
        let setting = Setting { seed, home, accounts: &accounts, fleet, easy };
        edits::add_releases(&setting, &mut author.manifests);
        let minutes = author.dice.between(20, 90);
        let chaos_ends = SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(20));
        let mut plot = author.plot(minutes * 60);
        author.delete_everything(seed, home, minutes * 60, &mut plot);
        let misfortunes = misfortune::plot(seed, profile, minutes * 60, &accounts, fleet);
        let may_hold = misfortunes.iter().any(|(_, misfortune)| misfortune.may_hold())
            || author.manifests.values().any(pace::may_hold);
        plot.extend(misfortunes.into_iter().map(|(at, misfortune)| (at, Turn::Befall(misfortune))));
        if home == Home::Kubernetes {
            author
                .manifests
                .values_mut()
                .filter_map(|manifest| manifest.get_mut("spec"))
                .for_each(fit_cluster);
            let misfortunes = misfortune::plot_of_cluster(seed, profile, minutes * 60);
            plot.extend(misfortunes.into_iter().map(|(at, misfortune)| (at, Turn::Befall(misfortune))));
        }
        let edited = edits::plot(&setting, minutes * 60, &author.manifests);
        let is_edited = !edited.is_empty();
        plot.extend(edited);
        let asked = asked::plot(seed, minutes * 60, easy, &author.manifests);
        plot.extend(asked.into_iter().map(|(at, ask)| (at, Turn::Ask(ask))));
        let mut portal = Vec::new();
        for (second, done) in author.portal(seed, minutes * 60) {
            let at = SignedDuration::from_secs(i64::try_from(second).unwrap_or(1));
            if second == 0 { portal.push(done) } else { plot.push((at, Turn::Portal(done))) }
        }
        plot.sort_by_key(|(at, _)| *at);
        defaults::state(seed, &mut author.manifests, &mut plot);
        let broken = BrokenThings::of_seed(seed, &accounts, play::START, minutes * 60);
        let is_quiet = profile == Profile::CALM && !broken.concern_all();
        let ahead = i64::try_from(author.dice.between(0, 240)).unwrap_or(0) - 120;
        Ok(Self {
            cloud: author.cloud(seed, profile.crowd > 0)?,
            portal,
            plot,
            chaos_ends,
            clock_ahead: SignedDuration::from_secs(ahead),
            replicas: if profile.takeover > 0 || Dice::new(seed, "replicas").permille(300) { 2 } else { 1 },
            broken,
            is_quiet,
            must_complete: easy && !author.contested && !may_hold && !is_edited,
            secrets: accounts.iter().flat_map(|account| account.side().secrets(account.n)).collect(),
            manifests: author.manifests,
        })
    }
}

impl Author {
    /// What only some manifests have, by the age of the seed.
    fn add_rare_fields(&mut self, seed: u64, profile: Profile) {
        hours::draw(seed, profile.windows, &mut self.manifests);
        parts::draw(seed, &self.accounts, &mut self.manifests);
        deadlines::draw(seed, &self.accounts, &mut self.manifests);
        broken::set_apart(seed, &self.accounts, self.fleet, &mut self.manifests);
        defaults::draw(seed, &mut self.manifests);
        control::draw(seed, &mut self.manifests);
        control::divide(seed, &mut self.manifests);
        pace::draw(seed, &mut self.manifests);
    }

    fn write_account(&mut self, account: Account) {
        let way = self.dice.between(0, 3);
        let drift = self.dice.pick(&["2m", "5m", "10m"]).copied().unwrap_or("5m");
        let cloud = format!("cloud{}", account.n);
        let mut spec = account.side().manifest(account.n, way);
        put(&mut spec, "/driftInterval", json!(drift));
        if self.dice.permille(300) {
            let budget =
                json!({"requestsPerSecond": self.dice.between(1, 5), "burst": self.dice.between(1, 10)});
            put(&mut spec, "/budget", budget);
        }
        self.add("OtaCloud", &cloud, &spec);
        let is_alone = self.dice.permille(600);
        // The second one is for a module.
        let has_parts = self.has_parts && account.side().has_parts();
        let packages = if is_alone && !has_parts { 1 } else { 2 };
        for package in 0..packages {
            self.write_package(account, package);
        }
    }

    fn write_package(&mut self, of: Account, n: u64) {
        let account = of.n;
        let name = format!("package{account}-{n}");
        // A second package of the same type wants the same devices: each has to wait for the other.
        let has_software = of.side().has_software() || (self.has_parts && of.side().has_parts());
        let software = n == 1 && !self.overlapping && has_software;
        self.contested |= n == 1 && !software;
        let (kind, version) =
            if software { ("Software", "S2") } else { ("Firmware", ["V2", "V3"][usize::from(n == 1)]) };
        let mut spec = json!({
            "cloudRef": {"name": format!("cloud{account}")},
            "type": kind, "product": {"id": "meter"}, "version": version,
            "artifact": {
                "sha256": format!("{:064x}", account * 16 + n),
                "obs": {"region": "cn-north-4", "bucket": "firmware", "key": format!("{version}.bin")},
            },
            "description": "first",
        });
        if self.dice.permille(400) {
            let devices: Vec<String> = (0..2).map(|n| format!("lab{account}-{n:04}")).collect();
            put(
                &mut spec,
                "/verification",
                json!({"devices": devices, "timeout": "30m", "minSuccess": "50%"}),
            );
        }
        for (field, choice, permille) in
            [("/deletionPolicy", "Delete", 500), ("/driftPolicy", "Correct", 500)]
        {
            if self.dice.permille(permille) {
                put(&mut spec, field, json!(choice));
            }
        }
        of.side().fit(Kind::OtaPackage, &mut spec);
        self.add("OtaPackage", &name, &spec);
        let rollouts = if self.overlapping && self.dice.permille(300) { 2 } else { 1 };
        for rollout in 0..rollouts {
            self.write_rollout(of, &name, rollout);
        }
    }

    fn write_rollout(&mut self, of: Account, package: &str, n: u64) {
        let account = of.n;
        let mut stages = Vec::new();
        let early = self.dice.between(0, 2);
        for stage in 0..early {
            stages.push(self.stage(account, stage, early));
        }
        if stages.is_empty() || self.dice.permille(700) {
            let mut rest = self.stage(account, 9, early);
            put(&mut rest, "/select", json!({"rest": true}));
            stages.push(rest);
        }
        let mut spec = json!({"packageRef": {"name": package}, "targets": {"all": true}, "stages": stages});
        if self.dice.permille(300) {
            // Each of them costs a call whenever it is looked at.
            let devices: Vec<String> = (0..self.fleet.min(6)).map(|n| device(account, n)).collect();
            put(&mut spec, "/targets", json!({"devices": devices}));
        } else if self.dice.permille(200) {
            let group = json!({"groups": [group(account)]});
            let tags = json!({"tags": {"site": ["north", "south"]}});
            put(&mut spec, "/targets", if self.dice.permille(500) { group } else { tags });
        }
        if !self.easy && self.dice.permille(400) {
            let action = self.dice.pick(&["Pause", "Abort"]).copied().unwrap_or("Pause");
            let stop = json!([{"name": "failures", "method": "Count", "maxFailure": self.dice.between(1, 5),
                "action": action}]);
            put(&mut spec, "/stop", stop);
        }
        of.side().fit(Kind::OtaRollout, &mut spec);
        self.add("OtaRollout", &format!("{package}-rollout{n}"), &spec);
    }

    fn stage(&mut self, account: u64, n: u64, of: u64) -> Value {
        let select = match self.dice.between(0, 2) {
            0 => json!({"count": (n + 1) * self.fleet.div_ceil(of + 1)}),
            1 => json!({"percent": format!("{}%", 100 * (n + 1) / (of + 1))}),
            _ if n == 0 => json!({"devices": [device(account, 0), device(account, 1)]}),
            _ => json!({"percent": format!("{}%", 50 + 20 * n.min(2))}),
        };
        let mut stage = json!({"name": format!("stage{n}"), "select": select});
        if self.dice.permille(500) {
            let soak = self.dice.pick(&["1m", "5m", "15m"]).copied().unwrap_or("1m");
            put(&mut stage, "/soak", json!(soak));
        }
        if self.dice.permille(700) {
            let share = if self.easy { 90 } else { self.dice.between(50, 100) };
            put(
                &mut stage,
                "/gates",
                json!([{"name": "proven-0", "outcome": {"method": "Ratio", "minSuccess": format!("{share}%")}}]),
            );
        }
        stage
    }

    /// What people do for the packages that no call creates, by the second. Where nothing goes wrong they were there before.
    fn portal(&self, seed: u64, seconds: u64) -> Vec<(u64, Portal)> {
        let mut dice = Dice::new(seed, "portal");
        let mut done = Vec::new();
        for account in self.accounts.iter().filter(|account| account.side().packages_come_by_hand()) {
            let prefix = format!("package{}-", account.n);
            let packages = self.manifests.iter().filter(|(name, _)| name.starts_with(&prefix));
            for manifest in packages.map(|(_, manifest)| manifest).filter(|m| m["kind"] == "OtaPackage") {
                let spec = &manifest["spec"];
                let software = spec["type"] == "Software";
                let upload = Upload {
                    kind: if software { PackageKind::Software } else { PackageKind::Firmware },
                    version: spec["version"].as_str().unwrap_or_default().to_owned(),
                    file: account.n * 16,
                };
                if self.easy {
                    done.push((0, Portal::Uploads(*account, upload)));
                } else {
                    done.extend(portal::plot(&mut dice, *account, &upload, seconds));
                }
            }
        }
        done
    }

    fn add(&mut self, kind: &str, name: &str, spec: &Value) {
        let manifest = json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        self.manifests.insert(name.to_owned(), manifest);
    }

    fn share(&mut self, most: u64) -> String {
        if self.easy { "0%".to_owned() } else { format!("{}%", self.dice.between(0, most)) }
    }

    fn cloud(&mut self, seed: u64, is_crowded: bool) -> Result<CloudWorld, String> {
        let accounts = self.accounts.clone();
        let shown = |Account { cloud, n }: &Account, name: String| json!({"name": group(*n), "id": group(*n), "cloud": cloud, "account": name});
        let groups: Vec<Value> = accounts.iter().map(|account| shown(account, account.name())).collect();
        let devices: Vec<Value> = accounts.iter().flat_map(|account| self.devices(*account)).collect();
        let later: &[&str] = if seed >= FIRST_OF_EDITS { &["V4", "V5"] } else { &[] };
        let behaviours: Vec<Value> = ["V2", "V3", "S2"]
            .iter()
            .chain(later)
            .map(|version| {
                json!({
                    "version": version,
                    "failureRate": self.share(30), "silentRate": self.share(5), "lieRate": self.share(5),
                    "revertRate": self.share(5), "duration": {"min": "30s", "max": "4m"},
                })
            })
            .collect();
        let rejects_duplicates = !self.dice.permille(800);
        let world = json!({
            "seed": seed,
            "clouds": simulated(&accounts, Switches { rejects_duplicates, is_crowded }),
            "products": [{"id": "meter"}], "groups": groups, "devices": devices, "behaviours": behaviours,
        });
        serde_json::from_value(world).map_err(|error| format!("the world: {error}"))
    }

    fn devices(&mut self, account: Account) -> [Value; 2] {
        let n = account.n;
        let offline = self.share(10);
        [(self.fleet, "device", offline), (2, "lab", "0%".to_owned())].map(|(count, prefix, offline)| {
            let mut series = json!({
                "count": count, "idPrefix": format!("{prefix}{n}-"), "product": account.side().product(),
                "cloud": account.cloud, "account": account.name(), "firmware": "V1", "software": "S1",
                "offline": offline, "tags": {"site": "north"}, "groups": [group(n)],
            });
            account.side().fit_devices(&mut series);
            series
        })
    }

    /// What happens within so many seconds.
    fn plot(&mut self, seconds: u64) -> Vec<(SignedDuration, Turn)> {
        let turns = if self.easy { 0 } else { self.dice.between(0, 8) };
        let mut plot = Vec::new();
        for _ in 0..turns {
            let at = i64::try_from(self.dice.between(1, seconds)).unwrap_or(1);
            if let Some(turn) = self.turn() {
                plot.push((SignedDuration::from_secs(at), turn));
            }
        }
        if !self.easy && self.dice.permille(150) {
            self.remove_an_account(seconds, &mut plot);
        }
        plot.sort_by_key(|(at, _)| *at);
        plot
    }

    /// Everything of an account goes at once, and perhaps comes again.
    fn remove_an_account(&mut self, seconds: u64, plot: &mut Vec<(SignedDuration, Turn)>) {
        let moment = |second: u64| SignedDuration::from_secs(i64::try_from(second).unwrap_or(1));
        let gone = self.dice.between(1, seconds);
        let back = self.dice.permille(500).then(|| gone + self.dice.between(1, 1200));
        let of_account = |name: &&String| name.starts_with("cloud0") || name.starts_with("package0");
        for name in self.manifests.keys().filter(of_account) {
            plot.push((moment(gone), Turn::Remove(name.clone())));
            plot.extend(back.map(|back| (moment(back), Turn::Restore(name.clone()))));
        }
    }

    /// Users delete everything of an account, rollouts too, in any order, and perhaps while no controller runs.
    fn delete_everything(&self, seed: u64, home: Home, seconds: u64, plot: &mut Vec<(SignedDuration, Turn)>) {
        let mut dice = Dice::new(seed, "deletion");
        let has_secrets = home == Home::Kubernetes && seed >= FIRST_OF_SECRETS;
        if self.easy || !has_secrets || !dice.permille(250) {
            return;
        }
        let (moment, spread) = (dice.between(1, seconds), if dice.permille(500) { 0 } else { 60 });
        let at = |second: u64| SignedDuration::from_secs(i64::try_from(second).unwrap_or(1));
        if dice.permille(500) {
            plot.push((at(moment), Turn::Kill));
        }
        let of_account = |name: &&String| name.starts_with("cloud0") || name.starts_with("package0");
        let mut names: Vec<&String> = self.manifests.keys().filter(of_account).collect();
        while !names.is_empty() {
            let next = usize::try_from(dice.between(0, names.len() as u64 - 1)).unwrap_or(0);
            let later = dice.between(0, spread);
            plot.push((at(moment + later), Turn::Remove(names.swap_remove(next).clone())));
        }
    }

    /// The cloud of a package: its account stands in its name.
    fn side_of(&self, package: &str) -> Option<&'static dyn Side> {
        let of = |account: &&Account| package.starts_with(&format!("package{}-", account.n));
        self.accounts.iter().find(of).map(|account| account.side())
    }

    fn turn(&mut self) -> Option<Turn> {
        let of = |kind: &str| -> Vec<String> {
            let is = |manifest: &&Value| manifest.get("kind").and_then(Value::as_str) == Some(kind);
            let named = self.manifests.iter().filter(|(_, manifest)| is(manifest));
            named.map(|(name, _)| name.clone()).collect()
        };
        let (clouds, packages, rollouts) = (of("OtaCloud"), of("OtaPackage"), of("OtaRollout"));
        let (cloud, package) = (self.dice.pick(&clouds)?.clone(), self.dice.pick(&packages)?.clone());
        let rollout = self.dice.pick(&rollouts)?.clone();
        Some(match self.dice.between(0, 13) {
            0 | 1 => Turn::Edit(rollout, "/spec/suspend", json!(true)),
            2 | 3 => Turn::Edit(rollout, "/spec/suspend", json!(false)),
            4 => Turn::Edit(rollout, "/spec/stages/0/soak", json!("3m")),
            5 => {
                let (field, value) = self.side_of(&package)?.edit_of_package(self.dice.between(0, 9));
                Turn::Edit(package, field, value)
            }
            6 => Turn::Edit(cloud, "/spec/driftInterval", json!("3m")),
            7 => Turn::Remove(rollout),
            8 => Turn::Restore(rollout),
            9 => Turn::Remove(package),
            10 => Turn::Restore(package),
            11 => Turn::Kill,
            12 => {
                let seconds = i64::try_from(self.dice.between(5, 300)).unwrap_or(5);
                if self.dice.permille(500) { Turn::Storm(seconds) } else { Turn::ExpireTokens }
            }
            _ => Turn::Device(device(0, self.dice.between(0, self.fleet - 1)), self.dice.permille(500)),
        })
    }
}

/// In a cluster keys are in Secrets, and files below the folder of their namespace.
pub(super) fn fit_cluster(spec: &mut Value) {
    if spec.get("credentials").is_some_and(|keys| keys.get("secretRef").is_none()) {
        put(spec, "/credentials", json!({"secretRef": {"name": "keys"}}));
    }
    let Some(artifact) = spec.get_mut("artifact") else { return };
    let several = artifact.get("files").and_then(Value::as_array).map_or(0, Vec::len);
    let paths = (0..several).map(|n| format!("/files/{n}/file"));
    for path in paths.chain(["/file".to_owned()]) {
        let file = artifact.pointer(&path).and_then(Value::as_str);
        if let Some(below) = file.and_then(|file| file.strip_prefix('/')).map(str::to_owned) {
            put(artifact, &path, json!(below));
        }
    }
}

/// The clouds of these accounts, each with its own.
fn simulated(accounts: &[Account], switches: Switches) -> Value {
    let mut clouds = serde_json::Map::new();
    for account in accounts {
        let of_cloud = accounts.iter().filter(|other| other.cloud == account.cloud).map(|other| other.n);
        let side = account.side().simulated(&of_cloud.collect::<Vec<_>>(), switches);
        clouds.insert(account.cloud.as_str().to_owned(), side);
    }
    Value::Object(clouds)
}

/// Id of the group of an account's devices.
pub(super) fn group(account: u64) -> String {
    format!("a{account}")
}

/// Id of the `n`-th device of an account.
pub(super) fn device(account: u64, n: u64) -> String {
    format!("device{account}-{n:04}")
}

/// Writes a value at a path, whose parent is there.
pub(super) fn put(value: &mut Value, path: &str, new: Value) {
    let Some((parent, field)) = path.rsplit_once('/') else { return };
    if let Some(parent) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.insert(field.to_owned(), new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clouds;
    use crate::clouds;
    use rollwave::api::support;

    #[test]
    fn every_manifest_of_every_seed_and_cloud_is_valid_and_taken_by_its_cloud() {
        let latest = [FIRST_OF_PARTS, FIRST_OF_EDITS, defaults::FIRST_OF_DEFAULTS, control::FIRST_OF_CONTROL];
        let seeds = || (0..100).chain(latest.into_iter().flat_map(|first| first..first + 100));
        let of = |clouds| seeds().map(move |seed| World { clouds, ..World::of_seed(seed) });
        for world in Clouds::ALL.into_iter().flat_map(of) {
            let scenario = Scenario::new(world).unwrap();
            let mut manifests = scenario.manifests.clone();
            for manifest in manifests.values() {
                assert_taken(world, &scenario.manifests, manifest);
            }
            for (_, turn) in &scenario.plot {
                edits::follow(&mut manifests, turn);
                if let Turn::Edit(name, ..) | Turn::Rewrite(name, _) | Turn::Write(name, _) = turn
                    && let Some(manifest) = manifests.get(name)
                {
                    assert_taken(world, &scenario.manifests, manifest);
                }
            }
        }
    }

    fn assert_taken(world: World, manifests: &BTreeMap<String, Value>, manifest: &Value) {
        let (spec, object) = (&manifest["spec"], object(manifest).unwrap());
        let named = spec["packageRef"]["name"].as_str().or_else(|| spec["cloudRef"]["name"].as_str());
        let named = named.map_or_else(|| object.key().name, str::to_owned);
        let number = named.find(|c: char| c.is_ascii_digit()).unwrap();
        let cloud = cloud_of(&manifests[&format!("cloud{}", &named[number..=number])]);
        let refused = match &object {
            Object::Cloud(_) => Vec::new(),
            Object::Package(package) => support::refusals(cloud, Kind::OtaPackage, &package.spec),
            Object::Rollout(rollout) => support::refusals(cloud, Kind::OtaRollout, &rollout.spec),
        };
        assert_eq!(refused, [], "{world:?}: {object:?}");
    }

    /// The cloud of an account.
    fn cloud_of(account: &Value) -> rollwave::api::CloudKind {
        let Object::Cloud(cloud) = object(account).unwrap() else { panic!("{account} is no account") };
        clouds::account_of(&cloud).0
    }
}
