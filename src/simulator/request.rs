//! What a handler is given of a request.

use super::clock::Times;
use crate::cloud::WireRequest;
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

/// A request as it arrives at a cloud.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The request.
    pub wire: &'a WireRequest,
    /// The two times.
    pub times: Times,
    /// Lists leave out what was created less than this long ago (wall time): an injected fault.
    pub lag: Option<SignedDuration>,
}

impl<'a> Received<'a> {
    /// What handlers are given of it.
    #[must_use]
    pub fn read(self, query: Vec<(String, String)>) -> Request<'a> {
        let Self { wire, times, lag } = self;
        let content_type = header(wire, "content-type").unwrap_or_default();
        Request { query, body: &wire.body, content_type, times, lag }
    }
}

/// One request, authenticated and routed.
#[derive(Debug)]
pub struct Request<'a> {
    /// Query pairs, decoded.
    pub query: Vec<(String, String)>,
    /// Body.
    pub body: &'a [u8],
    /// `Content-Type`; empty when there is none.
    pub content_type: &'a str,
    /// The two times.
    pub times: Times,
    /// Lists leave out what was created less than this long ago (wall time): an injected fault.
    pub lag: Option<SignedDuration>,
}

impl Request<'_> {
    /// The first value of a query parameter; an empty one counts as absent.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter().filter(|(key, value)| key == name && !value.is_empty());
        pairs.next().map(|(_, value)| value.as_str())
    }

    /// Whether a list shows what was created at this wall time.
    #[must_use]
    pub fn shows(&self, created: Timestamp) -> bool {
        shows(self.times, self.lag, created)
    }
}

/// Whether a list shows what was created at this wall time.
#[must_use]
pub fn shows(now: Times, lag: Option<SignedDuration>, created: Timestamp) -> bool {
    // What is ahead of the clock was created before that was set back.
    let age = now.wall.duration_since(created);
    lag.is_none_or(|lag| age >= lag || age.is_negative())
}

/// The first header of a name, in any case.
#[must_use]
pub fn header<'a>(request: &'a WireRequest, name: &str) -> Option<&'a str> {
    let mut headers = request.headers.iter();
    headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Reads `20240305T060708Z`.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let civil = (text.len() == 16).then(|| DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok())??;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
