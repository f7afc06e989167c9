//! From what a folder says to what is wanted. Pure.

use crate::api::{Object, ObjectKey, SOURCE_FILE_ANNOTATION};
use crate::source::{Snapshot, manifest};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

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

/// What is wanted after `root` said `snapshot`: its objects, and those that are stored from elsewhere. Only an object
/// whose own file lay under `root` is wanted no more because `root` does not name it: applying one folder, or one file of
/// it, never deletes what another one brought.
#[must_use]
pub fn wanted(snapshot: &Snapshot, stored: &[Arc<Object>], root: &Path) -> BTreeMap<ObjectKey, Object> {
    let elsewhere =
        stored.iter().filter(|object| !source_of(object).is_some_and(|file| file.starts_with(root)));
    let mut wanted: BTreeMap<ObjectKey, Object> =
        elsewhere.map(|object| (object.key(), Object::clone(object))).collect();
    for (key, sourced) in &snapshot.objects {
        let mut object = sourced.object.clone();
        let file = std::path::absolute(&sourced.place.file).unwrap_or_else(|_| sourced.place.file.clone());
        let annotations = object.meta_mut().annotations.get_or_insert_default();
        annotations.insert(SOURCE_FILE_ANNOTATION.to_owned(), file.display().to_string());
        wanted.insert(key.clone(), object);
    }
    wanted
}

/// The file that an object was written in.
fn source_of(object: &Object) -> Option<PathBuf> {
    object.meta().annotations.as_ref()?.get(SOURCE_FILE_ANNOTATION).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Place, Sourced};

    fn cloud(name: &str, file: Option<&str>) -> Object {
        let annotations: BTreeMap<&str, &str> =
            file.map(|file| (SOURCE_FILE_ANNOTATION, file)).into_iter().collect();
        let text = serde_json::json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaCloud",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"huaweiIotda": {"endpoint": "http://127.0.0.1:1", "region": "r", "projectId": "p", "appId": "a"},
                     "credentials": {}}
        });
        Object::Cloud(serde_json::from_value(text).unwrap())
    }

    #[test]
    fn a_folder_speaks_only_for_its_own_files() {
        let stored = [("here", "/fleet/a.yaml"), ("there", "/other/b.yaml"), ("beside", "/fleet-2/c.yaml")];
        let stored: Vec<_> = stored.iter().map(|(name, file)| Arc::new(cloud(name, Some(file)))).collect();
        let mut snapshot = Snapshot::default();
        let new = cloud("new", None);
        let place = Place { file: "/fleet/d.yaml".into(), line: 1, column: 1 };
        snapshot.objects.insert(new.key(), Sourced { object: new, place, fields: Box::default() });

        let names = |root: &str| -> Vec<String> {
            wanted(&snapshot, &stored, Path::new(root)).into_keys().map(|key| key.name).collect()
        };
        assert_eq!(names("/fleet"), ["beside", "new", "there"], "`here` is not named any more");
        assert_eq!(
            names("/fleet/d.yaml"),
            ["beside", "here", "new", "there"],
            "one file speaks for itself alone"
        );
    }
}
