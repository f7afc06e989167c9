//! Tokens of an account: at most one sign-in at a time, whose result serves every call that waited for it.
//!
//! **Invariant:** callers that need a token at the same time cost one sign-in, even if it fails.\
//! **Invariant:** a cancelled sign-in blocks no caller: one of those that wait signs in instead.\
//! **Invariant:** a rejected token is dropped only while it is the current one; its successor stays.

use super::{Call, CallError, Transport, WireRequest, WireResponse, request};
use jiff::Timestamp;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Mutex;

/// What one signs in for.
pub(super) trait Token {
    /// From when on the token is not used any more, but renewed.
    fn renew_at(&self) -> Timestamp;
}

/// What is known when a sign-in begins.
pub(super) struct Previous<T> {
    /// The current token, if it must be renewed although the cloud has not rejected it.
    pub expiring: Option<Arc<T>>,
    /// The token that the cloud rejected last, until a sign-in succeeds.
    pub rejected: Option<Arc<T>>,
}

/// How a call is sent with a token.
pub(super) struct Exchange<'a> {
    pub transport: &'a dyn Transport,
    pub call: &'a Call,
    /// Wall-clock time.
    pub now: Timestamp,
    /// Whether an answer means that the token is not valid any more. That is a definite refusal: nothing can happen twice.
    pub is_rejected: fn(&WireResponse) -> bool,
    /// How many tokens may be rejected before the call fails.
    pub rejections: usize,
}

/// Holds the token of one account.
pub(super) struct SingleFlight<T> {
    /// How many sign-ins have finished, so that a caller knows whether one did while it waited.
    finished: AtomicU64,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    last: Option<Result<Arc<T>, CallError>>,
    rejected: Option<Arc<T>>,
}

impl<T> Default for SingleFlight<T> {
    fn default() -> Self {
        let held = Held { last: None, rejected: None };
        Self { finished: AtomicU64::new(0), held: Mutex::new(held) }
    }
}

impl<T: Token> SingleFlight<T> {
    /// A token that is valid at `now`, other than `rejected`: the current one, or that of a sign-in.
    ///
    /// # Errors
    /// That of the sign-in.
    pub async fn get<F>(
        &self,
        rejected: Option<&Arc<T>>,
        now: Timestamp,
        sign_in: impl FnOnce(Previous<T>) -> F,
    ) -> Result<Arc<T>, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let finished_before = self.finished.load(Ordering::SeqCst);
        let mut held = self.held.lock().await;
        if let Some(rejected) = rejected {
            held.reject(rejected);
        }
        let finished = self.finished.load(Ordering::SeqCst);
        match &held.last {
            Some(Ok(token)) if now < token.renew_at() => return Ok(Arc::clone(token)),
            Some(last) if finished != finished_before => return last.clone(),
            _ => {}
        }
        let result = sign_in(held.previous()).await.map(Arc::new);
        self.finished.store(finished + 1, Ordering::SeqCst);
        if result.is_ok() {
            held.rejected = None;
        }
        held.last = Some(result.clone());
        result
    }
}

impl<T: Token> SingleFlight<T> {
    /// Sends a request with a token, and with another one when that is rejected.
    ///
    /// # Errors
    /// That of the sign-in, or of the transport.
    pub async fn send<F>(
        &self,
        exchange: &Exchange<'_>,
        sign_in: impl Fn(Previous<T>) -> F,
        sign: impl Fn(&T) -> WireRequest,
    ) -> Result<WireResponse, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let Exchange { transport, call, now, is_rejected, rejections } = *exchange;
        let mut token = self.get(None, now, &sign_in).await?;
        for _ in 0..rejections {
            let response = request::send(transport, call, sign(&token)).await?;
            if !is_rejected(&response) {
                return Ok(response);
            }
            token = self.get(Some(&token), now, &sign_in).await?;
        }
        request::send(transport, call, sign(&token)).await
    }
}

impl<T> Held<T> {
    /// Drops the current token if it is the rejected one.
    fn reject(&mut self, rejected: &Arc<T>) {
        if matches!(&self.last, Some(Ok(current)) if Arc::ptr_eq(current, rejected)) {
            self.last = None;
            self.rejected = Some(Arc::clone(rejected));
        }
    }

    fn previous(&self) -> Previous<T> {
        let expiring = self.last.as_ref().and_then(|last| last.as_ref().ok()).cloned();
        Previous { expiring, rejected: self.rejected.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::ErrorClass;
    use tokio::sync::Notify;

    struct Numbered {
        number: u64,
        renew_at: Timestamp,
    }

    impl Token for Numbered {
        fn renew_at(&self) -> Timestamp {
            self.renew_at
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A cloud whose sign-ins are numbered, and wait for `open` if it is set.
    #[derive(Default)]
    struct Account {
        tokens: SingleFlight<Numbered>,
        sign_ins: AtomicU64,
        open: Option<Notify>,
    }

    impl Account {
        /// Signs in with a token that is renewed at second 10 of each attempt, or fails.
        async fn get(
            &self,
            rejected: Option<&Arc<Numbered>>,
            now: i64,
            fails: bool,
        ) -> Result<Arc<Numbered>, CallError> {
            let sign_in = |_: Previous<Numbered>| async move {
                let number = self.sign_ins.fetch_add(1, Ordering::SeqCst) + 1;
                if let Some(open) = &self.open {
                    open.notified().await;
                }
                let refused = || CallError::new(ErrorClass::Unauthorized, "test", number.to_string());
                if fails { Err(refused()) } else { Ok(Numbered { number, renew_at: at(now + 10) }) }
            };
            self.tokens.get(rejected, at(now), sign_in).await
        }
    }

    fn number(result: &Result<Arc<Numbered>, CallError>) -> String {
        match result {
            Ok(token) => token.number.to_string(),
            Err(error) => format!("refused {}", error.message),
        }
    }

    /// One caller after the other: second, whose token was rejected, whether a sign-in would fail, what the caller gets.
    #[tokio::test]
    async fn a_token_serves_until_it_expires_or_is_rejected() {
        type Step = (i64, Option<usize>, bool, &'static str);
        let cases: [(&str, &[Step]); 6] = [
            ("it is kept", &[(0, None, false, "1"), (9, None, false, "1")]),
            ("it is renewed in time", &[(0, None, false, "1"), (10, None, false, "2")]),
            ("a rejected one is replaced", &[(0, None, false, "1"), (1, Some(0), false, "2")]),
            (
                "its successor is not",
                &[(0, None, false, "1"), (1, Some(0), false, "2"), (1, Some(0), false, "2")],
            ),
            (
                "a failure is not kept for later callers",
                &[(0, None, true, "refused 1"), (0, None, false, "2")],
            ),
            (
                "nor is a rejected token, when its replacement failed",
                &[(0, None, false, "1"), (1, Some(0), true, "refused 2"), (1, None, false, "3")],
            ),
        ];
        for (what, steps) in cases {
            let (account, mut given) = (Account::default(), Vec::<Arc<Numbered>>::new());
            for (now, rejected, fails, expected) in steps {
                let rejected = rejected.map(|step| given[step].clone());
                let result = account.get(rejected.as_ref(), *now, *fails).await;
                assert_eq!(number(&result), *expected, "{what}");
                given.extend(result);
            }
        }
    }

    /// Three callers at the same time: whether the one that signs in is cancelled, whether sign-ins fail, what the others get.
    #[tokio::test]
    async fn callers_at_the_same_time_share_one_sign_in() {
        let cases =
            [(false, false, "1"), (false, true, "refused 1"), (true, false, "2"), (true, true, "refused 2")];
        for (is_cancelled, fails, expected) in cases {
            let account = Arc::new(Account { open: Some(Notify::new()), ..Account::default() });
            let call = || {
                let account = Arc::clone(&account);
                tokio::spawn(async move { number(&account.get(None, 0, fails).await) })
            };
            let callers = [call(), call(), call()];
            tokio::task::yield_now().await;
            assert_eq!(account.sign_ins.load(Ordering::SeqCst), 1, "{expected}: the others wait");
            let [first, second, third] = callers;
            if is_cancelled {
                first.abort();
                assert!(first.await.unwrap_err().is_cancelled());
            }
            account.open.as_ref().unwrap().notify_one();
            assert_eq!([second.await.unwrap(), third.await.unwrap()], [expected, expected]);
        }
    }

    #[tokio::test]
    async fn a_sign_in_knows_what_it_replaces() {
        let tokens = SingleFlight::default();
        let issue =
            |number: u64, renew_at: i64| async move { Ok(Numbered { number, renew_at: at(renew_at) }) };
        let first = tokens.get(None, at(0), |_| issue(1, 10)).await.unwrap();
        let fail = |previous: Previous<Numbered>| async move {
            assert_eq!(previous.expiring.map(|token| token.number), Some(1));
            assert!(previous.rejected.is_none());
            Err(CallError::new(ErrorClass::Unavailable, "test", "no answer"))
        };
        assert!(tokens.get(None, at(10), fail).await.is_err());
        let second = tokens.get(Some(&first), at(10), |previous| {
            assert!(
                previous.expiring.is_none() && previous.rejected.is_none(),
                "it was dropped, not rejected"
            );
            issue(2, 20)
        });
        let second = second.await.unwrap();
        for _ in 0..2 {
            let fail = |previous: Previous<Numbered>| async move {
                assert!(previous.expiring.is_none());
                assert_eq!(previous.rejected.map(|token| token.number), Some(2));
                Err(CallError::new(ErrorClass::Unavailable, "test", "no answer"))
            };
            assert!(tokens.get(Some(&second), at(11), fail).await.is_err());
        }
    }
}
