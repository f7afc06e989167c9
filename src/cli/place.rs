//! Where objects are: in the state of a folder, or in a cluster. Verbs that show objects, or request something of them, work in
//! both.

use super::{Context, context::StateDir, select::Selector};
use crate::api::{DEFAULT_NAMESPACE, Object, ObjectKey, Request};
use crate::source::kubernetes::{list, patience};
use crate::state::StateError;
use crate::state::kubernetes::request::ask;
use crate::state::local::View;
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// A cluster, and a namespace in it.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Cluster options")]
pub struct Place {
    /// Use a cluster, with this kubeconfig; KUBECONFIG or the default file otherwise.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Use the cluster of this context.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Use this namespace of a cluster; that of the context by default.
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Use all namespaces of a cluster.
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    pub all_namespaces: bool,
}

impl Place {
    /// True when the flags name a cluster, whatever folders exist.
    pub const fn names_a_cluster(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.namespace.is_some() || self.all_namespaces
    }
}

/// The place that was found.
pub enum Found {
    /// The state of a folder.
    Folder(View),
    /// A cluster.
    Cluster {
        /// The way to it.
        client: Client,
        /// Namespace of objects whose namespace is not named.
        namespace: String,
        /// All namespaces are read.
        all: bool,
    },
}

impl Found {
    /// Finds the place: the cluster that the flags name, else the state that is named or exists, else the cluster of the current
    /// context.
    ///
    /// # Errors
    /// A message: both are named, or neither exists.
    pub async fn find(place: &Place, ctx: &Context) -> Result<Self, String> {
        if place.names_a_cluster() {
            if let StateDir::Named(dir) = &ctx.state {
                let dir = dir.display();
                return Err(format!(
                    "--state {dir} cannot be combined with cluster flags: use one or the other"
                ));
            }
            return cluster(place).await.map_err(|cause| {
                format!("cannot connect to a cluster: {cause}: set --kubeconfig or KUBECONFIG")
            });
        }
        match (View::open(ctx.state.path()), &ctx.state) {
            (Ok(view), _) => Ok(Self::Folder(view)),
            (Err(StateError::Absent { path }), StateDir::Usual(_)) => {
                let neither = |cause| {
                    format!(
                        "no state in {path}, and no cluster ({cause}): run `rollwave apply` first, or use --state, --kubeconfig or --context"
                    )
                };
                cluster(place).await.map_err(neither)
            }
            (Err(error), _) => Err(error.to_string()),
        }
    }

    /// The wanted objects, in order of their keys, and problems of others.
    ///
    /// # Errors
    /// A message.
    pub async fn objects(&self, wanted: &[Selector]) -> Result<(Vec<Object>, Vec<String>), String> {
        match self {
            Self::Folder(view) => {
                view.objects().map(|objects| (objects, Vec::new())).map_err(|error| error.to_string())
            }
            Self::Cluster { client, namespace, all } => {
                let named = wanted.iter().filter_map(|selector| selector.object.as_ref()?.0.as_deref());
                let spaces: BTreeSet<&str> = named.chain([namespace.as_str()]).collect();
                let spaces = if *all { vec![None] } else { spaces.into_iter().map(Some).collect() };
                list(client, &spaces).await.map_err(|error| error.to_string())
            }
        }
    }

    /// Namespace of objects whose namespace is not named.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self {
            Self::Folder(_) => DEFAULT_NAMESPACE,
            Self::Cluster { namespace, .. } => namespace,
        }
    }

    /// The message for a place without objects.
    #[must_use]
    pub fn nothing(&self) -> String {
        match self {
            Self::Folder(_) => "nothing has been applied yet".to_owned(),
            Self::Cluster { all: true, .. } => "the cluster has no Rollwave objects".to_owned(),
            Self::Cluster { namespace, .. } => format!("namespace {namespace} has no Rollwave objects"),
        }
    }

    /// The polling interval. Each poll of a cluster costs a few requests.
    #[must_use]
    pub const fn look_every(&self) -> Duration {
        match self {
            Self::Folder(_) => Duration::from_millis(500),
            Self::Cluster { .. } => Duration::from_secs(2),
        }
    }

    /// Requests something of an object; returns the time of the request.
    ///
    /// # Errors
    /// A message: the request could not be stored.
    pub async fn ask(&self, object: &ObjectKey, request: Request) -> Result<Timestamp, String> {
        let now = Timestamp::now();
        match self {
            Self::Folder(view) => view.ask(object, request, now).map(drop),
            Self::Cluster { client, .. } => ask(client, object, request, &now.to_string()).await,
        }
        .map(|()| now)
        .map_err(|error| error.to_string())
    }

    /// What handles a request.
    #[must_use]
    pub const fn follower(&self) -> &'static str {
        match self {
            Self::Folder(_) => {
                "`rollwave run` handles it within a second, otherwise the next `rollwave apply`"
            }
            Self::Cluster { .. } => "the controller handles it",
        }
    }
}

async fn cluster(place: &Place) -> Result<Found, String> {
    let options = KubeConfigOptions { context: place.context.clone(), ..KubeConfigOptions::default() };
    let config = match &place.kubeconfig {
        Some(file) => {
            let file = Kubeconfig::read_from(file).map_err(|error| error.to_string())?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| error.to_string())
        }
        None if place.context.is_some() => {
            Config::from_kubeconfig(&options).await.map_err(|error| error.to_string())
        }
        None => Config::infer().await.map_err(|error| error.to_string()),
    };
    let config = config?;
    let namespace = place.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = patience::client(config).map_err(|error| error.to_string())?;
    Ok(Found::Cluster { client, namespace, all: place.all_namespaces })
}
