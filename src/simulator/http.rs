//! HTTP around the simulator: one listener on loopback, the only place here that reads the clock.

use super::{
    End, Outcome, Simulator, World, WorldError, admin,
    form::{Form, Reader},
};
use crate::cloud::{WireRequest, WireResponse};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// The running simulator, shared between the listener and the program that embeds it.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Mutex<Simulator>>);

impl Handle {
    /// Reads or changes the simulator now. The closure gets the wall time, too.
    pub fn with<T>(&self, act: impl FnOnce(&mut Simulator, Timestamp) -> T) -> T {
        let mut simulator = self.lock();
        // Read under the lock, so that no call sees an earlier time than the one before it.
        let wall = Timestamp::now();
        simulator.advance(wall);
        act(&mut simulator, wall)
    }

    /// A panic elsewhere does not change the state; there is nothing half written to protect from.
    fn lock(&self) -> MutexGuard<'_, Simulator> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a shutdown waits for calls that are being answered.
pub const GRACE: Duration = Duration::from_secs(1);

/// A simulator that listens.
#[derive(Debug)]
pub struct Running {
    /// Address it listens on.
    pub address: SocketAddr,
    /// The simulator itself.
    pub handle: Handle,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

impl Running {
    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening. Calls that hang or are delayed are cut; the others get [`GRACE`] to end.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

/// Why a simulator cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is not on loopback.
    #[error("{0} is not a loopback address; the admin API has no authentication (try 127.0.0.1:0)")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The world file contradicts itself.
    #[error(transparent)]
    World(#[from] WorldError),
}

/// Serves a world file on a loopback address; port 0 takes a free one.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(world: &World, listen: SocketAddr) -> Result<Running, ServeError> {
    if !listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(listen));
    }
    let handle = Handle(Arc::new(Mutex::new(Simulator::new(world, Timestamp::now())?)));
    let failed = |source| ServeError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let stop = CancellationToken::new();
    let router = Router::new().fallback(answer).with_state((handle.clone(), stop.clone()));
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let server = tokio::spawn(async move { server.await });
    Ok(Running { address, handle, stop, server })
}

async fn answer(
    State((handle, stop)): State<(Handle, CancellationToken)>,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let Some(method) = static_method(parts.method.as_str()) else {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "This method is not known.");
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut request = WireRequest {
        method,
        origin: String::new(),
        path: path.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: Bytes::new(),
        upload: None,
    };
    if handle.with(|simulator, _| simulator.takes_upload(&request)) {
        let form = read_form(&request, body).await;
        let outcome = handle.with(|simulator, wall| simulator.handle_upload(&request, form, wall));
        return stop.run_until_cancelled(enact(outcome)).await.unwrap_or_else(cut);
    }
    // One byte more than allowed is read, so that the gateway's own refusal can be given.
    let longest = handle.with(|simulator, _| simulator.max_body(&path));
    let Ok(body) = to_bytes(body, longest + 1).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "The request entity is too large.");
    };
    if let Some(path) = path.strip_prefix(admin::PREFIX) {
        let reply = handle.with(|simulator, wall| admin::handle(simulator, method, path, &body, wall));
        return reply_of(reply);
    }
    request.body = body;
    let outcome = handle.with(|simulator, wall| simulator.handle(&request, wall));
    stop.run_until_cancelled(enact(outcome)).await.unwrap_or_else(cut)
}

/// Reads a form piece by piece; what is in error is read to its end, too, so that the caller hears the answer.
async fn read_form(head: &WireRequest, body: Body) -> Result<Form, String> {
    let mut reader = Reader::of(head);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| error.to_string())?;
        if let Ok(open) = &mut reader
            && let Err(why) = open.feed(&piece)
        {
            reader = Err(why);
        }
    }
    reader?.finish()
}

fn static_method(method: &str) -> Option<&'static str> {
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"].into_iter().find(|known| *known == method)
}

async fn enact(Outcome { delay, end }: Outcome) -> Response<Body> {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match end {
        End::Reply(reply) => reply_of(reply),
        End::Truncated(reply) => truncated(&reply),
        End::Reset => cut(),
        End::Hang => std::future::pending().await,
    }
}

fn reply_of(reply: WireResponse) -> Response<Body> {
    let mut response = head(&reply);
    *response.body_mut() = Body::from(reply.body);
    response
}

fn head(reply: &WireResponse) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// Promises the whole answer, sends half of it, and cuts the connection.
fn truncated(reply: &WireResponse) -> Response<Body> {
    let mut response = head(reply);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(reply.body.len()));
    let half = reply.body.slice(..reply.body.len() / 2);
    let sent = stream::once(async { Ok(half) });
    *response.body_mut() = Body::from_stream(sent.chain(stream::once(broken())));
    response
}

/// Cuts the connection without an answer: a body that fails at once fails before the head is flushed.
fn cut() -> Response<Body> {
    let broken: io::Result<Bytes> = Err(io::ErrorKind::ConnectionReset.into());
    Response::new(Body::from_stream(stream::iter([broken])))
}

/// Fails, but only after what was sent before has been flushed.
async fn broken() -> io::Result<Bytes> {
    tokio::task::yield_now().await;
    Err(io::ErrorKind::ConnectionReset.into())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
