//! A cluster as the home of a world: the controller as it is shipped (its Lease, its watches, its cache and its writes) against a
//! model of an API server.
//!
//! `etcd` is what the API server keeps; `questions` reads requests; `service` is the way from a controller to it and back, with
//! all that happens on the way; `watching` tells of changes, late; `controller` is one process, and `seats` are all of them;
//! `people` apply manifests, and meddle; `secrets` are the keys of accounts.
//!
//! Not modelled: more than one API server (each with a cache of its own that lags), a watch that falls silent and stays open (the
//! watcher's own timer ends it), defaults and schemas (rules are: `admission`), lost and late requests about Secrets.

mod admission;
mod bell;
mod controller;
mod etcd;
mod luck;
mod people;
mod questions;
mod seats;
mod secrets;
mod service;
mod time;
mod watching;

pub(super) use people::Meddling;
pub(super) use seats::Seats;
pub(super) use secrets::FIRST_OF_SECRETS;

use super::lock;
use bell::Bell;
use etcd::Etcd;
use jiff::Timestamp;
use rollwave::api::{Object, ObjectKey};
use secrets::Secrets;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// The API server, and what everybody knows of it.
pub(super) struct ApiServer {
    etcd: Mutex<Etcd>,
    /// The newest revision that watches were told to look for.
    announced: Mutex<u64>,
    changed: Bell,
    /// All watches are cut off.
    cut_off: Bell,
    /// Nobody is answered until then.
    away_until: Mutex<Timestamp>,
    /// Which instance a term is of, by the number of the term.
    terms: Mutex<BTreeMap<u64, String>>,
    /// When whoever keeps the manifests applied looks again.
    people_look_at: Mutex<Option<Timestamp>>,
    /// Objects that are gone, as they were.
    gone: Mutex<Vec<Arc<Object>>>,
    /// None where nobody deletes any.
    secrets: Mutex<Option<Secrets>>,
    /// Nobody competes for the Lease any more: the time that it is counted in stands still.
    still: Mutex<Option<rollwave::state::kubernetes::time::Moment>>,
}

impl ApiServer {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            etcd: Mutex::default(),
            announced: Mutex::default(),
            changed: Bell::default(),
            cut_off: Bell::default(),
            away_until: Mutex::new(Timestamp::MIN),
            terms: Mutex::default(),
            people_look_at: Mutex::default(),
            gone: Mutex::default(),
            secrets: Mutex::new(Secrets::of_seed(seed)),
            still: Mutex::default(),
        }
    }

    /// What is durable.
    pub(super) fn objects(&self) -> Vec<Arc<Object>> {
        self.etcd().objects()
    }

    pub(super) fn object(&self, key: &ObjectKey) -> Option<Arc<Object>> {
        self.etcd().object(key).cloned()
    }

    /// A number for a term of this instance, from 1.
    fn begin_term(&self, instance: &str) -> u64 {
        let mut terms = lock(&self.terms);
        let number = terms.len() as u64 + 1;
        terms.insert(number, instance.to_owned());
        number
    }

    /// Law: what changes something in a cloud is sent by whoever holds the Lease.
    pub(super) fn leads(&self, term: u64) -> Result<(), String> {
        let terms = lock(&self.terms);
        let (sender, etcd) = (terms.get(&term).map(String::as_str), self.etcd());
        if sender == etcd.holder() {
            return Ok(());
        }
        let names = [sender, etcd.holder()].map(|name| name.unwrap_or("nobody"));
        Err(format!("{} sends, and {} holds the Lease", names[0], names[1]))
    }

    /// Until then nobody is answered, and no watch goes on.
    pub(super) fn go_away(&self, until: Timestamp) {
        let mut away = lock(&self.away_until);
        *away = until.max(*away);
        drop(away);
        self.cut_watches_off(false);
    }

    /// etcd is what it was at a moment, and is there again then; nobody holds the Lease.
    pub(super) fn restore(&self, at: Timestamp, back: Timestamp) {
        self.etcd().restore(at);
        self.restore_secrets();
        self.go_away(back);
    }

    /// Every watch ends; with `compacted`, what they have not seen is forgotten.
    pub(super) fn cut_watches_off(&self, compacted: bool) {
        if compacted {
            self.etcd().compact();
        }
        self.cut_off.ring();
    }

    fn is_away(&self, now: Timestamp) -> bool {
        now < *lock(&self.away_until)
    }

    fn etcd(&self) -> MutexGuard<'_, Etcd> {
        lock(&self.etcd)
    }

    /// Watches are to look for what has changed.
    fn announce(&self) {
        let revision = self.etcd().revision();
        if std::mem::replace(&mut *lock(&self.announced), revision) != revision {
            self.changed.ring();
        }
    }
}
