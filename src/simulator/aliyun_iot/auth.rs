//! Who calls: a signature of either scheme, a nonce that is new, a token that belongs to the key, an instance of theirs.

use super::{Account, AliyunIot, action::Action, codes, request::Refusal, spec::SchemeName};
use crate::cloud::aliyun_iot::sign::{self, Scheme, Subject, Verified};
use jiff::Timestamp;

impl From<sign::Refusal> for Refusal {
    fn from(refusal: sign::Refusal) -> Self {
        let code = match &refusal {
            sign::Refusal::Missing(name) => return Self::missing(name),
            sign::Refusal::Incomplete(_) => &codes::INCOMPLETE,
            sign::Refusal::Unsupported => &codes::UNSUPPORTED,
            sign::Refusal::TimeFormat => &codes::TIME_FORMAT,
            sign::Refusal::Skewed => &codes::SKEWED,
            sign::Refusal::UnknownKey => return Self::new(&codes::UNKNOWN_KEY, ""),
            sign::Refusal::Mismatch(_) => &codes::MISMATCH,
        };
        Self::new(code, refusal.to_string())
    }
}

impl AliyunIot {
    /// The account that signed a request; `form` has the pairs of its body.
    ///
    /// # Errors
    /// The gateway's refusals of keys, signatures, times, nonces and tokens.
    pub fn authenticate(
        &mut self,
        subject: &Subject<'_>,
        form: &[(String, String)],
        wall: Timestamp,
    ) -> Result<usize, Refusal> {
        let secret_of = |key: &str| {
            let mut specs = self.accounts.iter().map(|account| &account.spec);
            specs.find(|spec| spec.access_key == key).map(|spec| spec.secret_key.clone().into())
        };
        let verified = sign::verify(subject, form, wall, secret_of)?;
        let place = self.accounts.iter().position(|account| account.spec.access_key == verified.access_key);
        let index = place.ok_or_else(|| Refusal::new(&codes::UNKNOWN_KEY, ""))?;
        let tokens_end = self.tokens_end;
        let account = self.account_mut(index)?;
        check_scheme(account, verified.scheme)?;
        check_token(account, &verified, tokens_end)?;
        account.nonces.retain(|_, ends| *ends > wall);
        // A nonce must be kept for as long as its time passes: on both sides of the clock.
        let ends = wall.checked_add(sign::MAX_SKEW * 2).unwrap_or(Timestamp::MAX);
        if account.nonces.insert(verified.nonce, ends).is_some() {
            return Err(Refusal::new(&codes::NONCE_USED, ""));
        }
        Ok(index)
    }

    /// # Errors
    /// The key may not call the action, or calls it too often.
    pub fn admit(&mut self, index: usize, action: Action, wall: Timestamp) -> Result<(), Refusal> {
        let throttled = self.switches.throttled;
        let account = self.account_mut(index)?;
        if account.spec.forbidden.iter().any(|name| name == action.as_str()) {
            return Err(Refusal::new(&codes::FORBIDDEN, ""));
        }
        let bucket =
            account.buckets.entry(action).or_insert_with(|| super::Bucket::new(action.queries_per_second()));
        if throttled && !bucket.take(wall) {
            return Err(Refusal::new(&codes::THROTTLED, ""));
        }
        Ok(())
    }
}

fn check_scheme(account: &Account, scheme: Scheme) -> Result<(), Refusal> {
    let name = match scheme {
        Scheme::Acs3 => SchemeName::Acs3,
        Scheme::Rpc => SchemeName::Rpc,
    };
    match &account.spec.signatures {
        Some(taken) if !taken.contains(&name) => {
            Err(Refusal::new(&codes::UNSUPPORTED, "This endpoint does not take this signature."))
        }
        _ => Ok(()),
    }
}

fn check_token(account: &Account, verified: &Verified, tokens_end: bool) -> Result<(), Refusal> {
    match (&account.spec.security_token, &verified.token) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Refusal::new(&codes::TOKEN_MISSING, "")),
        (Some(own), Some(given)) if own == given && tokens_end => {
            Err(Refusal::new(&codes::TOKEN_EXPIRED, ""))
        }
        (Some(own), Some(given)) if own == given => Ok(()),
        _ => Err(Refusal::new(&codes::TOKEN_WRONG, "")),
    }
}
