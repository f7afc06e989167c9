//! Timeouts and backoff of watches.

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use kube::Config;
use kube::client::{Client, ClientBuilder};
use kube::runtime::watcher::{self, Error, Event};
use std::sync::Arc;
use std::time::Duration;
use tower::timeout::TimeoutLayer;

/// First and longest pause after a failed watch; it doubles until the watch yields something again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(800), Duration::from_secs(30));

/// How long the API server may take for the beginning of a response, or for a page of a list. Its own limit, except for watches,
/// is a minute (`--request-timeout`); and the client would never end a list without a response.
pub const LIMIT: Duration = Duration::from_secs(75);

/// Pauses of watches, and how long the API server keeps one open: a test may control both.
#[derive(Clone)]
pub struct Patience {
    /// Returns after this duration.
    pub sleep: Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    /// Configuration of the watcher.
    pub config: watcher::Config,
}

impl Default for Patience {
    fn default() -> Self {
        let sleep = |length| -> BoxFuture<'static, ()> { Box::pin(tokio::time::sleep(length)) };
        Self { sleep: Arc::new(sleep), config: watcher::Config::default() }
    }
}

/// A client whose requests fail if the response does not begin within [`LIMIT`]: kube has no such limit, since its sessions may
/// be silent for long.
///
/// # Errors
/// The configuration cannot be used.
pub fn client(config: Config) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&TimeoutLayer::new(LIMIT)).build())
}

/// The events of a watcher that is recreated when its list does not arrive, and retried some time after a failure. Never ends.
pub(super) fn patiently<T: Send + 'static>(
    make: impl Fn() -> BoxStream<'static, watcher::Result<Event<T>>> + Send,
    patience: Patience,
) -> impl Stream<Item = watcher::Result<Event<T>>> + Send {
    let watch = Watch { events: make(), make, patience, is_listing: false, pause: Duration::ZERO };
    stream::unfold(watch, |mut watch| async { Some((watch.next().await, watch)) })
}

struct Watch<T, M> {
    events: BoxStream<'static, watcher::Result<Event<T>>>,
    make: M,
    patience: Patience,
    is_listing: bool,
    pause: Duration,
}

impl<T, M> Watch<T, M>
where
    M: Fn() -> BoxStream<'static, watcher::Result<Event<T>>>,
{
    async fn next(&mut self) -> watcher::Result<Event<T>> {
        let event = match self.event().await {
            Some(event) => event,
            None => {
                self.events = (self.make)();
                let late = format!("the list did not arrive within {} s", LIMIT.as_secs());
                Err(Error::InitialListFailed(kube::Error::Service(late.into())))
            }
        };
        self.is_listing = matches!(event, Ok(Event::Init | Event::InitApply(_)));
        match event {
            // A list that only begins is no success.
            Ok(Event::Init) => {}
            Ok(_) => self.pause = Duration::ZERO,
            Err(_) => {
                self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
                (self.patience.sleep)(self.pause).await;
            }
        }
        event
    }

    /// None when a list does not continue.
    async fn event(&mut self) -> Option<watcher::Result<Event<T>>> {
        if !self.is_listing {
            return self.events.next().await;
        }
        // Created only when it is waited for: most objects of a list are available already.
        let limit = async { (self.patience.sleep)(LIMIT).await };
        tokio::select! {
            biased;
            event = self.events.next() => event,
            () = limit => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A watcher whose list never arrives, and then one that yields everything.
    fn watchers(made: &AtomicUsize) -> BoxStream<'static, watcher::Result<Event<u8>>> {
        let begins =
            stream::iter([Ok(Event::Init), Ok(Event::InitApply(made.load(Ordering::Relaxed) as u8))]);
        if made.fetch_add(1, Ordering::Relaxed) == 0 {
            begins.chain(stream::pending()).boxed()
        } else {
            begins.chain(stream::iter([Ok(Event::InitDone)])).chain(stream::pending()).boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_does_not_go_on_is_asked_for_anew() {
        let made = Arc::new(AtomicUsize::new(0));
        let make = move || watchers(&made);
        let told: Vec<String> = patiently(make, Patience::default())
            .take(6)
            .map(|event| match event {
                Ok(event) => format!("{event:?}"),
                Err(error) => error.to_string(),
            })
            .collect()
            .await;
        let late = &told[2];
        assert!(late.contains("did not arrive within 75 s"), "{late}");
        assert_eq!(
            [&told[..2], &told[3..]].concat(),
            ["Init", "InitApply(0)", "Init", "InitApply(1)", "InitDone"]
        );
    }
}
