//! Random histories of manifests, statuses and restarts, against a model that is told in words; and the state in memory beside the
//! file, which it must not be told from.

use super::*;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use rollwave::api::SOURCE_FILE_ANNOTATION;
use rollwave::state::{StateError, local::View};
use tempfile::TempDir;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What a manifest says: version, team and file.
type Words = (u8, u8, u8);

#[derive(Clone, Debug)]
enum Step {
    Apply { wanted: [Option<Words>; NAMES.len()], may_delete: bool },
    SaveStatus(usize, u8),
    Forget(usize),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let words = (0..2_u8, 0..2_u8, 0..2_u8);
    let wanted = proptest::array::uniform4(proptest::option::weighted(0.7, words));
    let step = prop_oneof![
        5 => (wanted, any::<bool>()).prop_map(|(wanted, may_delete)| Step::Apply { wanted, may_delete }),
        3 => (0..NAMES.len(), 0..2_u8).prop_map(|(name, says)| Step::SaveStatus(name, says)),
        3 => (0..NAMES.len()).prop_map(Step::Forget),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..25)
}

#[derive(Clone, Copy)]
struct Expected {
    words: Words,
    generation: i64,
    created: i64,
    deleted: Option<i64>,
    says: Option<u8>,
}

#[derive(Default)]
struct Model {
    objects: BTreeMap<usize, Expected>,
    forgotten: BTreeMap<usize, u64>,
    /// Identity by name and by how often the name was forgotten.
    uids: BTreeMap<(usize, u64), String>,
}

impl Model {
    fn apply(&mut self, wanted: &[Option<Words>], may_delete: bool, now: i64) -> (Desired, bool) {
        let (mut told, mut written) = (Desired::default(), false);
        for (name, wanted) in wanted.iter().enumerate() {
            let before = self.objects.get(&name).copied();
            let after = match (before, *wanted) {
                (Some(old), _) if old.deleted.is_some() => continue,
                (None, None) => continue,
                (None, Some(words)) => {
                    Expected { words, generation: 1, created: now, deleted: None, says: None }
                }
                (Some(_), None) if !may_delete => continue,
                (Some(old), None) => Expected { deleted: Some(now), ..old },
                (Some(old), Some(words)) => {
                    Expected { words, generation: old.generation + i64::from(words.0 != old.words.0), ..old }
                }
            };
            written |= before.is_none_or(|old| old.words != after.words) || after.deleted.is_some();
            if after.deleted.is_some() {
                told.deleting.push(key(NAMES[name]));
            } else if before.is_none_or(|old| (old.words.0, old.words.1) != (after.words.0, after.words.1)) {
                told.changed.push(key(NAMES[name]));
            }
            self.objects.insert(name, after);
        }
        (told, written)
    }

    fn check(&mut self, local: &Local) {
        let names: Vec<_> = self.objects.keys().map(|name| key(NAMES[*name])).collect();
        assert_eq!(answer(local.keys()).unwrap(), names);
        for (name, expected) in &self.objects {
            let object = load(local, &key(NAMES[*name])).unwrap();
            let meta = object.meta();
            let second = |time: &Option<rollwave::api::Time>| time.as_ref().map(|time| time.0.as_second());
            assert_eq!(object.generation(), expected.generation);
            assert_eq!(second(&meta.creation_timestamp), Some(expected.created));
            assert_eq!(second(&meta.deletion_timestamp), expected.deleted);
            assert_eq!(message(&object), expected.says.map(|says| says.to_string()).as_deref());
            let words = manifest(*name, expected.words);
            assert_eq!(meta.annotations, words.meta().annotations);
            assert_eq!(version(&object), version(&words));
            let turn = self.forgotten.get(name).copied().unwrap_or(0);
            let uid = meta.uid.clone().unwrap();
            assert_eq!(self.uids.entry((*name, turn)).or_insert_with(|| uid.clone()), &uid);
        }
        let distinct: std::collections::BTreeSet<_> = self.uids.values().collect();
        assert_eq!(distinct.len(), self.uids.len(), "an identity was given twice");
    }
}

fn manifest(name: usize, (version, team, file): Words) -> Object {
    let annotations = json!({"team": team.to_string(), SOURCE_FILE_ANNOTATION: file.to_string()});
    package_with(NAMES[name], &format!("V{version}"), &annotations)
}

fn version(object: &Object) -> &str {
    match object {
        Object::Package(o) => &o.spec.version,
        _ => "",
    }
}

fn run(steps: &[Step]) {
    let dir = TempDir::new().unwrap();
    let mut local = Local::open(dir.path()).unwrap();
    let memory = Memory::default();
    let mut model = Model::default();
    for (now, step) in (1..).zip(steps) {
        let before = local.writes();
        let mut writes = 0;
        match step {
            Step::Apply { wanted, may_delete } => {
                let (told, written) = model.apply(wanted, *may_delete, now);
                let desired = wanted.iter().enumerate();
                let desired = desired.filter_map(|(name, words)| words.map(|words| manifest(name, words)));
                let desired = manifests(desired);
                assert_eq!(local.apply_desired(&desired, *may_delete, at(now)).unwrap(), told);
                assert_eq!(memory.apply_desired(&desired, *may_delete, at(now)).unwrap(), told);
                writes = u64::from(written);
            }
            Step::SaveStatus(name, says) => {
                if let (Some(object), Some(expected)) =
                    (load(&local, &key(NAMES[*name])), model.objects.get_mut(name))
                {
                    let object = with_message(&object, &says.to_string());
                    answer(local.save_status(&object)).unwrap();
                    answer(memory.save_status(&object)).unwrap();
                    writes = u64::from(expected.says != Some(*says));
                    expected.says = Some(*says);
                }
            }
            Step::Forget(name) => {
                let result = answer(local.forget(&key(NAMES[*name])));
                assert_eq!(answer(memory.forget(&key(NAMES[*name]))).is_ok(), result.is_ok());
                match model.objects.get(name).map(|expected| expected.deleted.is_some()) {
                    Some(false) => assert!(matches!(result, Err(StateError::Conflict { .. })), "{result:?}"),
                    gone => {
                        result.unwrap();
                        writes = u64::from(gone.is_some());
                        *model.forgotten.entry(*name).or_default() += writes;
                        model.objects.remove(name);
                    }
                }
            }
            Step::Restart => {
                drop(local);
                local = Local::open(dir.path()).unwrap();
            }
        }
        if !matches!(step, Step::Restart) {
            assert_eq!(local.writes() - before, writes, "{step:?}");
        }
        model.check(&local);
        assert_eq!(memory.objects().iter().map(|o| Object::clone(o)).collect::<Vec<_>>(), objects(&local));
        assert_eq!(View::open(dir.path()).unwrap().objects().unwrap(), objects(&local));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases(48)) })]

    #[test]
    fn any_history_leaves_what_the_model_says(steps in steps()) {
        run(&steps);
    }
}
