//! The object store behind uploads: what GenerateOTAUploadURL hands out, and PostObject with its policy.
//!
//! A form comes in pieces and is hashed while it streams, so that a package of 1,000 MB costs no memory.

use super::{
    AliyunIot,
    request::{Handled, Refusal, Request, members},
};
use crate::{
    cloud::{WireRequest, WireResponse, aliyun_iot::sign},
    simulator::{
        draw,
        fleet::long_time,
        form::{Form, Reader},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// First part of every path of the object store.
pub const PREFIX: &str = "/oss";
/// Largest object: 1,000 MB (manual of CreateOTAFirmware).
pub const MAX_OBJECT: u64 = 1000 * 1024 * 1024;
/// How long the credentials of an upload are good (manual of GenerateOTAUploadURL).
const VALID: SignedDuration = SignedDuration::from_mins(1);
/// How long an object that no package uses is kept (manual of GenerateOTAUploadURL).
const KEPT: SignedDuration = SignedDuration::from_mins(60);
/// `FileSuffix`, by SDK and manual.
const SUFFIXES: [&str; 10] = ["bin", "dav", "apk", "tar", "gz", "tar.gz", "zip", "gzip", "tar.xz", "pack"];

/// An uploaded file, as far as the cloud must know it.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its address.
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// MD5 in lower-case hex.
    pub md5: String,
    /// SHA-256 in lower-case hex: what was really sent, for checks.
    pub sha256: String,
    /// When it came, in fleet time.
    pub created: Timestamp,
    /// A package uses it.
    pub is_used: bool,
}

impl Object {
    /// An object that no package uses is swept.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        self.is_used || now.duration_since(self.created) <= KEPT
    }
}

/// Key id and secret that sign policies; they open nothing else.
fn store_keys(seed: u64) -> (String, secrecy::SecretString) {
    let id = format!("OSS.{}", draw::hex_id(seed, 16, &["oss", "id"]));
    (id, draw::hex_id(seed, 32, &["oss", "secret"]).into())
}

/// GenerateOTAUploadURL.
///
/// # Errors
/// Another suffix.
pub fn generate(cloud: &mut AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let suffix = request.one_of("FileSuffix", &SUFFIXES)?.unwrap_or("bin");
    let record = cloud.next();
    let folder = draw::hex_id(cloud.seed, 16, &["folder", &index.to_string()]);
    let name = draw::hex_id(cloud.seed, 32, &["object", &record.to_string()]);
    let key = format!("ota/{folder}/{name}.{suffix}");
    let host = format!("http://{}{PREFIX}", request.host);
    let ends = request.times.wall.checked_add(VALID).unwrap_or(Timestamp::MAX);
    let conditions = json!([["eq", "$key", key], ["content-length-range", 0, MAX_OBJECT]]);
    let policy = json!({"expiration": long_time(ends), "conditions": conditions}).to_string();
    let policy = BASE64_STANDARD.encode(policy);
    let (id, secret) = store_keys(cloud.seed);
    let signature = sign::policy_signature(&secret, &policy);
    cloud.account_mut(index)?.keys.insert(key.clone());
    let data = json!({
        "FirmwareUrl": format!("{host}/{key}"), "Host": host, "Key": key, "OSSAccessKeyId": id,
        "ObjectStorage": "OSS", "Policy": policy, "Signature": signature,
        "UtcCreate": long_time(request.times.fleet),
    });
    Ok(members([("Data", data)]))
}

/// A refusal of the object store, which has an envelope of its own.
fn denied(why: impl Into<String>) -> Refusal {
    Refusal::other(403, "AccessDenied", why)
}

impl AliyunIot {
    /// PostObject: checks the form that came with a file, and keeps what the file hashes to.
    pub fn post_object(
        &mut self,
        form: Result<Form, String>,
        wall: Timestamp,
        fleet: Timestamp,
        id: &str,
    ) -> WireResponse {
        let form = form.map_err(|why| Refusal::other(400, "MalformedPOSTRequest", why));
        let outcome = form.and_then(|form| self.keep(&form, wall, fleet));
        let (status, headers, body) = match outcome {
            Ok((status, md5)) => {
                (status, vec![("etag".to_owned(), format!("\"{}\"", md5.to_uppercase()))], String::new())
            }
            Err(refusal) => {
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>\
                     <RequestId>{id}</RequestId></Error>\n",
                    refusal.code,
                    super::xml::escape(&refusal.message())
                );
                (refusal.status, vec![("content-type".to_owned(), "application/xml".to_owned())], body)
            }
        };
        let mut headers = headers;
        headers.push(("x-oss-request-id".to_owned(), id.to_owned()));
        WireResponse { status, headers, body: body.into() }
    }

    fn keep(&mut self, form: &Form, wall: Timestamp, fleet: Timestamp) -> Result<(u16, String), Refusal> {
        let field = |name: &str| {
            form.fields.get(&name.to_lowercase()).map(String::as_str).ok_or_else(|| {
                Refusal::other(400, "InvalidArgument", format!("The form has no field {name}."))
            })
        };
        let file = form.file.as_ref().ok_or_else(|| {
            Refusal::other(400, "IncorrectNumberOfFilesInPOSTRequest", "The form has no file.".to_owned())
        })?;
        let (key, policy) = (field("key")?, field("policy")?);
        let (id, secret) = store_keys(self.seed);
        if field("OSSAccessKeyId")? != id {
            return Err(Refusal::other(
                403,
                "InvalidAccessKeyId",
                "The OSS Access Key Id is not known.".to_owned(),
            ));
        }
        if field("Signature")? != sign::policy_signature(&secret, policy) {
            let why = "The request signature we calculated does not match the signature you provided.";
            return Err(Refusal::other(403, "SignatureDoesNotMatch", why.to_owned()));
        }
        check_policy(policy, &form.fields, file.size, wall)?;
        let holder = self.accounts.iter_mut().find(|account| account.keys.contains(key));
        let account = holder.ok_or_else(|| denied("The key was not handed out."))?;
        let url = format!("http://{}{PREFIX}/{key}", form.host);
        let object = Object {
            url,
            size: file.size,
            md5: file.md5.clone(),
            sha256: file.sha256.clone(),
            created: fleet,
            is_used: false,
        };
        account.objects.insert(key.to_owned(), object);
        let status = form.fields.get("success_action_status").and_then(|status| status.parse().ok());
        Ok((status.filter(|status| [200, 201, 204].contains(status)).unwrap_or(204), file.md5.clone()))
    }
}

fn check_policy(
    policy: &str,
    fields: &BTreeMap<String, String>,
    size: u64,
    wall: Timestamp,
) -> Result<(), Refusal> {
    let malformed = || Refusal::other(400, "InvalidPolicyDocument", "The policy cannot be read.".to_owned());
    let text = BASE64_STANDARD.decode(policy).map_err(|_| malformed())?;
    let policy: Value = serde_json::from_slice(&text).map_err(|_| malformed())?;
    let ends: Timestamp =
        policy["expiration"].as_str().and_then(|ends| ends.parse().ok()).ok_or_else(malformed)?;
    if wall > ends {
        return Err(denied("Invalid according to Policy: Policy expired."));
    }
    for condition in policy["conditions"].as_array().ok_or_else(malformed)? {
        let holds = match (condition[0].as_str(), condition[1].as_str(), &condition[2]) {
            (Some("eq"), Some(name), Value::String(wanted)) => {
                fields.get(&name.trim_start_matches('$').to_lowercase()) == Some(wanted)
            }
            (Some("content-length-range"), ..) => {
                let bounds = (condition[1].as_u64(), condition[2].as_u64());
                matches!(bounds, (Some(least), Some(most)) if (least..=most).contains(&size))
            }
            _ => return Err(malformed()),
        };
        if !holds {
            return Err(denied(format!("Invalid according to Policy: Policy Condition failed: {condition}")));
        }
    }
    Ok(())
}

/// The form of a request that was read whole.
///
/// # Errors
/// It is no form.
pub fn read(wire: &WireRequest) -> Result<Form, String> {
    let mut reader = Reader::of(wire)?;
    reader.feed(&wire.body)?;
    reader.finish()
}
