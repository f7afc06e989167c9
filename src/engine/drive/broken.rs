//! Writes what is wrong with invalid objects into their statuses, next to the watches: a slow API server must not delay
//! the controller.

use crate::api::{ObjectKey, ObjectMeta};
use crate::state::StateError;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use std::collections::BTreeMap;

/// Writes at once, at most: a cluster may have thousands of invalid objects.
const MOST: usize = 8;

/// An object that is invalid, or cannot work in a cluster.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Its key.
    pub key: ObjectKey,
    /// Its metadata.
    pub meta: Box<ObjectMeta>,
    /// What is wrong with it.
    pub why: String,
}

/// Result of a write: true when the status did not report it before.
pub(super) type Written = Result<bool, StateError>;

/// Starts a write of what is wrong with an object into its status.
pub(super) type Write = Box<dyn Fn(Broken) -> BoxFuture<'static, Written> + Send + Sync>;

/// The writes: one at a time per object, and the newest text wins.
pub(super) struct Writes {
    write: Write,
    /// The newest text of each object that is still to be written.
    waiting: BTreeMap<ObjectKey, Broken>,
    /// Objects that are being written; false: they are valid again.
    writing: BTreeMap<ObjectKey, bool>,
    under_way: FuturesUnordered<BoxFuture<'static, (Broken, Written)>>,
    /// Objects whose last write failed.
    failed: BTreeMap<ObjectKey, Broken>,
}

impl Writes {
    pub(super) fn new(write: Write) -> Self {
        Self {
            write,
            waiting: BTreeMap::new(),
            writing: BTreeMap::new(),
            under_way: FuturesUnordered::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Queues what is wrong with an object, in place of an older text.
    pub(super) fn say(&mut self, broken: Broken) {
        self.failed.remove(&broken.key);
        self.waiting.insert(broken.key.clone(), broken);
        self.begin();
    }

    /// The object is valid now, or deleted: nothing more is written.
    pub(super) fn forget(&mut self, key: &ObjectKey) {
        self.waiting.remove(key);
        self.failed.remove(key);
        if let Some(is_broken) = self.writing.get_mut(key) {
            *is_broken = false;
        }
    }

    /// Returns the objects whose last write failed, and forgets them.
    pub(super) fn take_failed(&mut self) -> impl Iterator<Item = Broken> + use<> {
        std::mem::take(&mut self.failed).into_values()
    }

    /// The next write that ends; none when none is running. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<(Broken, Written)> {
        self.under_way.next().await
    }

    /// Handles the result of a write; returns the object when its status shows something new.
    pub(super) fn take(&mut self, broken: Broken, written: Written) -> Option<Broken> {
        let is_broken = self.writing.remove(&broken.key).unwrap_or(false);
        let news = match written {
            Ok(is_news) => is_news.then_some(broken),
            Err(error) => {
                tracing::warn!(object = %broken.key, "cannot write the status of an invalid object: {error}");
                if is_broken && !self.waiting.contains_key(&broken.key) {
                    self.failed.insert(broken.key.clone(), broken);
                }
                None
            }
        };
        self.begin();
        news
    }

    fn begin(&mut self) {
        while self.writing.len() < MOST {
            let free = self.waiting.keys().find(|key| !self.writing.contains_key(*key)).cloned();
            let Some(broken) = free.and_then(|key| self.waiting.remove(&key)) else { return };
            self.writing.insert(broken.key.clone(), true);
            let write = (self.write)(broken.clone());
            self.under_way.push(async move { (broken, write.await) }.boxed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;
    use std::sync::{Arc, Mutex};
    use tokio::sync::Notify;

    fn key(name: &str) -> ObjectKey {
        ObjectKey { kind: Kind::OtaCloud, namespace: "n".into(), name: name.into() }
    }

    fn broken(name: &str, why: &str) -> Broken {
        Broken { key: key(name), meta: Box::default(), why: why.into() }
    }

    /// Writes that end when released, and a log of those that were started. One whose text is "refused" fails.
    fn writes() -> (Writes, Arc<Mutex<Vec<String>>>, Arc<Notify>) {
        let (begun, go) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (log, gate) = (begun.clone(), go.clone());
        let write = move |broken: Broken| {
            log.lock().unwrap().push(format!("{}: {}", broken.key.name, broken.why));
            let gate = gate.clone();
            async move {
                gate.notified().await;
                match broken.why.as_str() {
                    "refused" => Err(StateError::Deposed),
                    _ => Ok(true),
                }
            }
            .boxed()
        };
        (Writes::new(Box::new(write)), begun, go)
    }

    async fn end_one(writes: &mut Writes, go: &Notify) -> Option<String> {
        go.notify_one();
        let (broken, written) = writes.next().await?;
        writes.take(broken, written).map(|broken| broken.why)
    }

    #[tokio::test]
    async fn one_write_of_an_object_is_under_way_and_the_newest_text_is_the_next() {
        let (mut writes, begun, go) = writes();
        ["first", "second", "third"].into_iter().for_each(|why| writes.say(broken("a", why)));
        writes.say(broken("b", "other"));
        assert_eq!(*begun.lock().unwrap(), ["a: first", "b: other"]);
        for _ in 0..3 {
            end_one(&mut writes, &go).await;
        }
        assert_eq!(*begun.lock().unwrap(), ["a: first", "b: other", "a: third"]);
        assert!(writes.next().await.is_none(), "nothing is left");
    }

    #[tokio::test]
    async fn what_failed_is_kept_unless_the_object_is_understood_or_has_a_newer_text() {
        let (mut writes, _, go) = writes();
        writes.say(broken("a", "refused"));
        assert_eq!(end_one(&mut writes, &go).await, None);
        assert_eq!(writes.take_failed().map(|broken| broken.why).collect::<Vec<_>>(), ["refused"]);
        writes.say(broken("a", "refused"));
        writes.forget(&key("a"));
        end_one(&mut writes, &go).await;
        assert_eq!(writes.take_failed().count(), 0, "it is understood");
        writes.say(broken("a", "refused"));
        writes.say(broken("a", "newer"));
        end_one(&mut writes, &go).await;
        assert_eq!(writes.take_failed().count(), 0, "the newer text is on its way");
        assert_eq!(end_one(&mut writes, &go).await.as_deref(), Some("newer"));
    }

    #[tokio::test]
    async fn a_few_writes_are_under_way_at_once_and_all_of_them_are_made() {
        let (mut writes, begun, go) = writes();
        (0..20).for_each(|n| writes.say(broken(&format!("{n:02}"), "wrong")));
        assert_eq!(begun.lock().unwrap().len(), MOST);
        for _ in 0..20 {
            assert!(end_one(&mut writes, &go).await.is_some());
        }
        assert_eq!(begun.lock().unwrap().len(), 20);
    }
}
