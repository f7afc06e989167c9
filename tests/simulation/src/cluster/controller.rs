//! One controller process: what `rollwave controller` does around its terms, from start to crash.

use super::super::clock::MachineClock;
use super::super::clouds;
use super::super::dice::{Dice, Jitter};
use super::super::faults::Life;
use super::super::mutation::Mutation;
use super::super::network::{Dialler, Wire};
use super::super::process::Start;
use super::ApiServer;
use super::service::Link;
use super::time::LeaseTime;
use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{StreamExt as _, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};
use kube::runtime::watcher;
use rollwave::api::Scope;
use rollwave::decide::clocks::Boot;
use rollwave::engine::Engine;
use rollwave::engine::drive::cluster::{Term, Told};
use rollwave::engine::ports::{Clock, Leader, Leadership, Ports, Silent, Sole};
use rollwave::source::kubernetes::{Means, Patience, Seen, watch};
use rollwave::state::kubernetes::Cluster;
use rollwave::state::kubernetes::election::{Candidate, Standing};
use rollwave::state::kubernetes::{lease::Held, shard::Shard};
use rollwave::state::{StateError, Store};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Notify, watch as latest};
use tokio::task::JoinHandle;

/// A process that runs.
pub(super) struct Controller {
    pub(super) life: Life,
    pub(super) link: Arc<Link>,
    pub(super) held: Held,
    clock_set: Arc<Notify>,
    tasks: [JoinHandle<()>; 2],
    /// Dropped with the process: it never gives the Lease back.
    _resign: latest::Sender<bool>,
}

impl Controller {
    pub(super) fn start(start: &Start, server: &Arc<ApiServer>, name: &str, boot: Boot) -> Self {
        let shared = start.shared.clone();
        let life = Life::new(shared.chaos.clone());
        let link = Link::new(shared.clone(), server.clone(), name.to_owned(), life.clone());
        let time = Arc::new(LeaseTime { shared: shared.clone(), life: life.clone() });
        let candidate = Candidate::new(link.client(), "rollwave", "rollwave", name.to_owned(), time);
        let (held, standing) = (candidate.held(), candidate.standing());
        let (resign, resigned) = latest::channel(false);
        let clock_set = Arc::new(Notify::new());
        shared.note(&format!("{name} starts"));
        let terms = Terms {
            seed: start.seed,
            boot,
            mutation: start.mutation,
            link: link.clone(),
            held: held.clone(),
            clock_set: clock_set.clone(),
        };
        let tasks = [tokio::spawn(candidate.campaign(resigned)), tokio::spawn(terms.run(standing))];
        Self { life, link, held, clock_set, tasks, _resign: resign }
    }

    /// The machine's clock was set, and the process notices it.
    pub(super) fn clock_was_set(&self) {
        self.clock_set.notify_one();
    }

    /// Whatever it was at stops where it is.
    pub(super) fn kill(self) {
        self.life.end();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What every term of a process begins with.
struct Terms {
    seed: u64,
    boot: Boot,
    mutation: Option<Mutation>,
    link: Arc<Link>,
    held: Held,
    clock_set: Arc<Notify>,
}

impl Terms {
    async fn run(self, mut standing: latest::Receiver<Standing>) {
        let leads = |now: &Standing| matches!(now, Standing::Leads(_));
        // Fails when the campaign is over, which it is not before the process.
        while standing.wait_for(leads).await.is_ok() {
            let mut term = self.begin();
            let ended = tokio::select! {
                biased;
                _ = standing.wait_for(|now| !leads(now)) => "it does not lead any more".to_owned(),
                () = self.clock_set.notified() => "the clock was set".to_owned(),
                error = self.work(&mut term) => error.to_string(),
            };
            self.link.shared.note(&format!("a term of {} ends: {ended}", self.link.instance));
            term.cut_off().await;
        }
    }

    async fn work(&self, term: &mut Term) -> StateError {
        loop {
            let step = term.next().await;
            match term.take(step).await {
                Ok(Told::Turn(report)) => self.link.shared.saw_report(&report),
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    }

    fn begin(&self) -> Term {
        let number = self.link.server.begin_term(&self.link.instance);
        self.link.shared.note(&format!("term {number} of {} begins", self.link.instance));
        let client = self.link.client();
        let cluster = Arc::new(Cluster::new(client.clone(), self.held.clone(), Some(files())));
        let scopes = Scope::of_namespaces(&[]);
        let seen = watch(&client, &scopes, Means { has_files: true }, &self.patience());
        let (store, seen) = self.store(&cluster, seen.boxed());
        Term::new(cluster, Engine::new(store, self.ports(number)), (scopes, seen), Box::new(|_| {}))
    }

    fn ports(&self, number: u64) -> Ports {
        let (shared, life) = (self.link.shared.clone(), self.link.life.clone());
        let (wall, ahead) = (shared.wall.clone(), shared.wall.ahead());
        *super::super::lock(&self.link.ahead) = ahead;
        let wire = Arc::new(Wire { run: number, ahead, shared: shared.clone(), life: life.clone() });
        let clock = MachineClock { timeline: shared.timeline.clone(), ahead, wall, boot: self.boot };
        let leadership: Arc<dyn Leadership> = match self.mutation {
            Some(Mutation::LeaseNotChecked) => Arc::new(Sole),
            _ => Arc::new(Leader { held: self.held.clone(), share: Shard::ALL }),
        };
        Ports {
            clock: Arc::new(Stoppable { clock, life: life.clone() }),
            rng: Arc::new(Jitter::new(Dice::new(self.seed, &format!("jitter{number}")))),
            connector: Arc::new(Dialler {
                wire,
                clients: clouds::Run::new(number),
                leadership: leadership.clone(),
                mutation: self.mutation,
            }),
            recorder: Arc::new(Silent),
            leadership,
            faults: Arc::new(life),
        }
    }

    fn patience(&self) -> Patience {
        let (shared, life) = (self.link.shared.clone(), self.link.life.clone());
        let sleep = move |length| -> BoxFuture<'static, ()> {
            let (timeline, life) = (shared.timeline.clone(), life.clone());
            Box::pin(async move {
                let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
                timeline.sleep_until(timeline.now().saturating_add(length).unwrap_or(Timestamp::MAX)).await;
                life.go_on().await;
            })
        };
        // Zero switches the watcher's own timer off, which is tokio's.
        Patience { sleep: Arc::new(sleep), config: watcher::Config::default().timeout(0) }
    }

    /// The store as a mutant has it, and what it is told.
    fn store(
        &self,
        cluster: &Arc<Cluster>,
        seen: BoxStream<'static, Seen>,
    ) -> (Arc<dyn Store>, BoxStream<'static, Seen>) {
        match self.mutation {
            Some(Mutation::StaleCache) => {
                let told = Arc::new(Cluster::new(self.link.client(), self.held.clone(), Some(files())));
                let store = StaleCache { cluster: cluster.clone(), told: told.clone() };
                (Arc::new(store), seen.inspect(move |seen| tell(&told, seen)).boxed())
            }
            Some(mutation) => (mutation.of_store(cluster.clone()), seen),
            None => (cluster.clone(), seen),
        }
    }
}

fn files() -> PathBuf {
    PathBuf::from("/artifacts")
}

/// A clock that wakes nobody while the process is stopped.
struct Stoppable {
    clock: MachineClock,
    life: Life,
}

#[async_trait]
impl Clock for Stoppable {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn boot(&self) -> Option<Boot> {
        self.clock.boot()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        self.clock.sleep_until(deadline).await;
        self.life.go_on().await;
    }
}

/// A mutant that believes what watches told it last, whatever it wrote since.
struct StaleCache {
    cluster: Arc<Cluster>,
    told: Arc<Cluster>,
}

fn tell(cluster: &Cluster, seen: &Seen) {
    match seen {
        Seen::ListBegins(scope) => cluster.begin_list(scope.clone()),
        Seen::Listed(object) => drop(cluster.take_listed(object.clone())),
        Seen::ListEnds(scope) => drop(cluster.end_list(scope)),
        Seen::Changed(object) => drop(cluster.take(object.clone())),
        Seen::Gone(key) => drop(cluster.remove(key)),
        Seen::Broken { .. } | Seen::Failed(..) => {}
    }
}

#[async_trait]
impl Store for StaleCache {
    async fn load(
        &self,
        key: &rollwave::api::ObjectKey,
    ) -> Result<Option<Arc<rollwave::api::Object>>, StateError> {
        self.told.load(key).await
    }

    async fn keys(&self) -> Result<Vec<rollwave::api::ObjectKey>, StateError> {
        self.told.keys().await
    }

    async fn save_status(&self, object: &rollwave::api::Object) -> Result<(), StateError> {
        self.cluster.save_status(object).await
    }

    async fn forget(&self, key: &rollwave::api::ObjectKey) -> Result<(), StateError> {
        self.cluster.forget(key).await
    }
}
