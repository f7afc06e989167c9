//! Reads a list page by page, in one go or one page at a time.

use crate::cloud::{Call, CallError, Cursor, Page, Reply};
use crate::engine::{account::misfit, caller::Caller};
use jiff::Timestamp;

/// A list of a cloud that is read page by page.
pub(super) trait Question: Clone {
    /// The type of a row.
    type Row: std::fmt::Debug;

    /// The call for the page at `cursor`.
    fn call(&self, cursor: Cursor) -> Call;

    /// Takes the page out of the reply, if it belongs to this list.
    fn page(reply: Reply) -> Option<Page<Self::Row>>;
}

/// Failures after which a list is read from the first page again: its cursor may have expired.
const MOST_FAILURES: u32 = 5;

/// A list that is being read.
#[derive(Debug)]
pub(super) struct Reading<Q: Question> {
    question: Q,
    began: Timestamp,
    cursor: Cursor,
    calls: u64,
    /// Failures of the page at the cursor.
    failures: u32,
    rows: Vec<Q::Row>,
}

/// A list that was read to its end.
#[derive(Debug)]
pub(super) struct Read<T> {
    /// When the first page was requested.
    pub(super) at: Timestamp,
    /// How many calls it took.
    pub(super) calls: u64,
    /// All rows.
    pub(super) rows: Vec<T>,
}

impl<Q: Question> Reading<Q> {
    pub(super) fn begin(question: Q, now: Timestamp) -> Self {
        Self { question, began: now, cursor: Cursor::start(), calls: 0, failures: 0, rows: Vec::new() }
    }

    /// Reads one page; returns the whole list at its end.
    pub(super) async fn step(&mut self, caller: &mut Caller<'_>) -> Result<Option<Read<Q::Row>>, CallError> {
        let call = self.question.call(self.cursor.clone());
        let reply = caller.call(&call).await?;
        let page = Q::page(reply).ok_or_else(|| misfit(&call))?;
        self.rows.extend(page.items);
        self.calls += 1;
        self.failures = 0;
        let Some(next) = page.next else {
            let rows = std::mem::take(&mut self.rows);
            return Ok(Some(Read { at: self.began, calls: self.calls, rows }));
        };
        self.cursor = next;
        Ok(None)
    }

    /// Reads to the end.
    pub(super) async fn finish(mut self, caller: &mut Caller<'_>) -> Result<Read<Q::Row>, CallError> {
        loop {
            if let Some(read) = self.step(caller).await? {
                return Ok(read);
            }
        }
    }
}

/// Reads one page: of the reading in progress, if it began at `not_before` or later, otherwise of a new one. Returns
/// the whole list once it is complete; until then other due objects come between two pages. After a transient error the
/// reading continues where it was.
pub(super) async fn turn_page<Q: Question>(
    under_way: &mut Option<Reading<Q>>,
    question: Q,
    caller: &mut Caller<'_>,
    not_before: Timestamp,
) -> Result<Option<Read<Q::Row>>, CallError> {
    let reading = under_way.take().filter(|reading| reading.began >= not_before);
    let mut reading = reading.unwrap_or_else(|| Reading::begin(question, caller.account.now()));
    let turned = reading.step(caller).await;
    let goes_on = match &turned {
        Ok(read) => read.is_none(),
        Err(error) => {
            reading.failures += 1;
            error.class.is_transient() && reading.failures < MOST_FAILURES
        }
    };
    *under_way = goes_on.then_some(reading);
    turned
}
