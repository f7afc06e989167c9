//! Where objects are: in the state of a folder, or in a cluster. Verbs that only look at objects, or ask something of them, work
//! in both.

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

/// A cluster, and a namespace of it.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Cluster options")]
pub struct Place {
    /// Look in a cluster, by this kubeconfig; KUBECONFIG or the usual file otherwise.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Look in the cluster of this context.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Look in this namespace of a cluster; in that of the context otherwise.
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Look in all namespaces of a cluster.
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    pub all_namespaces: bool,
}

impl Place {
    /// True when a cluster is meant whatever folders there are.
    pub const fn names_a_cluster(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.namespace.is_some() || self.all_namespaces
    }
}

/// A place that was found.
pub enum Found {
    /// The state of a folder.
    Folder(View),
    /// A cluster.
    Cluster {
        /// The way to it.
        client: Client,
        /// Namespace of objects whose namespace is not named.
        namespace: String,
        /// Every namespace is looked in.
        all: bool,
    },
}

impl Found {
    /// Finds the place that is meant: the cluster that the flags name, else the state that is named or there, else the cluster of
    /// the current context.
    ///
    /// # Errors
    /// A sentence: both are named, or there is neither.
    pub async fn find(place: &Place, ctx: &Context) -> Result<Self, String> {
        if place.names_a_cluster() {
            if let StateDir::Named(dir) = &ctx.state {
                let dir = dir.display();
                return Err(format!(
                    "--state {dir} names a folder's state, and the other flags a cluster: give one of them"
                ));
            }
            return cluster(place).await.map_err(|cause| {
                format!("cannot reach a cluster: {cause}: name a kubeconfig with --kubeconfig or KUBECONFIG")
            });
        }
        match (View::open(ctx.state.path()), &ctx.state) {
            (Ok(view), _) => Ok(Self::Folder(view)),
            (Err(StateError::Absent { path }), StateDir::Usual(_)) => {
                let neither = |cause| {
                    format!(
                        "no state in {path}, and no cluster to ask ({cause}): run `rollwave apply` first, or name the folder with --state, or a cluster with --kubeconfig or --context"
                    )
                };
                cluster(place).await.map_err(neither)
            }
            (Err(error), _) => Err(error.to_string()),
        }
    }

    /// Every object that one may mean here, in order of their keys; and what is wrong with others.
    ///
    /// # Errors
    /// A sentence.
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

    /// What is said where there is no object.
    #[must_use]
    pub fn nothing(&self) -> String {
        match self {
            Self::Folder(_) => "nothing was applied yet".to_owned(),
            Self::Cluster { all: true, .. } => "the cluster has no object of Rollwave".to_owned(),
            Self::Cluster { namespace, .. } => format!("namespace {namespace} has no object of Rollwave"),
        }
    }

    /// How often it is worth looking again. Each look at a cluster is a few requests.
    #[must_use]
    pub const fn look_every(&self) -> Duration {
        match self {
            Self::Folder(_) => Duration::from_millis(500),
            Self::Cluster { .. } => Duration::from_secs(2),
        }
    }

    /// Asks something of an object; when it was asked.
    ///
    /// # Errors
    /// A sentence: it could not be written down.
    pub async fn ask(&self, object: &ObjectKey, request: Request) -> Result<Timestamp, String> {
        let now = Timestamp::now();
        match self {
            Self::Folder(view) => view.ask(object, request, now).map(drop),
            Self::Cluster { client, .. } => ask(client, object, request, &now.to_string()).await,
        }
        .map(|()| now)
        .map_err(|error| error.to_string())
    }

    /// Who follows what is asked here.
    #[must_use]
    pub const fn follower(&self) -> &'static str {
        match self {
            Self::Folder(_) => "`rollwave run` follows it within a second, or the next `rollwave apply`",
            Self::Cluster { .. } => "the controller follows it",
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
