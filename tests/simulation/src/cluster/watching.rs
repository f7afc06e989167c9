//! Watches: each tells the changes of one kind in their order, late; watches of different kinds know nothing of each other, so
//! that what is told of two objects of different kinds comes in any order.

use super::etcd::{Change, Refusal};
use super::service::{self, Answer, Link};
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::Kind;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;

struct Watching {
    link: Arc<Link>,
    kind: Kind,
    /// The newest revision that was told.
    told: u64,
    /// When it was told: nothing later is told before.
    at: Timestamp,
    ends: Timestamp,
    /// How often changes had been told of when it last looked.
    heard: u64,
    /// How often watches had been cut off when it began.
    cut_off: u64,
    is_over: bool,
}

/// Tells of every change of a kind after a revision.
pub(super) fn open(link: Arc<Link>, kind: Kind, after: u64) -> Response {
    let now = link.shared.timeline.now();
    if link.server.is_away(now) {
        return service::broken();
    }
    link.shared.note(&format!("{} watches {kind} after {after}", link.instance));
    let ends = link.shared.chaos().ends_watch().and_then(|seconds| {
        now.saturating_add(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1))).ok()
    });
    let (heard, cut_off) = (link.server.changed.rung(), link.server.cut_off.rung());
    let ends = ends.unwrap_or(Timestamp::MAX);
    let watching = Watching { link, kind, told: after, at: now, ends, heard, cut_off, is_over: false };
    Response::new(Body::from_stream(stream::unfold(watching, |mut watching| async {
        let line = watching.next_line().await?;
        Some((Ok::<Bytes, Infallible>(line), watching))
    })))
}

impl Watching {
    /// None when the watch ends.
    async fn next_line(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        loop {
            self.heard = self.link.server.changed.rung();
            let is_too_late = self.told < self.link.server.etcd().compacted();
            if is_too_late {
                self.is_over = true;
                let gone = service::status(Refusal(410, "Expired"));
                return Some(line(&json!({"type": "ERROR", "object": gone})));
            }
            let next = self.link.server.etcd().change_after(self.kind, self.told);
            let Some(change) = next else {
                if self.ends_first(None).await {
                    return None;
                }
                continue;
            };
            let due = self.due(&change);
            if self.ends_first(Some(due)).await {
                return None;
            }
            self.link.life.go_on().await;
            (self.told, self.at) = (change.revision, due);
            self.link.was_told(Some(&Answer::One(change.json.clone())));
            return Some(line(&json!({"type": change.what, "object": *change.json})));
        }
    }

    /// When a change is told: soon, or late.
    fn due(&self, change: &Change) -> Timestamp {
        let late = self.link.shared.chaos().watch_lag();
        let lag = SignedDuration::from_millis(i64::try_from(late).unwrap_or(1));
        change.at.saturating_add(lag).unwrap_or(Timestamp::MAX).max(self.at)
    }

    /// Waits until then, or for a change; true when the watch ends before.
    async fn ends_first(&self, due: Option<Timestamp>) -> bool {
        let (timeline, server) = (&self.link.shared.timeline, &self.link.server);
        tokio::select! {
            biased;
            () = server.cut_off.rings_after(self.cut_off) => true,
            () = timeline.sleep_until(self.ends) => true,
            () = timeline.sleep_until(due.unwrap_or(Timestamp::MAX)), if due.is_some() => false,
            () = server.changed.rings_after(self.heard), if due.is_none() => false,
        }
    }
}

fn line(event: &serde_json::Value) -> Bytes {
    format!("{event}\n").into()
}
