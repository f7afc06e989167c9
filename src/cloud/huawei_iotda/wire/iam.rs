//! Wire format of IAM, for `auth: Token`: `POST {iam}/v3/auth/tokens` (IAM API page iam_30_0001).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Body of the request. The token comes back in the header `X-Subject-Token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// The user, and the scope of the token.
    pub auth: TokenAuth,
}

/// The user, and the scope of the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAuth {
    /// Who signs in.
    pub identity: TokenIdentity,
    /// What the token is for.
    pub scope: TokenScope,
}

/// The user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIdentity {
    /// `["password"]`.
    pub methods: Vec<String>,
    /// The user.
    pub password: TokenPassword,
}

/// The user, in an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPassword {
    /// The user.
    pub user: TokenUser,
}

/// A user with the password; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUser {
    /// IAM user name.
    pub name: String,
    /// Password.
    pub password: String,
    /// Account.
    pub domain: TokenDomain,
}

impl fmt::Debug for TokenUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDomain {
    /// Its name.
    pub name: String,
}

/// Scope of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenScope {
    /// A project.
    pub project: TokenProject,
}

/// A project, by id or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenProject {
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name: that of the region for the region's main project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Body of the reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenReply {
    /// The properties of the token.
    pub token: TokenFacts,
}

/// Properties of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenFacts {
    /// RFC 3339, such as `2024-03-06T06:07:08.000000Z`; usually 24 hours ahead.
    pub expires_at: String,
    /// The project of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<TokenProject>,
}
