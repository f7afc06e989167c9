//! Cached objects of a cluster: from watches, and from the writes of this process. Pure.
//!
//! The two arrive in any order, so the newer resource version wins. Kubernetes orders the versions of one resource as numbers
//! (KEP-5504); a list is accepted even if it goes back, since etcd may have been restored from a backup.

use crate::api::{
    FINALIZER, Intent, IntentState, OWN_ANNOTATIONS, Object, ObjectKey, ObjectMeta, SOURCE_FILE_ANNOTATION,
    SOURCE_ROOT_ANNOTATION, Scope,
};
use crate::state::{StateError, codec};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

/// Own writes of one object that are remembered; a reconcile makes a few.
const LINEAGE: usize = 64;

/// Origin of an observed object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// An event of a watch, or a GET.
    Event,
    /// The initial list of a watch.
    List,
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<ObjectKey, Entry>,
    listings: BTreeMap<Scope, Listing>,
    /// Folder with one folder of files per namespace.
    files: Option<PathBuf>,
    /// Objects whose change a GET showed before their watch has reported anything: the watch still wakes the objects that depend on them.
    unreported: BTreeSet<ObjectKey>,
}

#[derive(Debug)]
struct Entry {
    object: Arc<Object>,
    /// Revisions from which the present status was reached by our own writes only, newest last.
    lineage: VecDeque<String>,
    /// The listing of its scope in which we last wrote it.
    written_in: u64,
    is_being_written: bool,
}

#[derive(Debug, Default)]
struct Listing {
    number: u64,
    seen: BTreeSet<ObjectKey>,
}

/// The basis of a write.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// The newest known object; its revision is the precondition of the write.
    pub(super) object: Arc<Object>,
    lineage: VecDeque<String>,
}

impl Cache {
    pub(super) fn with_files(files: Option<PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }

    /// The object as it is cached: without managed fields, which are not used here, and with relative paths starting in the
    /// folder of its namespace, whatever its annotations are.
    fn tidied(&self, mut object: Object) -> Object {
        let folder = self.files.as_ref().map(|files| files.join(object.namespace()));
        let meta = object.meta_mut();
        meta.managed_fields = None;
        if let Some(annotations) = &mut meta.annotations {
            annotations.retain(|name, _| !OWN_ANNOTATIONS.contains(&name.as_str()));
        }
        if let Some(folder) = folder {
            let annotations = meta.annotations.get_or_insert_default();
            annotations.insert(SOURCE_FILE_ANNOTATION.to_owned(), folder.join("-").display().to_string());
            annotations.insert(SOURCE_ROOT_ANNOTATION.to_owned(), folder.display().to_string());
        }
        object
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.entries.get(key).map(|entry| entry.object.clone())
    }

    pub(super) fn keys(&self) -> Vec<ObjectKey> {
        self.entries.keys().cloned().collect()
    }

    /// Takes in an observed object; true when it must be reconciled: it is new, or changed by another writer.
    pub(super) fn take(&mut self, object: Object, seen: Seen) -> bool {
        let is_unreported = self.unreported.remove(&object.key());
        self.take_newer(object, seen) || is_unreported
    }

    /// Takes in what a GET shows: the object, or that it is gone.
    pub(super) fn take_read(&mut self, key: &ObjectKey, object: Option<Object>) {
        let is_change = match object {
            Some(object) => self.take_newer(object, Seen::Event),
            None => self.entries.remove(key).is_some(),
        };
        if is_change {
            self.unreported.insert(key.clone());
        }
    }

    fn take_newer(&mut self, object: Object, seen: Seen) -> bool {
        let object = self.tidied(object);
        let key = object.key();
        let number = self.listing_number(&key);
        if seen == Seen::List {
            for (_, listing) in self.listings.iter_mut().filter(|(scope, _)| scope.holds(&key)) {
                listing.seen.insert(key.clone());
            }
        }
        if is_let_go(&object) {
            return self.entries.remove(&key).is_some();
        }
        let revision = revision_of(&object);
        let Some(old) = self.entries.get_mut(&key) else {
            let lineage = VecDeque::from([revision]);
            let (object, written_in) = (Arc::new(object), 0);
            self.entries.insert(key, Entry { object, lineage, written_in, is_being_written: false });
            return true;
        };
        let goes_back = seen == Seen::List && old.written_in < number;
        if !is_newer(&old.object, &object, goes_back) {
            return false;
        }
        let same_status = codec::same_status(&old.object, &object);
        let wakes = !same_wish(&old.object, &object) || !(same_status || old.is_being_written);
        old.follow(revision, same_status && old.object.meta().uid == object.meta().uid);
        old.object = Arc::new(object);
        wakes
    }

    /// Forgets an object that was deleted or cannot be parsed; true when it was known.
    pub(super) fn remove(&mut self, key: &ObjectKey) -> bool {
        let is_unreported = self.unreported.remove(key);
        self.entries.remove(key).is_some() || is_unreported
    }

    /// A watch begins with a list of everything that it covers.
    pub(super) fn begin_list(&mut self, scope: Scope) {
        let listing = self.listings.entry(scope).or_default();
        listing.number += 1;
        listing.seen.clear();
    }

    /// The list is complete: returns, and forgets, the objects that it does not contain.
    pub(super) fn end_list(&mut self, scope: &Scope) -> Vec<ObjectKey> {
        let Some(listing) = self.listings.get(scope) else { return Vec::new() };
        let known: BTreeSet<&ObjectKey> = self.entries.keys().chain(&self.unreported).collect();
        let is_gone = |key: &&ObjectKey| scope.holds(key) && !listing.seen.contains(key);
        let gone: Vec<ObjectKey> = known.into_iter().filter(is_gone).cloned().collect();
        for key in &gone {
            self.remove(key);
        }
        gone
    }

    /// How often a list that covers the object has begun.
    fn listing_number(&self, key: &ObjectKey) -> u64 {
        let covering = self.listings.iter().find(|(scope, _)| scope.holds(key));
        covering.map_or(0, |(_, listing)| listing.number)
    }

    /// The basis of a write of the status of `object`.
    ///
    /// # Errors
    /// [`StateError::Conflict`]: another writer changed the status since `object` was loaded; or the write announces a create,
    /// and the desired state has changed since.
    pub(super) fn base(&self, object: &Object) -> Result<Base, StateError> {
        let key = object.key();
        let conflict = || StateError::Conflict { key: key.to_string() };
        let entry = self.entries.get(&key).ok_or_else(conflict)?;
        let known = &entry.object;
        let same = known.meta().uid == object.meta().uid && entry.lineage.contains(&revision_of(object));
        if !same || (announces(object, known) && !same_wish(known, object)) {
            return Err(conflict());
        }
        Ok(Base { object: known.clone(), lineage: entry.lineage.clone() })
    }

    /// A write of this object begins or ends: a change of its status that a watch reports meanwhile is most likely that write.
    pub(super) fn set_being_written(&mut self, key: &ObjectKey, is_being_written: bool) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.is_being_written = is_being_written;
        }
    }

    /// Takes in the result of a write.
    pub(super) fn wrote(&mut self, base: &Base, object: Object) {
        let object = self.tidied(object);
        let number = self.listing_number(&base.object.key());
        let Some(entry) = self.entries.get_mut(&object.key()) else { return };
        let revision = revision_of(&object);
        let is_overtaken = is_newer(&object, &entry.object, false);
        let theirs = revision_of(&entry.object);
        let same_status = codec::same_status(&object, &entry.object);
        entry.written_in = number;
        if is_overtaken && !same_status {
            return;
        }
        entry.lineage.clone_from(&base.lineage);
        entry.follow(revision, true);
        if is_overtaken {
            entry.follow(theirs, true);
        } else {
            entry.object = Arc::new(object);
        }
    }
}

impl Entry {
    fn follow(&mut self, revision: String, same_line: bool) {
        if !same_line {
            self.lineage.clear();
        }
        self.lineage.push_back(revision);
        let excess = self.lineage.len().saturating_sub(LINEAGE);
        self.lineage.drain(..excess);
    }
}

/// Deleted, and without our finalizer.
fn is_let_go(object: &Object) -> bool {
    object.is_deleting() && !is_held(object.meta())
}

/// True when the object has our finalizer.
pub(super) fn is_held(meta: &ObjectMeta) -> bool {
    meta.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

pub(super) fn revision_of(object: &Object) -> String {
    object.meta().resource_version.clone().unwrap_or_default()
}

fn is_newer(old: &Object, new: &Object, may_go_back: bool) -> bool {
    let number = |object| revision_of(object).parse::<u128>().ok();
    match (number(old), number(new)) {
        (Some(old), Some(new)) => new > old || (may_go_back && new < old),
        _ => revision_of(old) != revision_of(new),
    }
}

/// True when both have the same desired state.
fn same_wish(a: &Object, b: &Object) -> bool {
    let (x, y) = (a.meta(), b.meta());
    codec::same_spec(a, b)
        && (&x.uid, &x.labels, &x.annotations, &x.deletion_timestamp)
            == (&y.uid, &y.labels, &y.annotations, &y.deletion_timestamp)
}

/// True when `object` has an intent that is about to be sent, and `known` does not.
pub(super) fn announces(object: &Object, known: &Object) -> bool {
    let known = known.pending();
    let is_new = |intent: &&Intent| intent.state == IntentState::Intended && !known.contains(intent);
    object.pending().iter().any(|intent| is_new(&intent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Kind, OtaRollout, OtaRolloutStatus};
    use serde_json::{Value, json};

    fn rollouts() -> Scope {
        Scope { kind: Kind::OtaRollout, namespace: None }
    }

    /// A rollout at a revision, with this message in its status.
    fn rollout(revision: u64, message: &str) -> Object {
        changed(revision, message, |_| {})
    }

    fn changed(revision: u64, message: &str, change: impl Fn(&mut Value)) -> Object {
        let mut json = json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaRollout",
            "metadata": {"name": "r", "namespace": "n", "uid": "u", "generation": 1,
                "resourceVersion": revision.to_string(), "finalizers": [FINALIZER], "managedFields": [{}]},
            "spec": {"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []},
        });
        change(&mut json);
        let mut rollout: OtaRollout = serde_json::from_value(json).unwrap();
        rollout.status =
            Some(OtaRolloutStatus { message: message.to_owned(), ..OtaRolloutStatus::default() });
        Object::Rollout(rollout)
    }

    fn with_intent(mut object: Object) -> Object {
        let intent = json!({"token": "t", "operation": "CreateJob", "digest": "d", "at": "2026-01-01T00:00:00.5Z", "state": "Intended"});
        if let Object::Rollout(rollout) = &mut object {
            rollout.status.get_or_insert_default().pending = vec![serde_json::from_value(intent).unwrap()];
        }
        object
    }

    fn cache_of(object: Object) -> Cache {
        let mut cache = Cache::default();
        assert!(cache.take(object, Seen::Event));
        cache
    }

    fn known(cache: &Cache) -> String {
        let object = cache.get(&rollout(0, "").key()).unwrap();
        let Object::Rollout(rollout) = object.as_ref() else { panic!("{object:?}") };
        format!("{} {}", revision_of(&object), rollout.status.as_ref().unwrap().message)
    }

    /// Writes as the store does: returns the object as the API server stores it.
    fn write(cache: &mut Cache, object: &Object, revision: u64, message: &str) {
        let base = cache.base(object).unwrap();
        cache.wrote(&base, rollout(revision, message));
    }

    #[test]
    fn what_was_written_is_not_undone_by_what_a_watch_tells_late() {
        let mut cache = cache_of(rollout(1, "a"));
        write(&mut cache, &rollout(1, "a"), 5, "b");
        assert!(!cache.take(rollout(3, "a"), Seen::Event), "older than what was written");
        assert!(!cache.take(rollout(5, "b"), Seen::Event), "our own write comes back");
        assert_eq!(known(&cache), "5 b");
        write(&mut cache, &rollout(1, "a"), 6, "c");
        assert_eq!(known(&cache), "6 c", "a reconcile writes several times over what it loaded");
    }

    #[test]
    fn a_watch_may_tell_of_a_write_before_its_answer_comes() {
        let mut cache = cache_of(rollout(1, "a"));
        let base = cache.base(&rollout(1, "a")).unwrap();
        cache.set_being_written(&rollout(0, "").key(), true);
        assert!(!cache.take(rollout(2, "b"), Seen::Event), "our own write needs no reconcile");
        cache.wrote(&base, rollout(2, "b"));
        cache.set_being_written(&rollout(0, "").key(), false);
        assert!(cache.base(&rollout(1, "a")).is_ok(), "the reconcile continues");
    }

    #[test]
    fn what_a_get_shows_wakes_once_the_watch_reports_it() {
        let (mut cache, key) = (cache_of(rollout(1, "a")), rollout(0, "").key());
        let edited = || changed(3, "a", |json| json["spec"]["suspend"] = true.into());
        cache.take_read(&key, Some(edited()));
        assert_eq!(known(&cache), "3 a");
        assert!(cache.take(edited(), Seen::Event));
        assert!(!cache.take(edited(), Seen::Event), "it was reported");
        cache.take_read(&key, Some(edited()));
        assert!(!cache.take(edited(), Seen::Event), "the read showed nothing new");
        cache.take_read(&key, None);
        assert!(cache.keys().is_empty());
        assert!(cache.remove(&key), "it is gone");
        cache.take(rollout(9, "a"), Seen::Event);
        cache.begin_list(rollouts());
        cache.take_read(&key, None);
        assert_eq!(cache.end_list(&rollouts()), [key]);
    }

    #[test]
    fn somebody_elses_status_stops_a_write_and_wakes() {
        let mut cache = cache_of(rollout(1, "a"));
        assert!(cache.take(rollout(2, "theirs"), Seen::Event));
        assert!(cache.base(&rollout(1, "mine")).is_err());
        assert!(cache.base(&rollout(2, "mine")).is_ok());
        let other = changed(3, "theirs", |json| json["metadata"]["uid"] = "another".into());
        assert!(cache.take(other, Seen::Event));
        assert!(cache.base(&rollout(2, "mine")).is_err(), "another object of the same name");
    }

    #[test]
    fn a_changed_wish_stops_an_intent_and_nothing_else() {
        type Edit = fn(&mut Value);
        let changes: [(&str, Edit, bool); 5] = [
            ("nothing", |_| {}, true),
            ("finalizers", |json| json["metadata"]["finalizers"] = json!([FINALIZER, "theirs"]), true),
            ("spec", |json| json["spec"]["suspend"] = true.into(), false),
            ("labels", |json| json["metadata"]["labels"] = json!({"a": "b"}), false),
            ("deletion", |json| json["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into(), false),
        ];
        for (name, change, lets_intents_through) in changes {
            let mut cache = cache_of(rollout(1, "a"));
            cache.take(changed(2, "a", change), Seen::Event);
            assert_eq!(cache.base(&with_intent(rollout(1, "a"))).is_ok(), lets_intents_through, "{name}");
            assert!(cache.base(&rollout(1, "b")).is_ok(), "{name}: what has happened can still be recorded");
        }
    }

    #[test]
    fn a_list_tells_what_is_gone_and_is_believed_where_etcd_went_back() {
        let mut cache = cache_of(rollout(9, "a"));
        cache.begin_list(rollouts());
        assert!(cache.take(rollout(4, "restored"), Seen::List));
        assert_eq!(known(&cache), "4 restored");
        assert_eq!(cache.end_list(&rollouts()), []);
        cache.begin_list(rollouts());
        write(&mut cache, &rollout(4, "restored"), 10, "b");
        assert!(!cache.take(rollout(4, "restored"), Seen::List), "written since the list began");
        assert_eq!(cache.end_list(&rollouts()), []);
        cache.begin_list(rollouts());
        assert_eq!(cache.end_list(&Scope { kind: Kind::OtaPackage, namespace: None }), []);
        assert_eq!(cache.end_list(&rollouts()), [rollout(0, "").key()]);
    }

    #[test]
    fn the_list_of_a_namespace_says_nothing_of_another_one() {
        let mut cache = Cache::default();
        let scopes = Scope::of_namespaces(&["n".into(), "m".into()]);
        let [n, m] = ["n", "m"].map(|name| {
            scopes.iter().find(|scope| scope.holds(&ObjectKey::new(Kind::OtaRollout, name, "r"))).unwrap()
        });
        for scope in [n, m] {
            cache.begin_list(scope.clone());
        }
        assert!(cache.take(rollout(7, "listed"), Seen::List));
        assert_eq!((cache.end_list(n), cache.end_list(m)), (vec![], vec![]));
        cache.begin_list(m.clone());
        assert_eq!(cache.end_list(m), []);
        assert!(!cache.take(rollout(6, "older"), Seen::Event));
        cache.begin_list(n.clone());
        assert!(cache.take(rollout(5, "restored"), Seen::List));
        cache.begin_list(n.clone());
        assert_eq!(cache.end_list(n), [rollout(0, "").key()]);
        assert!(cache.keys().is_empty());
    }

    #[test]
    fn an_object_that_nothing_of_ours_holds_is_none_of_ours() {
        let mut cache = cache_of(rollout(1, "a"));
        let let_go = changed(2, "a", |json| {
            json["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            json["metadata"]["finalizers"] = json!(["theirs"]);
        });
        assert!(cache.take(let_go.clone(), Seen::Event));
        assert!(cache.keys().is_empty());
        assert!(!cache.take(let_go, Seen::Event));
    }
}
