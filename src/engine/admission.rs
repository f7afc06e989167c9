//! From what a folder says to what is wanted. Pure.

use super::prune::{self, Pruning, Withheld};
use crate::api::{Object, ObjectKey};
use crate::source::origin::Origin;
use crate::source::{Snapshot, manifest};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Takes out of the snapshot what may not follow on what is stored (a package of another version under the same name,
/// say), and says so as a problem: the stored object stays as it is.
pub fn admit(snapshot: &mut Snapshot, stored: &[Arc<Object>]) {
    for old in stored.iter().filter(|old| !old.is_deleting()) {
        let key = old.key();
        let Some(new) = snapshot.objects.get(&key).filter(|new| !new.object.same_spec(old)) else { continue };
        let problems = manifest::check_update(old, new);
        if !problems.is_empty() {
            snapshot.problems.extend(problems);
            snapshot.objects.remove(&key);
        }
    }
}

/// What is wanted after a source held some manifests.
#[derive(Debug)]
pub struct Wanted {
    /// Everything that the state is to hold: what is not among it is deleted.
    pub objects: BTreeMap<ObjectKey, Object>,
    /// What stays although its manifest is missing, until a user confirms its deletion.
    pub withheld: Option<Withheld>,
    /// What other sources brought, and this one does not name.
    pub elsewhere: Vec<ObjectKey>,
}

/// What is wanted after `origin` held `snapshot`: its objects, and those that are stored from elsewhere. Only an object that
/// this source brought is wanted no more because the source does not name it: applying one folder, or one file of it, never
/// deletes what another one brought, unless `pruning` says that there is no other.
#[must_use]
pub fn wanted(
    snapshot: &Snapshot,
    stored: &[Arc<Object>],
    origin: &Origin,
    pruning: Pruning,
    now: Timestamp,
) -> Wanted {
    let (ours, others): (Vec<&Object>, Vec<&Object>) =
        stored.iter().map(Arc::as_ref).partition(|object| pruning.all || origin.owns(object.meta()));
    let is_missing =
        |object: &&&Object| !object.is_deleting() && !snapshot.objects.contains_key(&object.key());
    let owned = ours.iter().filter(|object| !object.is_deleting()).count();
    let missing: Vec<&Object> = ours.iter().filter(is_missing).copied().collect();
    // While there are problems nothing is deleted anyway.
    let keys = match snapshot.problems.is_empty() {
        true => prune::withheld(&missing, owned, snapshot.objects.is_empty(), pruning),
        false => Vec::new(),
    };
    let mut objects: BTreeMap<ObjectKey, Object> =
        others.iter().map(|object| (object.key(), Object::clone(object))).collect();
    let kept = missing.iter().filter(|object| keys.contains(&object.key()));
    objects.extend(kept.map(|object| (object.key(), prune::noted(object, now))));
    for (key, sourced) in &snapshot.objects {
        let mut object = sourced.object.clone();
        origin.mark(object.meta_mut(), &sourced.place.file);
        objects.insert(key.clone(), object);
    }
    Wanted {
        objects,
        withheld: (!keys.is_empty()).then_some(Withheld { keys, owned }),
        elsewhere: others.iter().filter(is_missing).map(|object| object.key()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{PRUNE_CONFIRMED_ANNOTATION, PRUNE_WITHHELD_ANNOTATION, SOURCE_FILE_ANNOTATION};
    use crate::source::{Place, Sourced};
    use std::path::Path;

    fn cloud(name: &str, annotations: &[(&str, &str)]) -> Object {
        let annotations: BTreeMap<&str, &str> = annotations.iter().copied().collect();
        let text = serde_json::json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaCloud",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"huaweiIotda": {"endpoint": "http://127.0.0.1:1", "region": "r", "projectId": "p", "appId": "a"},
                     "credentials": {}}
        });
        Object::Cloud(serde_json::from_value(text).unwrap())
    }

    fn snapshot(names: &[&str]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for name in names {
            let place = Place { file: format!("/fleet/{name}.yaml").into(), line: 1, column: 1 };
            let object = cloud(name, &[]);
            snapshot.objects.insert(object.key(), Sourced { object, place, fields: Box::default() });
        }
        snapshot
    }

    fn by_path(root: &str) -> Origin {
        Origin::by_path(Path::new(root), root.into())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn names<'a>(keys: impl IntoIterator<Item = &'a ObjectKey>) -> Vec<&'a str> {
        keys.into_iter().map(|key| key.name.as_str()).collect()
    }

    #[test]
    fn a_folder_speaks_only_for_its_own_files() {
        let stored = [("here", "/fleet/a.yaml"), ("there", "/other/b.yaml"), ("beside", "/fleet-2/c.yaml")];
        let stored = stored.map(|(name, file)| Arc::new(cloud(name, &[(SOURCE_FILE_ANNOTATION, file)])));
        let wanted =
            |root: &str, pruning| wanted(&snapshot(&["new"]), &stored, &by_path(root), pruning, at(1));

        let folder = wanted("/fleet", Pruning::default());
        assert_eq!(names(folder.objects.keys()), ["beside", "new", "there"], "`here` is not named any more");
        assert_eq!(names(&folder.elsewhere), ["there", "beside"]);
        let file = wanted("/fleet/new.yaml", Pruning::default());
        assert_eq!(
            names(file.objects.keys()),
            ["beside", "here", "new", "there"],
            "it speaks for itself alone"
        );
        let all = wanted("/fleet", Pruning { all: true, allow: true });
        assert_eq!((names(all.objects.keys()), all.elsewhere.len()), (vec!["new"], 0));
    }

    #[test]
    fn nothing_is_let_go_when_a_source_is_empty_or_lost_most_of_its_objects() {
        let five = ["a", "b", "c", "d", "e"];
        // Left in the source, and what is withheld of the rest.
        let cases: [(&[&str], &[&str]); 6] = [
            (&[], &five),
            (&["a"], &["b", "c", "d", "e"]),
            (&["a", "b"], &["c", "d", "e"]),
            (&["a", "b", "c"], &[]),
            (&["new"], &five),
            (&["a", "b", "c", "d", "e", "new"], &[]),
        ];
        let stored = five.map(|name| Arc::new(cloud(name, &[(SOURCE_FILE_ANNOTATION, "/fleet/x.yaml")])));
        for (left, withheld) in cases {
            let take = |pruning| wanted(&snapshot(left), &stored, &by_path("/fleet"), pruning, at(1));
            let guarded = take(Pruning::default());
            let keys = guarded.withheld.as_ref().map(|withheld| withheld.keys.as_slice()).unwrap_or_default();
            assert_eq!(names(keys), withheld, "{left:?}");
            assert!(keys.iter().all(|key| guarded.objects.contains_key(key)), "{left:?}");
            let allowed = take(Pruning { allow: true, all: false });
            assert_eq!((names(allowed.objects.keys()), allowed.withheld), (left.to_vec(), None), "{left:?}");
        }
        let two = &stored[..2];
        let take =
            |names: &[&str]| wanted(&snapshot(names), two, &by_path("/fleet"), Pruning::default(), at(1));
        assert_eq!(take(&["c"]).withheld, None, "two of two were replaced by another one: that is an edit");
        assert_eq!(take(&[]).withheld.unwrap().keys.len(), 2);
    }

    #[test]
    fn what_is_withheld_stays_so_until_it_is_confirmed_or_its_manifest_is_back() {
        let file = (SOURCE_FILE_ANNOTATION, "/fleet/x.yaml");
        let withheld = (PRUNE_WITHHELD_ANNOTATION, "1970-01-01T00:00:01Z");
        let stored = [
            cloud("a", &[file, withheld]),
            cloud("b", &[file, withheld]),
            cloud("c", &[file, withheld, (PRUNE_CONFIRMED_ANNOTATION, "1970-01-01T00:00:02Z")]),
            cloud("d", &[file]),
        ]
        .map(Arc::new);
        let wanted = wanted(&snapshot(&["a", "d"]), &stored, &by_path("/fleet"), Pruning::default(), at(9));
        assert_eq!(names(wanted.objects.keys()), ["a", "b", "d"]);
        let since = |name: &str| {
            let object = wanted.objects.values().find(|object| object.key().name == name).unwrap();
            crate::api::withheld_since(object.meta()).map(str::to_owned)
        };
        assert_eq!((since("a"), since("b").as_deref()), (None, Some("1970-01-01T00:00:01Z")));
    }
}
