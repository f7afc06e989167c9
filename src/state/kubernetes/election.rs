//! Who works: one controller of several, or one for each shard of the accounts.
//!
//! Without shards there is one Lease, and whoever holds it leads. With `n` shards each has a Lease of its own, and a controller
//! takes the first that is free, and no second one. The Lease of the whole is then held by all of them together, under a name
//! that says how many shards there are: a controller that shares in another way, or not at all, waits until the last of them
//! is gone. So no account is ever led by two, even while a Deployment goes from one number of shards to another.

use super::lease::{Held, LIMIT, LOOK, RENEW, Seat, no_answer};
use super::shard::Shard;
use super::time::{Time, within};
use kube::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where a candidate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No Lease was read yet.
    Unknown,
    /// Others work.
    Waits,
    /// It works on this.
    Leads(Shard),
}

/// One who would lead.
pub struct Candidate {
    /// Held by all who share in the same way; nobody's where nothing is shared.
    whole: Option<Seat>,
    /// One of them is ours, or none.
    seats: Vec<Seat>,
    ours: Option<usize>,
    time: Arc<dyn Time>,
    held: Held,
    standing: watch::Sender<Standing>,
}

impl Candidate {
    /// A candidate for everything, under a name that nobody else has.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, me: String, time: Arc<dyn Time>) -> Self {
        let seat = Seat::new(client, namespace, name.to_owned(), me, time.clone());
        Self::of(None, vec![seat], time)
    }

    /// A candidate for one of so many shards, two at least.
    #[must_use]
    pub fn for_shard(
        client: &Client,
        namespace: &str,
        name: &str,
        me: &str,
        shards: u32,
        time: Arc<dyn Time>,
    ) -> Self {
        let seat = |name: String, me: String| Seat::new(client.clone(), namespace, name, me, time.clone());
        let whole = seat(name.to_owned(), format!("{shards} shards"));
        let seats = (0..shards).map(|shard| seat(format!("{name}-shard-{shard}"), me.to_owned())).collect();
        Self::of(Some(whole), seats, time)
    }

    fn of(whole: Option<Seat>, seats: Vec<Seat>, time: Arc<dyn Time>) -> Self {
        let (held, standing) = (Held::new(time.clone()), watch::Sender::new(Standing::Unknown));
        Self { whole, seats, ours: None, time, held, standing }
    }

    /// What to ask before every call.
    #[must_use]
    pub fn held(&self) -> Held {
        self.held.clone()
    }

    /// Tells where it stands.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Tries to lead, and to go on leading, until `resign` is true; then gives back what is its own.
    pub async fn campaign(mut self, mut resign: watch::Receiver<bool>) {
        let mut failures = 0_u64;
        loop {
            let time = self.time.clone();
            let round = within(&*time, LIMIT, self.round(), || Err(no_answer())).await;
            let (is_known, pause) = match round {
                Ok(pause) => {
                    log_answer(std::mem::take(&mut failures));
                    (true, pause)
                }
                Err(error) => {
                    failures += 1;
                    log_failure(failures, &error);
                    (false, LOOK)
                }
            };
            self.tell(is_known);
            tokio::select! {
                biased;
                _ = resign.wait_for(|resign| *resign) => break,
                () = time.sleep(pause) => {}
            }
        }
        self.let_go().await;
    }

    fn tell(&self, is_known: bool) {
        let standing = match self.share().filter(|_| self.held.is_held()) {
            Some(share) => Standing::Leads(share),
            None if is_known || *self.standing.borrow() != Standing::Unknown => Standing::Waits,
            None => Standing::Unknown,
        };
        self.standing.send_if_modified(|before| std::mem::replace(before, standing) != standing);
    }

    fn share(&self) -> Option<Shard> {
        let (ours, of) = (u32::try_from(self.ours?).ok()?, u32::try_from(self.seats.len()).ok()?);
        Some(Shard::new(ours, of))
    }

    /// Looks, and takes or renews what it may; gives when to do so again.
    async fn round(&mut self) -> kube::Result<Duration> {
        let has_whole = match &mut self.whole {
            Some(whole) => {
                let renewed = whole.round().await?;
                if whole.renewed().is_none() {
                    self.let_go().await;
                    return Ok(LOOK);
                }
                renewed
            }
            None => true,
        };
        let has_seat = match self.ours {
            Some(ours) => self.keep(ours).await?,
            None => has_whole && self.take_seat().await?,
        };
        self.note();
        Ok(if has_whole && has_seat { RENEW } else { LOOK })
    }

    /// Acts no more, and lets others take what was its own.
    async fn let_go(&mut self) {
        self.held.set(None);
        if let Some(seat) = self.ours.take().and_then(|ours| self.seats.get_mut(ours)) {
            seat.resign().await;
        }
    }

    async fn keep(&mut self, ours: usize) -> kube::Result<bool> {
        let Some(seat) = self.seats.get_mut(ours) else { return Ok(false) };
        let renewed = seat.round().await?;
        if seat.renewed().is_none() {
            self.ours = None;
        }
        Ok(renewed)
    }

    async fn take_seat(&mut self) -> kube::Result<bool> {
        for (number, seat) in self.seats.iter_mut().enumerate() {
            if seat.round().await? {
                self.ours = Some(number);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// It acts while the older one of its Leases lasts.
    fn note(&self) {
        let seat = self.ours.and_then(|ours| self.seats.get(ours)).and_then(Seat::renewed);
        let oldest = match &self.whole {
            Some(whole) => whole.renewed().zip(seat).map(|(whole, seat)| whole.earlier(seat)),
            None => seat,
        };
        self.held.set(oldest);
    }
}

/// The first of several failures, and then ever fewer of them: an API server may be away for hours.
const fn is_told(failures: u64) -> bool {
    failures.is_power_of_two() || failures.is_multiple_of(64)
}

fn log_failure(failures: u64, error: &kube::Error) {
    if is_told(failures) {
        tracing::warn!("a Lease could not be read or written, {failures} times in a row: {error}");
    }
}

fn log_answer(failures: u64) {
    if failures > 0 {
        tracing::info!("Leases can be read and written again, after {failures} failures");
    }
}
