//! The way from one controller to the API server and back, in the place of HTTP: requests travel, get lost, come late, are
//! refused, or find that somebody else was faster.

use super::super::checkers::is_kept;
use super::super::faults::Life;
use super::super::mutation::Mutation;
use super::super::{Shared, lock};
use super::etcd::Refusal;
use super::luck::ApiStrike;
use super::questions::Question;
use super::{ApiServer, people, watching};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use rollwave::api::{GROUP, Kind, Object, ObjectKey, VERSION};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// What a request may travel longer than its sender waits for it.
const LATEST_MILLIS: u64 = 30_000;

/// One controller's way to the API server.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) server: Arc<ApiServer>,
    /// The controller's name.
    pub(super) instance: String,
    pub(super) life: Life,
    /// What the clock of its present term is ahead of the truth.
    pub(super) ahead: Mutex<SignedDuration>,
    /// The newest revision of each object that the controller was told.
    told: Mutex<BTreeMap<ObjectKey, u64>>,
}

/// What the API server says.
pub(super) enum Answer {
    One(Arc<Value>),
    /// The objects of a kind at a revision.
    Many(Kind, u64, Vec<Arc<Value>>),
    Refused(Refusal),
}

impl Link {
    pub(super) fn new(
        shared: Arc<Shared>,
        server: Arc<ApiServer>,
        instance: String,
        life: Life,
    ) -> Arc<Self> {
        Arc::new(Self { shared, server, instance, life, ahead: Mutex::default(), told: Mutex::default() })
    }

    /// The client of `kube`, without its layers for TLS, keys and retries.
    pub(super) fn client(self: &Arc<Self>) -> Client {
        let link = self.clone();
        let service = Router::new().fallback(move |request: Request| link.clone().serve(request));
        Client::new(service, "default")
    }

    async fn serve(self: Arc<Self>, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        self.life.go_on().await;
        match Question::of(head.method.as_str(), path, query, &body) {
            None => {
                self.shared.checkers().judge(Err(format!("{} {path} leads nowhere", head.method)));
                response(&Answer::Refused(Refusal(404, "NotFound")))
            }
            Some(Question::Watch { kind, after }) => watching::open(self, kind, after),
            Some(question) => {
                let answer = self.clone().ask(question).await;
                self.life.go_on().await;
                self.was_told(answer.as_ref());
                answer.as_ref().map_or_else(broken, response)
            }
        }
    }

    /// None when the connection breaks off.
    async fn ask(self: Arc<Self>, question: Question) -> Option<Answer> {
        let strike = self.strike(&question);
        let question = if self.shared.mutation == Some(Mutation::NoPrecondition) {
            question.without_precondition()
        } else {
            question
        };
        if strike == Some(ApiStrike::Refused) || self.server.is_away(self.now()) {
            return None;
        }
        // What is asked every few seconds, for hours, travels at once.
        let is_lease = matches!(question, Question::GetLease | Question::WriteLease(..));
        if is_lease && strike.is_none() {
            return Some(self.arrive(&question));
        }
        let (to, answer) = oneshot::channel();
        // On its own: a request that left arrives, whatever becomes of its sender.
        tokio::spawn(self.clone().travel(question, strike, to));
        let answer = answer.await;
        self.freeze_after(answer.as_ref().ok());
        answer.ok()
    }

    fn strike(&self, question: &Question) -> Option<ApiStrike> {
        let is_write = question.written().is_some();
        let strike = self.shared.chaos().strikes_api(is_write, || question.told())?;
        self.shared.note(&format!("{strike:?} strikes {} of {}", question.told(), self.instance));
        Some(strike)
    }

    async fn travel(
        self: Arc<Self>,
        question: Question,
        strike: Option<ApiStrike>,
        to: oneshot::Sender<Answer>,
    ) {
        let (there, back) = {
            let mut chaos = self.shared.chaos();
            let there = if strike == Some(ApiStrike::Late) { (1_000, LATEST_MILLIS) } else { (2, 100) };
            (chaos.dice().between(there.0, there.1), chaos.dice().between(2, 100))
        };
        self.wait(there).await;
        if strike == Some(ApiStrike::RequestLost) || self.server.is_away(self.now()) {
            return;
        }
        let answer = match strike {
            Some(ApiStrike::TooMany) => Answer::Refused(Refusal(429, "TooManyRequests")),
            Some(ApiStrike::ErrorBefore) => Answer::Refused(Refusal(500, "InternalError")),
            Some(ApiStrike::ErrorAfter) => {
                self.arrive(&question);
                Answer::Refused(Refusal(504, "Timeout"))
            }
            Some(ApiStrike::Overtaken) => {
                if let Some((key, _)) = question.written() {
                    people::label(&self.shared, &self.server, key, self.now());
                }
                self.arrive(&question)
            }
            _ => self.arrive(&question),
        };
        self.wait(back).await;
        match strike {
            Some(ApiStrike::ReplyLost) => {}
            Some(ApiStrike::ReplyNever) => {
                std::future::pending::<()>().await;
                drop(to);
            }
            // Whoever asked may have given up, or died.
            _ => drop(to.send(answer)),
        }
    }

    /// Does what a request asks for.
    fn arrive(&self, question: &Question) -> Answer {
        let now = self.now();
        let before = question.written().and_then(|(key, _)| self.server.object(key));
        let mut etcd = self.server.etcd();
        let one = |answer: Result<Arc<Value>, Refusal>| answer.map_or_else(Answer::Refused, Answer::One);
        let answer = match question {
            Question::List(kind) => Answer::Many(*kind, etcd.revision(), etcd.list(*kind)),
            Question::Get(key) => one(etcd.get(key)),
            Question::PutStatus(key, body) => one(etcd.put_status(key, body, now)),
            Question::Patch { key, body, status } => one(etcd.patch(key, body, *status, now)),
            Question::GetLease => one(etcd.lease()),
            Question::WriteLease(body, is_new) => one(etcd.write_lease(body.clone(), *is_new)),
            Question::Watch { .. } => Answer::Refused(Refusal(400, "BadRequest")),
        };
        drop(etcd);
        if let Some((key, body)) = question.written() {
            self.check_write(key, body, question, &answer, before.as_deref());
            if let (Some(before), None) = (before, self.server.object(key)) {
                self.server.is_gone(before, now);
            }
            self.server.announce();
        }
        answer
    }

    /// Laws of writes: only finalizers and statuses are written, over what the writer has read.
    fn check_write(
        &self,
        key: &ObjectKey,
        body: &Value,
        question: &Question,
        answer: &Answer,
        before: Option<&Object>,
    ) {
        self.shared.counts_write_of(key);
        let end = match answer {
            Answer::Refused(refusal) => format!("{} {}", refusal.0, refusal.1),
            _ => "200".to_owned(),
        };
        let text = if matches!(question, Question::Patch { status: false, .. }) {
            body.to_string()
        } else {
            body["status"].to_string()
        };
        self.shared.note(&format!("{}: {}: {end}: {text}", self.instance, question.told()));
        let told = lock(&self.told).get(key).copied().unwrap_or(0);
        let revision = before.and_then(|before| before.meta().resource_version.as_deref()?.parse().ok());
        let is_blind =
            !matches!(answer, Answer::Refused(_)) && revision.is_some_and(|there: u64| there > told);
        let kept = |object: &Arc<Object>| if object.pending().is_empty() { Ok(()) } else { is_kept(object) };
        let mut checkers = self.shared.checkers();
        checkers.no_secret("a status", &text);
        if is_blind {
            checkers.judge(Err(format!("{} writes {key} over what it has not read", self.instance)));
        }
        if !question.leaves_spec() {
            checkers.judge(Err(format!("{} writes into {key}: {text}", self.instance)));
        }
        let written = self.server.object(key);
        checkers.judge(written.as_ref().map_or(Ok(()), kept));
        if let Some(object) = written.filter(|_| !matches!(answer, Answer::Refused(_))) {
            checkers.status_is(&object, &self.server.objects(), *lock(&self.ahead), self.now());
        }
    }

    /// A process may be stopped just after its intent was written.
    fn freeze_after(&self, answer: Option<&Answer>) {
        let Some(Answer::One(json)) = answer else { return };
        let is_intended = |intent: &Value| intent["state"] == "Intended";
        let intends = json["status"]["pending"].as_array().is_some_and(|all| all.iter().any(is_intended));
        if let Some(seconds) = intends.then(|| self.shared.chaos().freezes()).flatten() {
            self.freeze(seconds);
        }
    }

    /// The process is stopped for so many seconds, and then goes on.
    pub(super) fn freeze(&self, seconds: u64) {
        let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(1));
        self.shared.note(&format!("{} is stopped for {seconds} s", self.instance));
        self.life.freeze(&self.shared.timeline, length);
    }

    /// The controller is handed an object, or several.
    pub(super) fn was_told(&self, answer: Option<&Answer>) {
        let told: &[Arc<Value>] = match answer {
            Some(Answer::One(json)) => std::slice::from_ref(json),
            Some(Answer::Many(_, _, all)) => all,
            _ => &[],
        };
        let mut known = lock(&self.told);
        for json in told {
            if let (Some(key), revision) = (key_of(json), revision_of(json)) {
                // A watch may tell late what an answer has told before.
                let newest = known.entry(key).or_default();
                *newest = revision.max(*newest);
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.timeline.now()
    }

    pub(super) async fn wait(&self, millis: u64) {
        let length = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(1));
        self.shared.timeline.sleep_until(self.now().saturating_add(length).unwrap_or(Timestamp::MAX)).await;
    }
}

fn key_of(json: &Value) -> Option<ObjectKey> {
    let kind = Kind::parse_loosely(json["kind"].as_str()?)?;
    let meta = &json["metadata"];
    Some(ObjectKey::new(kind, meta["namespace"].as_str()?, meta["name"].as_str()?))
}

pub(super) fn revision_of(json: &Value) -> u64 {
    json["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn response(answer: &Answer) -> Response {
    let (code, text) = match answer {
        Answer::One(json) => (200, json.to_string()),
        Answer::Many(kind, revision, items) => {
            let items: Vec<&Value> = items.iter().map(Arc::as_ref).collect();
            let list = json!({
                "apiVersion": format!("{GROUP}/{VERSION}"), "kind": format!("{kind}List"),
                "metadata": {"resourceVersion": revision.to_string()}, "items": items,
            });
            (200, list.to_string())
        }
        Answer::Refused(refusal) => (refusal.0, status(*refusal).to_string()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    response
}

/// A `Status` of `meta/v1`.
pub(super) fn status(Refusal(code, reason): Refusal) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": reason, "reason": reason, "code": code})
}

/// An answer of which nothing comes through.
pub(super) fn broken() -> Response {
    let error = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Response::new(Body::from_stream(stream::once(async move { Err::<axum::body::Bytes, _>(error()) })))
}
