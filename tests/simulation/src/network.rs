//! Between the engine and the clouds: requests and replies that travel, get lost, come late or come back broken.

use super::Shared;
use super::clouds::{self, Account, Deed, Order};
use super::cluster::ApiServer;
use super::crowd;
use super::dice::Dice;
use super::faults::{Life, Strike};
use super::files;
use super::home::FIRST_OF_DATES;
use super::mutation::Mutation;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollwave::api::OtaCloud;
use rollwave::cloud::{
    CallError, Cloud, Effect, ErrorClass, Transport, TransportError, WireRequest, WireResponse,
};
use rollwave::engine::failpoints::Failpoint;
use rollwave::engine::ports::{Connector, Fenced, Leadership};
use rollwave::simulator::faults::{Fault, Kind, When};
use rollwave::simulator::{End, Simulator};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::oneshot;

/// What the client's transport waits for an answer.
const TIMEOUT: SignedDuration = SignedDuration::from_secs(60);
/// A request may take effect this long after it left: what the client promises as its `request_deadline`, less a second.
const LATEST_MILLIS: u64 = 89_000;

type Answer = Result<WireResponse, TransportError>;

/// A request under way.
pub(super) struct Request {
    wire: WireRequest,
    pub(super) order: Order,
    strike: Option<Strike>,
    lag_secs: i64,
    row: u64,
    back: SignedDuration,
    /// The answer says what time it is.
    tells_time: bool,
    to: oneshot::Sender<Answer>,
}

enum Letter {
    Request(Box<Request>),
    Reply(Answer, oneshot::Sender<Answer>),
}

/// Everything that is under way, by its time of arrival.
#[derive(Default)]
pub(super) struct Network {
    letters: BTreeMap<(Timestamp, u64), Letter>,
    turn: u64,
    /// Answers say what time it is.
    tells_time: bool,
}

impl Network {
    /// In worlds of earlier seeds no cloud says what time it is, and in some of the later ones.
    pub(super) fn new(seed: u64) -> Self {
        let tells_time = seed >= FIRST_OF_DATES && Dice::new(seed, "dates").permille(800);
        Self { tells_time, ..Self::default() }
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.letters.first_key_value().map(|((due, _), _)| *due)
    }

    fn post(&mut self, at: Timestamp, letter: Letter) {
        self.turn += 1;
        self.letters.insert((at, self.turn), letter);
    }

    /// The next request that arrives at `now`; replies that arrive before it are handed over.
    pub(super) fn next_request(&mut self, now: Timestamp) -> Option<Request> {
        while let Some(letter) = self.letters.first_entry()
            && letter.key().0 <= now
        {
            match letter.remove() {
                Letter::Request(request) => return Some(*request),
                // Whoever waited may have given up, or died.
                Letter::Reply(answer, to) => drop(to.send(answer)),
            }
        }
        None
    }

    pub(super) fn reply(&mut self, now: Timestamp, request: Request, answer: Option<Answer>) {
        // Where no answer comes, the connection stays open until the client has given up.
        let after = if answer.is_some() { request.back } else { TIMEOUT };
        let at = now.saturating_add(after).unwrap_or(Timestamp::MAX);
        self.post(at, Letter::Reply(answer.unwrap_or_else(|| Err(broken())), request.to));
    }
}

impl Request {
    /// It may change the cloud.
    pub(super) const fn changes(&self) -> bool {
        let reads = matches!(self.order.deed, Deed::SignIn | Deed::Show | Deed::List { .. } | Deed::Upload);
        !reads || self.strike.is_some()
    }

    /// Does in the cloud what the request asks for, unless it was struck; none when no answer will come.
    pub(super) fn arrive(&self, simulator: &mut Simulator, now: Timestamp) -> Option<Answer> {
        if self.strike == Some(Strike::RequestLost) {
            return Some(Err(broken()));
        }
        if let Some(kind) = self.injected() {
            let fault =
                Fault { cloud: None, operation: "*".to_owned(), count: Some(1), probability: None, kind };
            // `*` is an operation, and no chance is given.
            let _ = simulator.inject(fault, now);
        }
        let account = Account::named(self.order.cloud, &self.order.account);
        if let (Some(Strike::MovingPage), Some(account)) = (self.strike, account) {
            crowd::thins_out(simulator, account, now);
        }
        let end = simulator.handle(&self.wire, now).end;
        let date = self.tells_time.then(|| date_of(simulator.gateway_time(now)));
        match end {
            End::Hang => None,
            End::Reset | End::Truncated(_) => Some(Err(broken())),
            End::Reply(reply) if self.strike == Some(Strike::DuplicateRows) => {
                Some(Ok(dated(with_a_row_twice(reply, self.row), date)))
            }
            End::Reply(reply) => Some(Ok(dated(reply, date))),
        }
    }

    /// Other people act as soon as the request has done what it does.
    pub(super) fn brings_others(&self, simulator: &mut Simulator, now: Timestamp) {
        let account = Account::named(self.order.cloud, &self.order.account);
        if let (Some(Strike::Crowd), Some(account)) = (self.strike, account) {
            crowd::gathers(simulator, account, now);
        }
    }

    fn injected(&self) -> Option<Kind> {
        let kind = match self.strike? {
            Strike::ReplyLost | Strike::Crowd => Kind::Reset { when: When::After },
            Strike::ReplyNever => Kind::Hang { when: When::After },
            Strike::ErrorBefore => Kind::Error { status: 503, when: When::Before },
            Strike::ErrorAfter => Kind::Error { status: 502, when: When::After },
            Strike::Garbage => Kind::Garbage {},
            Strike::Truncated => Kind::Truncated {},
            Strike::StaleList => Kind::Stale { seconds: self.lag_secs },
            _ => return None,
        };
        Some(kind)
    }
}

/// As HTTP writes it (RFC 9110, section 5.6.7).
fn date_of(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn dated(mut reply: WireResponse, date: Option<String>) -> WireResponse {
    reply.headers.extend(date.map(|date| ("date".to_owned(), date)));
    reply
}

/// A list in which one row stands twice, as happens when rows move between pages.
fn with_a_row_twice(mut reply: WireResponse, row: u64) -> WireResponse {
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) else { return reply };
    if let Some(rows) = rows_of(&mut body).filter(|rows| !rows.is_empty()) {
        let index = usize::try_from(row).unwrap_or(0) % rows.len();
        rows.insert(index, rows.get(index).cloned().unwrap_or_default());
    }
    reply.body = body.to_string().into();
    reply
}

/// The rows of a list; some clouds wrap them once more.
fn rows_of(body: &mut Value) -> Option<&mut Vec<Value>> {
    let has_rows = |body: &Value| body.as_object().is_some_and(|body| body.values().any(Value::is_array));
    let list = if has_rows(body) {
        Some(body)
    } else {
        body.as_object_mut()?.values_mut().find(|inner| has_rows(inner))
    };
    list?.as_object_mut()?.values_mut().find_map(Value::as_array_mut)
}

fn broken() -> TransportError {
    TransportError {
        class: ErrorClass::Unavailable,
        effect: Effect::Unknown,
        message: "broke off before its answer was complete".to_owned(),
        next_step: "wait".to_owned(),
    }
}

fn refused() -> TransportError {
    TransportError {
        class: ErrorClass::Unavailable,
        effect: Effect::None,
        message: "cannot be reached: connection refused".to_owned(),
        next_step: "check the endpoint".to_owned(),
    }
}

/// The transport of one run of the process.
pub(super) struct Wire {
    /// Number of the run.
    pub(super) run: u64,
    /// What the process takes the time to be ahead of the truth.
    pub(super) ahead: SignedDuration,
    pub(super) shared: Arc<Shared>,
    pub(super) life: Life,
}

impl Wire {
    /// Puts a request on its way; none when there is no connection.
    fn post(&self, wire: WireRequest, order: Order, strike: Option<Strike>) -> oneshot::Receiver<Answer> {
        let (to, answer) = oneshot::channel();
        let now = self.shared.timeline.now();
        let mut chaos = self.shared.chaos();
        let dice = chaos.dice();
        let there = match strike {
            Some(Strike::RequestLate) => dice.between(1_000, LATEST_MILLIS),
            _ => dice.between(5, 200),
        };
        let back = match strike {
            Some(Strike::ReplyLate) => dice.between(50_000, 80_000),
            _ => dice.between(5, 200),
        };
        let lag = clouds::side(order.cloud).lag_secs();
        let lag_secs = i64::try_from(dice.between(1, lag.saturating_sub(1))).unwrap_or(1);
        let row = dice.between(0, 99);
        drop(chaos);
        let arrives = now.saturating_add(millis(there)).unwrap_or(Timestamp::MAX);
        let mut network = self.shared.network();
        let tells_time = network.tells_time;
        let request = Request { wire, order, strike, lag_secs, row, back: millis(back), tells_time, to };
        network.post(arrives, Letter::Request(Box::new(request)));
        answer
    }

    async fn answer(&self, answer: oneshot::Receiver<Answer>) -> Answer {
        let timeout = self.shared.timeline.now().saturating_add(TIMEOUT).unwrap_or(Timestamp::MAX);
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or_else(|_| Err(self.timed_out())),
            () = self.shared.timeline.sleep_until(timeout) => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> TransportError {
        TransportError { message: "took too long to answer".to_owned(), ..broken() }
    }
}

const fn millis(millis: u64) -> SignedDuration {
    SignedDuration::from_millis(millis as i64)
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: WireRequest) -> Answer {
        let Some(mut order) = clouds::order_of(&request) else { return Err(refused()) };
        let operation = order.operation;
        self.life.survive(Failpoint::before(operation)).await;
        let strike = self.shared.chaos().strikes(&order, self.shared.timeline.now());
        self.shared.saw_request(self, &request, &mut order, strike);
        let answer = if strike == Some(Strike::ConnectionRefused) {
            Err(refused())
        } else {
            self.answer(self.post(as_received(request), order.clone(), strike)).await
        };
        self.shared.saw_answer(self.run, &order, &answer);
        self.life.survive(Failpoint::after(operation)).await;
        answer
    }

    fn total_timeout(&self) -> SignedDuration {
        TIMEOUT
    }

    /// Files are as fast as anything here.
    fn upload_timeout(&self) -> SignedDuration {
        TIMEOUT
    }
}

/// A request as HTTP hands it over: names of headers in lower case, the host, and files as the bytes that they are.
fn as_received(mut request: WireRequest) -> WireRequest {
    for (name, _) in &mut request.headers {
        name.make_ascii_lowercase();
    }
    if !request.headers.iter().any(|(name, _)| name == "host") {
        let host = request.origin.split_once("://").map_or("", |(_, host)| host).to_owned();
        request.headers.push(("host".to_owned(), host));
    }
    if let Some(upload) = request.upload.take() {
        let bytes = files::bytes_at(&upload.file.path);
        request.body = [&request.body[..], &bytes, &upload.after].concat().into();
    }
    request
}

/// Connects accounts to the clouds of the world.
pub(super) struct Dialler {
    pub(super) wire: Arc<Wire>,
    pub(super) clients: clouds::Run,
    /// Asked before each request.
    pub(super) leadership: Arc<dyn Leadership>,
    pub(super) mutation: Option<Mutation>,
}

impl Dialler {
    fn server(&self) -> Option<&ApiServer> {
        self.wire.shared.cluster.as_deref()
    }

    fn now(&self) -> Timestamp {
        self.wire.shared.timeline.now()
    }

    fn keeps_secrets(&self) -> bool {
        self.mutation != Some(Mutation::SecretNotKept)
    }
}

#[async_trait]
impl Connector for Dialler {
    async fn connect(&self, cloud: &OtaCloud) -> Result<Arc<dyn Cloud>, CallError> {
        if let Some(server) = self.server() {
            server.read_secret(cloud, self.keeps_secrets(), self.now())?;
        }
        let wire: Arc<dyn Transport> = Arc::new(Fenced::new(self.wire.clone(), self.leadership.clone()));
        let client = clouds::connect(cloud, &wire, &self.clients)?;
        Ok(match self.mutation {
            Some(mutation) => mutation.of(client),
            None => client,
        })
    }

    async fn keep_secret(&self, cloud: &OtaCloud) -> Result<(), CallError> {
        if let Some(server) = self.server().filter(|_| self.keeps_secrets()) {
            server.keep_secret(cloud, self.now());
        }
        Ok(())
    }

    async fn release_secret(&self, cloud: &OtaCloud, name: &str) -> Result<(), CallError> {
        if let Some(server) = self.server() {
            server.release_secret(cloud, name);
        }
        Ok(())
    }
}
