//! The two calls of identity and access management that clients of IoTDA make: a token, and a project by its name.

use super::{Iotda, auth::Token, codes, request::Answer, request::Handled, request::Refusal};
use crate::{
    cloud::{WireRequest, huawei_iotda::sign},
    simulator::{draw, fleet::long_time},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// POST `/v3/auth/tokens`: 201 with `X-Subject-Token`, good for 24 hours of wall time.
///
/// # Errors
/// Not the documented body, wrong user, password or domain, or another project.
pub fn create_token(iotda: &mut Iotda, request: &WireRequest, wall: Timestamp) -> Handled {
    let body: Value = serde_json::from_slice(&request.body)
        .map_err(|error| Refusal::new(&codes::BAD_FORMAT, format!("The body is not JSON: {error}.")))?;
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let user = "/auth/identity/password/user";
    let name = text(&format!("{user}/name"));
    let password = text(&format!("{user}/password"));
    let domain = text(&format!("{user}/domain/name"));
    let is_theirs = |account: &&super::Account| {
        let mut users = account.spec.users.iter();
        users.any(|user| {
            (name, password, domain) == (Some(&user.username), Some(&user.password), Some(&user.domain))
        })
    };
    let scope = (text("/auth/scope/project/name"), text("/auth/scope/project/id"));
    let in_scope = |account: &&super::Account| match scope {
        (_, Some(id)) => account.spec.project_id == id,
        (Some(name), None) => account.spec.region == name,
        (None, None) => false,
    };
    let mut found = (0..).zip(&iotda.accounts).filter(|(_, account)| is_theirs(account)).peekable();
    if found.peek().is_none() {
        return Err(Refusal::new(&codes::IAM_REFUSED, ""));
    }
    let (index, account) = found.find(|(_, account)| in_scope(account)).ok_or_else(|| {
        Refusal::new(&codes::BAD_FORMAT, "auth.scope.project must name a project of the user, by name or id.")
    })?;
    let (project, region) = (account.spec.project_id.clone(), account.spec.region.clone());
    let expires = wall.checked_add(TOKEN_LIFE).unwrap_or(Timestamp::MAX);
    let token = draw::hex_id(iotda.seed, 64, &["token", &iotda.records.number().to_string()]);
    iotda.tokens.insert(token.clone(), Token { account: index, expires });
    let body = json!({"token": {
        "expires_at": long_time(expires),
        "issued_at": long_time(wall),
        "methods": ["password"],
        "project": {"id": project, "name": region, "domain": {"name": domain}},
        "user": {"name": name, "domain": {"name": domain}},
    }});
    Ok(Answer { headers: vec![("x-subject-token".to_owned(), token)], ..Answer::json(201, &body) })
}

/// GET `/v3/projects?name=`: signed; the projects of the key with that name (the region).
///
/// # Errors
/// The signature is wrong.
pub fn projects(iotda: &Iotda, request: &WireRequest, wall: Timestamp) -> Handled {
    let spec = &iotda.account(iotda.by_signature(request, wall)?)?.spec;
    let name =
        sign::parse_query(&request.query).into_iter().find(|(key, _)| key == "name").map(|(_, name)| name);
    let shown = name.is_none_or(|name| name == spec.region);
    let project = json!({"id": spec.project_id, "name": spec.region, "enabled": true});
    let projects = if shown { vec![project] } else { Vec::new() };
    Ok(Answer::json(200, &json!({"projects": projects, "links": {}})))
}
