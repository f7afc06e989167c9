//! What a cluster asks of a controller: is it alive, is it ready, and its figures.
//!
//! **Invariant:** nothing here changes anything, and no answer holds a secret.

mod metrics;
mod process;

pub use metrics::{Metrics, Reconciled};

use crate::api::Object;
use crate::state::kubernetes::{Cluster, shard::Shard};
use axum::{Router, extract::State, http::StatusCode, http::header::CONTENT_TYPE, routing::get};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// A loop that has shown no sign of life for so long is stuck: it shows one at least every 30 seconds.
const STUCK: Duration = Duration::from_mins(2);

/// What the controller tells, for others to read.
#[derive(Default)]
pub struct Board {
    /// The figures.
    pub metrics: Metrics,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// Last sign of life; none before the first.
    beat: Option<Instant>,
    role: Role,
    /// Why it cannot work at all.
    problem: Option<String>,
    work: Option<(Arc<Cluster>, Shard)>,
}

/// What this process is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It has not looked at the Lease yet.
    #[default]
    Starting,
    /// Somebody else leads: it is ready to take over.
    Waiting,
    /// It leads, and does not know every object yet.
    Listing,
    /// It leads and works.
    Leading,
}

impl Board {
    /// A board whose figures name so many objects.
    #[must_use]
    pub fn naming(most: usize) -> Self {
        Self { metrics: Metrics::default().naming(most), ..Self::default() }
    }

    /// A sign of life.
    pub fn beat(&self) {
        self.told().beat = Some(Instant::now());
    }

    /// What this process does from now on; where the objects are and which of them it works on, if it leads.
    pub fn set_role(&self, role: Role, work: Option<(Arc<Cluster>, Shard)>) {
        let mut told = self.told();
        told.role = role;
        told.work = work;
    }

    /// Why it cannot work at all; none when it can.
    pub fn set_problem(&self, problem: Option<String>) {
        self.told().problem = problem;
    }

    /// It knows every object now.
    pub fn set_leading(&self) {
        self.told().role = Role::Leading;
    }

    /// Whether it leads, and the objects that it works on then.
    fn seen(&self) -> (bool, Vec<Arc<Object>>) {
        let (role, work) = {
            let told = self.told();
            (told.role, told.work.clone())
        };
        let objects = work.map(|(cluster, share)| cluster.objects(share)).unwrap_or_default();
        (matches!(role, Role::Listing | Role::Leading), objects)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers `/livez`, `/readyz` and `/metrics` until the process ends.
///
/// # Errors
/// The socket's.
pub async fn serve(listener: TcpListener, board: Arc<Board>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(figures))
        .with_state(board);
    axum::serve(listener, router).await
}

async fn livez(State(board): State<Arc<Board>>) -> (StatusCode, String) {
    alive(board.told().beat.map(|beat| beat.elapsed()))
}

fn alive(since: Option<Duration>) -> (StatusCode, String) {
    match since {
        Some(since) if since > STUCK => {
            let why = format!("no sign of life for {} seconds\n", since.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, why)
        }
        _ => (StatusCode::OK, "alive\n".to_owned()),
    }
}

async fn readyz(State(board): State<Arc<Board>>) -> (StatusCode, String) {
    let told = board.told();
    let (code, text) = match (&told.problem, told.role) {
        (Some(problem), _) => (StatusCode::SERVICE_UNAVAILABLE, problem.as_str()),
        (None, Role::Starting) => (StatusCode::SERVICE_UNAVAILABLE, "has not looked at the Lease yet"),
        (None, Role::Listing) => (StatusCode::SERVICE_UNAVAILABLE, "does not know every object yet"),
        (None, Role::Waiting) => (StatusCode::OK, "ready to take over"),
        (None, Role::Leading) => (StatusCode::OK, "leading"),
    };
    (code, format!("{text}\n"))
}

async fn figures(State(board): State<Arc<Board>>) -> ([(http::HeaderName, &'static str); 1], String) {
    let (leads, objects) = board.seen();
    let text = board.metrics.render(leads, &objects);
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_shows_no_sign_of_life_is_not_alive() {
        assert_eq!(alive(None).0, StatusCode::OK, "not begun");
        assert_eq!(alive(Some(Duration::from_secs(40))).0, StatusCode::OK);
        assert_eq!(alive(Some(Duration::from_secs(121))).0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
