//! The objects of a cluster, from one watch per kind.
//!
//! **Invariant:** an object that cannot be parsed stops nothing else: it is reported with its key and the problem.

pub mod patience;
pub mod secret;
mod usable;

pub use usable::Means;

use crate::api::{Kind, Object, ObjectKey, ObjectMeta, OtaCloud, OtaPackage, OtaRollout, Scope};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use kube::api::ListParams;
use kube::core::{DeserializeGuard, NamespaceResourceScope, error_boundary::InvalidObject};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
pub use patience::Patience;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// An event of a watch.
#[derive(Debug)]
pub enum Seen {
    /// The watch starts, or restarts, with a list of everything that it covers.
    ListBegins(Scope),
    /// An object of that list.
    Listed(Object),
    /// The list is complete.
    ListEnds(Scope),
    /// An object is new or changed.
    Changed(Object),
    /// An object cannot be parsed, or cannot work in a cluster.
    Broken {
        /// Its key.
        key: ObjectKey,
        /// Its metadata.
        meta: Box<ObjectMeta>,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// An object was deleted.
    Gone(ObjectKey),
    /// The watch failed, and is retried automatically after a while.
    Failed(Scope, watcher::Error),
}

/// Watches these scopes, each with its own watch. Never ends.
pub fn watch(
    client: &Client,
    scopes: &BTreeSet<Scope>,
    means: Means,
    patience: &Patience,
) -> impl Stream<Item = Seen> + Send + use<> {
    let watch_one = |scope: &Scope| -> BoxStream<'static, Seen> {
        let with = (means, patience.clone());
        match scope.kind {
            Kind::OtaCloud => one::<OtaCloud>(client, scope.clone(), Object::Cloud, with).boxed(),
            Kind::OtaPackage => one::<OtaPackage>(client, scope.clone(), Object::Package, with).boxed(),
            Kind::OtaRollout => one::<OtaRollout>(client, scope.clone(), Object::Rollout, with).boxed(),
        }
    };
    stream::select_all(scopes.iter().map(watch_one))
}

/// Every object of these namespaces (none: of all), in order of their keys; and problems of objects that cannot be parsed.
///
/// # Errors
/// The error of the API server.
pub async fn list(
    client: &Client,
    namespaces: &[Option<&str>],
) -> Result<(Vec<Object>, Vec<String>), kube::Error> {
    let (mut objects, mut wrong) = (BTreeMap::new(), Vec::new());
    for namespace in namespaces {
        let listed = [
            list_one(api::<OtaCloud>(client, *namespace), Kind::OtaCloud, Object::Cloud).await?,
            list_one(api::<OtaPackage>(client, *namespace), Kind::OtaPackage, Object::Package).await?,
            list_one(api::<OtaRollout>(client, *namespace), Kind::OtaRollout, Object::Rollout).await?,
        ];
        for object in listed.into_iter().flatten() {
            match object {
                Ok(object) => drop(objects.insert(object.key(), object)),
                Err(why) => wrong.push(why),
            }
        }
    }
    Ok((objects.into_values().collect(), wrong))
}

async fn list_one<K>(
    api: Api<DeserializeGuard<K>>,
    kind: Kind,
    wrap: fn(K) -> Object,
) -> Result<Vec<Result<Object, String>>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let listed = api.list(&ListParams::default()).await?;
    let wrong = |invalid: InvalidObject| {
        let key = ObjectKey::of(kind, &invalid.metadata);
        format!("{key} cannot be parsed, and is not shown: {}", invalid.error)
    };
    Ok(listed.items.into_iter().map(|object| object.0.map(wrap).map_err(wrong)).collect())
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<DeserializeGuard<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn one<K>(
    client: &Client,
    scope: Scope,
    wrap: fn(K) -> Object,
    (means, patience): (Means, Patience),
) -> impl Stream<Item = Seen> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    // The watcher handles pages of 500, bookmarks, 410 Gone and silent watches.
    let (config, kind) = (patience.config.clone(), scope.kind);
    let api = api::<K>(client, scope.namespace.as_deref());
    patience::patiently(move || watcher(api.clone(), config.clone()).boxed(), patience).map(move |event| {
        match event {
            Ok(watcher::Event::Init) => Seen::ListBegins(scope.clone()),
            Ok(watcher::Event::InitApply(object)) => understood(kind, object, wrap, Seen::Listed, means),
            Ok(watcher::Event::InitDone) => Seen::ListEnds(scope.clone()),
            Ok(watcher::Event::Apply(object)) => understood(kind, object, wrap, Seen::Changed, means),
            Ok(watcher::Event::Delete(object)) => Seen::Gone(ObjectKey::of(kind, object.meta())),
            Err(error) => Seen::Failed(scope.clone(), error),
        }
    })
}

fn understood<K>(
    kind: Kind,
    object: DeserializeGuard<K>,
    wrap: fn(K) -> Object,
    seen: fn(Object) -> Seen,
    means: Means,
) -> Seen {
    let broken =
        |meta: ObjectMeta, why| Seen::Broken { key: ObjectKey::of(kind, &meta), meta: meta.into(), why };
    match object.0.map(wrap) {
        Ok(object) => match usable::refusal(&object, means) {
            None => seen(object),
            Some(why) => broken(object.meta().clone(), why),
        },
        Err(invalid) => {
            let why = format!(
                "cannot be parsed ({}): apply it again in the form of this Rollwave version",
                invalid.error
            );
            broken(invalid.metadata, why)
        }
    }
}
