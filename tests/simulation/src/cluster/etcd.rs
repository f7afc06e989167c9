//! What an API server keeps of our kinds and of the Lease, and what it makes of a write. Pure.
//!
//! Facts: every write gets the next revision of all of etcd; a resource version that is sent is a precondition, and one that
//! is not sent is none; a write that changes nothing gets no revision; the status subresource takes the status alone, and
//! everything else takes no status; the generation counts changes of the spec; an object that is deleted and has finalizers
//! stays until the last of them is gone (Kubernetes API concepts).

use super::super::scenario;
use super::admission::admit;
use jiff::Timestamp;
use rollwave::api::{Kind, Object, ObjectKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that would survive a restart.
#[derive(Clone, Default)]
pub(super) struct Etcd {
    revision: u64,
    objects: BTreeMap<ObjectKey, Stored>,
    lease: Option<Value>,
    /// Every change of an object of ours, in order.
    log: Vec<Change>,
    /// Changes up to here are forgotten: who has not seen them must list again.
    compacted: u64,
    born: u64,
}

#[derive(Clone)]
struct Stored {
    json: Arc<Value>,
    object: Arc<Object>,
}

/// A change of an object, as a watch tells it.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) at: Timestamp,
    pub(super) key: ObjectKey,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub(super) what: &'static str,
    pub(super) json: Arc<Value>,
}

/// Why a request is refused: the code and the reason of a `Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str);

const NOT_FOUND: Refusal = Refusal(404, "NotFound");
const CONFLICT: Refusal = Refusal(409, "Conflict");
const INVALID: Refusal = Refusal(422, "Invalid");

type Answer = Result<Arc<Value>, Refusal>;

impl Etcd {
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) const fn compacted(&self) -> u64 {
        self.compacted
    }

    /// Forgets what changed so far.
    pub(super) const fn compact(&mut self) {
        self.compacted = self.revision;
    }

    /// Becomes what it was at a moment, revision and all; nobody holds the Lease.
    pub(super) fn restore(&mut self, at: Timestamp) {
        let kept = self.log.partition_point(|change| change.at <= at);
        self.log.truncate(kept);
        self.revision = self.log.last().map_or(0, |change| change.revision);
        (self.compacted, self.lease) = (0, None);
        self.objects.clear();
        for change in &self.log {
            let object = scenario::object(&change.json).ok().filter(|_| change.what != "DELETED");
            match object {
                Some(object) => {
                    let stored = Stored { json: change.json.clone(), object: Arc::new(object) };
                    self.objects.insert(change.key.clone(), stored);
                }
                None => drop(self.objects.remove(&change.key)),
            }
        }
    }

    pub(super) fn objects(&self) -> Vec<Arc<Object>> {
        self.objects.values().map(|stored| stored.object.clone()).collect()
    }

    pub(super) fn object(&self, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.objects.get(key).map(|stored| &stored.object)
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Answer {
        self.objects.get(key).map(|stored| stored.json.clone()).ok_or(NOT_FOUND)
    }

    pub(super) fn list(&self, kind: Kind) -> Vec<Arc<Value>> {
        let of_kind = self.objects.iter().filter(|(key, _)| key.kind == kind);
        of_kind.map(|(_, stored)| stored.json.clone()).collect()
    }

    /// The first change of a kind after a revision.
    pub(super) fn change_after(&self, kind: Kind, revision: u64) -> Option<Change> {
        let from = self.log.partition_point(|change| change.revision <= revision);
        self.log.get(from..)?.iter().find(|change| change.key.kind == kind).cloned()
    }

    /// Somebody creates an object.
    pub(super) fn create(&mut self, wanted: &Object, now: Timestamp) -> Answer {
        let key = wanted.key();
        let mut json = serde_json::to_value(wanted).map_err(|_| INVALID)?;
        self.born += 1;
        let uid = format!("{:08x}-0000-4000-8000-{:012x}", self.born, self.born);
        let meta = json!({
            "name": key.name, "namespace": key.namespace, "uid": uid, "generation": 1,
            "creationTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        if let Some(object) = json.as_object_mut() {
            object.insert("metadata".to_owned(), meta);
            object.remove("status");
        }
        admit(key.kind, &json, None)?;
        self.put(key, json, "ADDED", now)
    }

    /// Somebody changes what is wanted of an object, or a word in its metadata.
    pub(super) fn edit(&mut self, key: &ObjectKey, now: Timestamp, edit: impl FnOnce(&mut Value)) -> Answer {
        let before = self.get(key)?;
        let mut json = Value::clone(&before);
        edit(&mut json);
        self.replace(key, &before, json, now)
    }

    /// Somebody deletes an object.
    pub(super) fn delete(&mut self, key: &ObjectKey, now: Timestamp) -> Answer {
        let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.edit(key, now, |json| {
            if json["metadata"]["deletionTimestamp"].is_null() {
                json["metadata"]["deletionTimestamp"] = at.into();
            }
        })
    }

    /// `PUT` of a status.
    pub(super) fn put_status(&mut self, key: &ObjectKey, body: &Value, now: Timestamp) -> Answer {
        let before = self.current(key, body)?;
        let mut json = Value::clone(&before);
        json["status"] = body["status"].clone();
        self.replace(key, &before, json, now)
    }

    /// `PATCH` of an object or of its status, as a JSON merge patch.
    pub(super) fn patch(&mut self, key: &ObjectKey, body: &Value, status: bool, now: Timestamp) -> Answer {
        let before = self.current(key, body)?;
        let mut json = Value::clone(&before);
        if status {
            merge(&mut json["status"], &body["status"]);
        } else {
            merge(&mut json["metadata"], &body["metadata"]);
            merge(&mut json["spec"], &body["spec"]);
        }
        self.replace(key, &before, json, now)
    }

    /// The object, if the request is about this one as it is now.
    fn current(&self, key: &ObjectKey, body: &Value) -> Answer {
        let before = self.get(key)?;
        let same = |field: &str| {
            let sent = &body["metadata"][field];
            sent.is_null() || *sent == before["metadata"][field]
        };
        if same("resourceVersion") && same("uid") { Ok(before) } else { Err(CONFLICT) }
    }

    fn replace(&mut self, key: &ObjectKey, before: &Value, mut json: Value, now: Timestamp) -> Answer {
        json["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        if json == *before && !is_over(&json) {
            return Ok(Arc::new(json));
        }
        if json["spec"] != before["spec"] {
            admit(key.kind, &json, Some(before))?;
            json["metadata"]["generation"] =
                (before["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
        }
        if is_over(&json) {
            self.objects.remove(key);
            return self.tell(key.clone(), json, "DELETED", now);
        }
        self.put(key.clone(), json, "MODIFIED", now)
    }

    fn put(&mut self, key: ObjectKey, mut json: Value, what: &'static str, now: Timestamp) -> Answer {
        json["metadata"]["resourceVersion"] = (self.revision + 1).to_string().into();
        let object = Arc::new(scenario::object(&json).map_err(|_| INVALID)?);
        let json = self.tell(key.clone(), json, what, now)?;
        self.objects.insert(key, Stored { json: json.clone(), object });
        Ok(json)
    }

    fn tell(&mut self, key: ObjectKey, mut json: Value, what: &'static str, at: Timestamp) -> Answer {
        self.revision += 1;
        json["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let json = Arc::new(json);
        self.log.push(Change { revision: self.revision, at, key, what, json: json.clone() });
        Ok(json)
    }

    /// Who holds the Lease.
    pub(super) fn holder(&self) -> Option<&str> {
        self.lease.as_ref()?["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty())
    }

    pub(super) fn lease(&self) -> Answer {
        self.lease.clone().map(Arc::new).ok_or(NOT_FOUND)
    }

    /// `POST` or `PUT` of the Lease.
    pub(super) fn write_lease(&mut self, mut body: Value, is_new: bool) -> Answer {
        let there = self.lease.as_ref().map(|lease| &lease["metadata"]["resourceVersion"]);
        match there {
            Some(_) if is_new => return Err(Refusal(409, "AlreadyExists")),
            None if !is_new => return Err(NOT_FOUND),
            Some(there) if *there != body["metadata"]["resourceVersion"] => return Err(CONFLICT),
            _ => {}
        }
        self.revision += 1;
        body["metadata"]["resourceVersion"] = self.revision.to_string().into();
        self.lease = Some(body.clone());
        Ok(Arc::new(body))
    }
}

/// Deleted, and nothing holds it any more.
fn is_over(json: &Value) -> bool {
    let meta = &json["metadata"];
    !meta["deletionTimestamp"].is_null() && meta["finalizers"].as_array().is_none_or(Vec::is_empty)
}

/// RFC 7386.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        if !patch.is_null() {
            into.clone_from(patch);
        }
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let Some(object) = into.as_object_mut() else { return };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rollwave::api::FINALIZER;

    const NOW: Timestamp = Timestamp::constant(1_767_571_200, 0);

    fn etcd() -> (Etcd, ObjectKey) {
        let manifest = json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaRollout", "metadata": {"name": "r"},
            "spec": {"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []},
        });
        let mut etcd = Etcd::default();
        let wanted = scenario::object(&manifest).unwrap();
        etcd.create(&wanted, NOW).unwrap();
        (etcd, wanted.key())
    }

    fn meta(etcd: &Etcd, key: &ObjectKey, field: &str) -> Value {
        etcd.get(key).unwrap()["metadata"][field].clone()
    }

    #[test]
    fn a_write_on_an_old_revision_is_refused_and_one_that_names_none_is_not() {
        let (mut etcd, key) = etcd();
        let status = |message: &str| json!({"message": message, "phase": "Pending"});
        let body = |revision: Value, message: &str| json!({"metadata": {"resourceVersion": revision}, "status": status(message)});
        etcd.put_status(&key, &body("1".into(), "a"), NOW).unwrap();
        assert_eq!(etcd.put_status(&key, &body("1".into(), "b"), NOW), Err(CONFLICT));
        etcd.put_status(&key, &body(Value::Null, "c"), NOW).unwrap();
        assert_eq!(meta(&etcd, &key, "resourceVersion"), "3");
        etcd.put_status(&key, &body("3".into(), "c"), NOW).unwrap();
        assert_eq!(meta(&etcd, &key, "resourceVersion"), "3", "nothing changed");
        assert_eq!(meta(&etcd, &key, "generation"), 1, "a status is no spec");
        etcd.edit(&key, NOW, |json| json["spec"]["suspend"] = true.into()).unwrap();
        assert_eq!(meta(&etcd, &key, "generation"), 2);
    }

    #[test]
    fn a_change_that_the_rules_refuse_leaves_what_is_there() {
        let manifest = json!({
            "apiVersion": "ota.rollwave.dev/v1alpha1", "kind": "OtaPackage", "metadata": {"name": "p"},
            "spec": {"cloudRef": {"name": "cloud0"}, "type": "Firmware", "product": {"id": "meter"}, "version": "V2",
                "artifact": {"sha256": "ab".repeat(32), "file": "a"}},
        });
        let mut etcd = Etcd::default();
        let wanted = scenario::object(&manifest).unwrap();
        let before = etcd.create(&wanted, NOW).unwrap();
        let edited = etcd.edit(&wanted.key(), NOW, |json| json["spec"]["version"] = "V3".into());
        assert_eq!(edited, Err(INVALID));
        assert_eq!(etcd.get(&wanted.key()), Ok(before));
    }

    #[test]
    fn an_object_with_a_finalizer_stays_until_that_is_gone_and_watches_tell_of_all_of_it() {
        let (mut etcd, key) = etcd();
        let finalizers = |of: Value| json!({"metadata": {"finalizers": of}});
        etcd.patch(&key, &finalizers(json!([FINALIZER])), false, NOW).unwrap();
        etcd.delete(&key, NOW).unwrap();
        assert!(etcd.object(&key).unwrap().is_deleting());
        etcd.patch(&key, &finalizers(json!([])), false, NOW).unwrap();
        assert_eq!(etcd.get(&key), Err(NOT_FOUND));
        let (mut seen, mut told) = (0, Vec::new());
        while let Some(change) = etcd.change_after(Kind::OtaRollout, seen) {
            seen = change.revision;
            told.push(change.what);
        }
        assert_eq!(told, ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]);
        assert!(etcd.change_after(Kind::OtaCloud, 0).is_none());
    }

    #[test]
    fn a_restored_etcd_is_what_it_was_and_counts_on_from_there() {
        let (mut etcd, key) = etcd();
        let later = NOW.saturating_add(jiff::SignedDuration::from_secs(5)).unwrap();
        etcd.edit(&key, later, |json| json["spec"]["suspend"] = true.into()).unwrap();
        etcd.restore(NOW);
        assert_eq!(meta(&etcd, &key, "resourceVersion"), "1");
        assert_eq!(etcd.revision(), 1);
        etcd.restore(NOW.saturating_sub(jiff::SignedDuration::from_secs(5)).unwrap());
        assert_eq!((etcd.objects().len(), etcd.holder()), (0, None));
    }

    #[test]
    fn the_lease_goes_to_whoever_writes_first() {
        let mut etcd = Etcd::default();
        let lease = |holder: &str, revision: Value| json!({"metadata": {"resourceVersion": revision}, "spec": {"holderIdentity": holder}});
        etcd.write_lease(lease("a", Value::Null), true).unwrap();
        assert!(etcd.write_lease(lease("b", Value::Null), true).is_err());
        assert!(etcd.write_lease(lease("b", "7".into()), false).is_err());
        etcd.write_lease(lease("b", "1".into()), false).unwrap();
        assert_eq!(etcd.holder(), Some("b"));
    }
}
