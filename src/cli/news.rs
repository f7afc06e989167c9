//! Changes of objects that a verb waits for, from a watch of the cluster or of the state folder.

use super::place::Found;
use crate::api::{Object, ObjectKey, Scope};
use crate::source::kubernetes::{Means, Patience, Seen, watch};
use crate::state::local::View;
use futures::stream::{self, BoxStream, StreamExt as _};
use kube::Client;
use std::collections::BTreeSet;

/// A change of an object that is waited for.
pub enum News {
    /// The object as it is now.
    Is(Box<Object>),
    /// It no longer exists.
    Gone(ObjectKey),
    /// It cannot be read, or cannot work where it is.
    Wrong(ObjectKey, String),
    /// No changes can be observed for the moment, and why.
    Silence(String),
}

/// Changes of these objects: first their present content, then every change. Never ends.
///
/// # Errors
/// A message: the folder cannot be watched.
pub fn of(found: &Found, keys: BTreeSet<ObjectKey>) -> Result<BoxStream<'static, News>, String> {
    match found {
        Found::Folder(view) => in_folder(view.clone(), keys),
        Found::Cluster { client, .. } => Ok(in_cluster(client, &keys)),
    }
}

fn in_folder(view: View, keys: BTreeSet<ObjectKey>) -> Result<BoxStream<'static, News>, String> {
    // Watched before it is read, so that no change is missed.
    let changes = view.changes().map_err(|error| {
        format!("cannot watch the state: {error}: omit --wait, and use `rollwave status -w`")
    })?;
    let news = stream::unfold((changes, true), move |(mut changes, is_first)| {
        let (view, keys) = (view.clone(), keys.clone());
        async move {
            if !is_first {
                changes.next().await;
            }
            Some((stream::iter(read(&view, keys)), (changes, false)))
        }
    });
    Ok(news.flatten().boxed())
}

fn read(view: &View, mut keys: BTreeSet<ObjectKey>) -> Vec<News> {
    let objects = match view.objects() {
        Ok(objects) => objects,
        Err(error) => return vec![News::Silence(error.to_string())],
    };
    let mut news: Vec<News> =
        objects.into_iter().filter(|object| keys.remove(&object.key())).map(is).collect();
    news.extend(keys.into_iter().map(News::Gone));
    news
}

/// One watch per namespace, so that no rights in other namespaces are needed.
fn in_cluster(client: &Client, keys: &BTreeSet<ObjectKey>) -> BoxStream<'static, News> {
    let namespaces: BTreeSet<&String> = keys.iter().map(|key| &key.namespace).collect();
    let one = |namespace: &String| {
        let keys = keys.iter().filter(|key| key.namespace == *namespace).cloned().collect();
        let mut listing = Listing { keys, unlisted: BTreeSet::new() };
        let scopes = Scope::of_namespaces(std::slice::from_ref(namespace));
        let seen = watch(client, &scopes, Means { has_files: true }, &Patience::default());
        seen.flat_map(move |seen| stream::iter(listing.take(seen))).boxed()
    };
    stream::select_all(namespaces.into_iter().map(one)).boxed()
}

fn is(object: Object) -> News {
    News::Is(Box::new(object))
}

/// The objects of a namespace that are waited for, and those that the current list has not shown yet.
struct Listing {
    keys: BTreeSet<ObjectKey>,
    unlisted: BTreeSet<ObjectKey>,
}

impl Listing {
    fn take(&mut self, seen: Seen) -> Vec<News> {
        match seen {
            Seen::ListBegins(scope) => {
                self.unlisted.extend(self.keys.iter().filter(|key| scope.holds(key)).cloned());
                Vec::new()
            }
            Seen::Listed(object) | Seen::Changed(object) => {
                self.known(&object.key()).then(|| is(object)).into_iter().collect()
            }
            Seen::Broken { key, why, .. } => {
                self.known(&key).then_some(News::Wrong(key, why)).into_iter().collect()
            }
            Seen::Gone(key) => self.known(&key).then_some(News::Gone(key)).into_iter().collect(),
            Seen::ListEnds(scope) => self.end(&scope).into_iter().map(News::Gone).collect(),
            Seen::Failed(scope, error) => {
                vec![News::Silence(format!("the watch of {scope} failed: {error}"))]
            }
        }
    }

    /// Marks the object as present; false when it is not waited for.
    fn known(&mut self, key: &ObjectKey) -> bool {
        self.unlisted.remove(key);
        self.keys.contains(key)
    }

    fn end(&mut self, scope: &Scope) -> Vec<ObjectKey> {
        self.unlisted.extract_if(.., |key| scope.holds(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn what_a_list_does_not_show_is_gone_and_what_nobody_waits_for_is_not_told() {
        let object = samples::named("meter-v2");
        let (there, kind) = (object.key(), object.kind());
        let away = ObjectKey::new(kind, &there.namespace, "away");
        let scope = Scope { kind, namespace: Some(there.namespace.clone()) };
        let mut listing = Listing { keys: [there.clone(), away.clone()].into(), unlisted: BTreeSet::new() };
        let told = |news: Vec<News>| match news.as_slice() {
            [] => String::new(),
            [News::Is(object)] => format!("is {}", object.key()),
            [News::Gone(key)] => format!("gone {key}"),
            _ => "something else".to_owned(),
        };
        let other = ObjectKey::new(kind, &there.namespace, "other");
        for (seen, expected) in [
            (Seen::ListBegins(scope.clone()), String::new()),
            (Seen::Gone(other), String::new()),
            (Seen::Listed(object), format!("is {there}")),
            (Seen::ListEnds(scope), format!("gone {away}")),
            (Seen::Gone(there.clone()), format!("gone {there}")),
        ] {
            assert_eq!(told(listing.take(seen)), expected);
        }
    }
}
