//! Who calls: a signature, a temporary key with its token, or an IAM token. And whether the project is theirs.

use super::{Iotda, codes, request::Refusal};
use crate::{
    cloud::{
        WireRequest,
        huawei_iotda::sign::{self, Algorithm, Subject},
    },
    simulator::{
        request::header,
        world::{AccountSpec, Scheme},
    },
};
use jiff::Timestamp;

/// An IAM token.
#[derive(Debug)]
pub struct Token {
    /// Account that it stands for.
    pub account: usize,
    /// When it ends, in wall time.
    pub expires: Timestamp,
}

fn refuse(why: impl Into<String>) -> Refusal {
    Refusal::new(&codes::UNAUTHENTICATED, why)
}

impl Iotda {
    /// The account that a call is made for.
    ///
    /// # Errors
    /// 401 when the call is not signed, or by no known key; 403 when the project or the instance is another's.
    pub fn authenticate(
        &self,
        request: &WireRequest,
        project: &str,
        now: Timestamp,
    ) -> Result<usize, Refusal> {
        let account = match header(request, "x-auth-token") {
            Some(token) => self.by_token(token, now)?,
            None => self.by_signature(request, now)?,
        };
        let spec = &self.account(account)?.spec;
        if spec.project_id != project {
            return Err(Refusal::new(
                &codes::FORBIDDEN,
                format!("The project {project} is not that of the caller."),
            ));
        }
        let instance = header(request, "instance-id").filter(|instance| !instance.is_empty());
        if instance.zip(spec.instance_id.as_deref()).is_some_and(|(given, own)| given != own) {
            return Err(Refusal::new(&codes::FORBIDDEN, "The instance is not that of the caller."));
        }
        Ok(account)
    }

    fn by_token(&self, token: &str, now: Timestamp) -> Result<usize, Refusal> {
        let token = self.tokens.get(token).ok_or_else(|| refuse("The token is not valid."))?;
        if token.expires <= now { Err(refuse("The token must be updated.")) } else { Ok(token.account) }
    }

    /// The account whose key signed a request.
    ///
    /// # Errors
    /// 401: unknown key, wrong signature, a date too far away, a scheme that the account does not take.
    pub fn by_signature(&self, request: &WireRequest, now: Timestamp) -> Result<usize, Refusal> {
        let query = sign::parse_query(&request.query);
        let subject = Subject {
            method: request.method,
            path: &request.path,
            query: &query,
            headers: &request.headers,
            body: &request.body,
        };
        let secret = |key: &str| {
            let mut specs = self.accounts.iter().map(|account| &account.spec);
            specs.find(|spec| spec.access_key == key).map(|spec| spec.secret_key.clone().into())
        };
        let verified = sign::verify(&subject, now, secret).map_err(|why| refuse(format!("{why}.")))?;
        let is_theirs = |spec: &AccountSpec| spec.access_key == verified.access_key;
        let found = self.accounts.iter().enumerate().find(|(_, account)| is_theirs(&account.spec));
        let (index, account) = found.ok_or_else(|| refuse("The access key does not exist."))?;
        check_scheme(&account.spec, verified.algorithm, verified.scope.as_deref())?;
        if header(request, "x-security-token") != account.spec.security_token.as_deref() {
            return Err(refuse("X-Security-Token does not belong to the access key."));
        }
        Ok(index)
    }
}

fn check_scheme(spec: &AccountSpec, algorithm: Algorithm, scope: Option<&str>) -> Result<(), Refusal> {
    let scheme = match algorithm {
        Algorithm::SdkHmacSha256 => Scheme::SdkHmac,
        Algorithm::V11HmacSha256 => Scheme::V11,
    };
    if spec.signatures.as_ref().is_some_and(|taken| !taken.contains(&scheme)) {
        return Err(refuse(format!("This endpoint does not take {}.", algorithm.as_str())));
    }
    let wanted = format!("{}/{}", spec.region, sign::SERVICE);
    match scope.and_then(|scope| scope.split_once('/')) {
        Some((_, rest)) if rest != wanted => {
            Err(refuse(format!("The scope of the key must end in {wanted}.")))
        }
        _ => Ok(()),
    }
}
