//! Answers of the clouds: whatever comes back, nobody takes for done what is not, and nobody takes a write for undone that
//! may have happened. The first line is `CALL STATUS [CLOUD [first]]`: a status of 0 is a connection that breaks, and `first`
//! asks for the first page of a list.

use super::accounts::{SECRET, SignIn, call, cloud_of, perform};
use super::message::Message;
use rollwave::api::CloudKind;
use rollwave::cloud::{
    Call, CallClass, CallError, Cursor, Effect, ErrorClass, MOST_PAGES, Page, Reply, WireResponse,
};
use serde_json::Value;

/// A call, and how it was answered.
struct Case<'a> {
    cloud: CloudKind,
    call: Call,
    status: u16,
    headers: &'a [(String, String)],
    body: &'a str,
}

impl<'a> Case<'a> {
    fn read(message: &'a Message) -> Option<Self> {
        let cloud = cloud_of(message.word(2))?;
        let call = call(cloud, message.word(0), message.word(3) == "first")?;
        let status: u16 = message.word(1).parse().unwrap_or(0);
        Some(Case { cloud, call, status, headers: &message.headers, body: &message.body })
    }

    /// What comes of it, and whether the call itself was sent.
    fn perform(&self, sign_in: SignIn) -> (Result<Reply, CallError>, bool) {
        let headers = self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        let response = WireResponse { status: self.status, headers, body: self.body.to_owned().into() };
        perform(self.cloud, sign_in, (self.status != 0).then_some(response), &self.call)
    }
}

/// Cloud and call of an input that comes to a success.
pub fn success(data: &[u8]) -> Option<String> {
    let message = Message::read(&String::from_utf8_lossy(data));
    let case = Case::read(&message)?;
    case.perform(SignIn::Works).0.ok().map(|_| format!("{:?} {}", case.cloud, case.call.operation()))
}

pub fn check(data: &[u8]) {
    let message = Message::read(&String::from_utf8_lossy(data));
    let Some(case) = Case::read(&message) else { return };
    for sign_in in [SignIn::Works, SignIn::Answered] {
        check_case(&case, sign_in);
    }
}

fn check_case(case: &Case<'_>, sign_in: SignIn) {
    let (result, sent) = case.perform(sign_in);
    match &result {
        Ok(reply) => check_success(case, reply),
        Err(error) => {
            assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
            if !sent {
                assert_eq!(error.effect, Effect::None, "nothing was sent: {error}");
            } else if sign_in == SignIn::Works {
                check_failure(case, error);
            }
        }
    }
}

/// A success has everything that the noun needs, and is of what was asked for.
fn check_success(case: &Case<'_>, reply: &Reply) {
    let Case { call, status, body, .. } = case;
    if is_unknown_presence(call, reply) {
        return;
    }
    assert!((200..300).contains(status) || is_settled(case), "{call:?}: {status}");
    let deletes = matches!(call, Call::DeletePackage { .. } | Call::DeleteJob { .. });
    let is_stored = matches!(call, Call::Upload { .. });
    assert!(
        deletes || is_stored || serde_json::from_str::<Value>(body).is_ok_and(|body| body.is_object()),
        "{body}"
    );
    match (call, reply) {
        (Call::CreatePackage(new), Reply::Package(package)) => {
            assert!(!package.row.id.is_empty(), "{body}");
            assert_eq!(package.row.key, new.key, "{body}");
        }
        (Call::ShowPackage { id }, Reply::Package(package)) => assert_eq!(&package.row.id, id, "{body}"),
        (Call::CreateJob(new), Reply::Job(job)) => {
            assert!(!job.id.is_empty(), "{body}");
            assert_eq!((job.kind, job.token.as_deref()), (new.kind(), Some(new.token.as_str())), "{body}");
        }
        (Call::ShowJob { id }, Reply::Job(job)) => assert_eq!(&job.id, id, "{body}"),
        (Call::ShowDevice { id, .. }, Reply::Device(device)) => assert_eq!(&device.id, id, "{body}"),
        (Call::PermitUpload { .. }, Reply::Permitted(permit)) => assert!(!permit.handle.is_empty(), "{body}"),
        (Call::Upload { permit, .. }, Reply::Uploaded(handle)) => assert_eq!(handle, &permit.handle),
        (Call::CheckModule { .. } | Call::StopJob { .. }, Reply::Done) => {}
        (_, Reply::Done) if deletes => {}
        _ => check_list(call, reply),
    }
}

fn check_list(call: &Call, reply: &Reply) {
    match (call, reply) {
        (Call::ListPackages { cursor, .. }, Reply::Packages(page)) => check_page(page, cursor, |row| &row.id),
        (Call::ListJobs { cursor, .. }, Reply::Jobs(page)) => check_page(page, cursor, |job| &job.id),
        (Call::ListJobDevices { cursor, .. }, Reply::JobDevices(page)) => {
            check_page(page, cursor, |row| &row.device);
        }
        (Call::ListDevices { cursor, .. }, Reply::Devices(page)) => {
            check_page(page, cursor, |device| &device.id);
        }
        (Call::ListPresence { cursor, .. }, Reply::Presence(page)) => {
            check_page(page, cursor, |row| &row.device);
        }
        (
            Call::ListGroupDevices { cursor, .. }
            | Call::ListTaggedDevices { cursor, .. }
            | Call::ListDevicesByAttribute { cursor, .. },
            Reply::DeviceIds(page),
        ) => {
            check_page(page, cursor, |id| id);
        }
        (call, reply) => panic!("{call:?} was answered by {reply:?}"),
    }
}

/// Rows have ids, and the list goes on to somewhere else, but not for ever.
fn check_page<T>(page: &Page<T>, from: &Cursor, id: impl Fn(&T) -> &String) {
    assert!(page.items.iter().all(|item| !id(item).is_empty()));
    if let Some(next) = &page.next {
        assert!(next.marker.as_ref().is_some_and(|marker| !marker.is_empty()));
        assert!(next.marker != from.marker || next.seen > from.seen);
        assert!(next.pages == from.pages + 1 && next.pages < MOST_PAGES);
    }
}

/// Who may not search for devices is told nothing, whatever the refusal looks like.
fn is_unknown_presence(call: &Call, reply: &Reply) -> bool {
    let is_empty = |page: &Page<_>| page.items.is_empty() && page.next.is_none();
    matches!((call, reply), (Call::ListPresence { .. }, Reply::Presence(page)) if is_empty(page))
}

/// EnOS refuses an order that is carried out already: a job that is stopped, a firmware that is not there.
fn is_settled(case: &Case<'_>) -> bool {
    let codes = ["24616", "24404"];
    case.cloud == CloudKind::Enos && code(case).is_some_and(|code| codes.contains(&code.as_str()))
}

/// A write that may have happened is not called undone; a read has no effect however it ends.
fn check_failure(case: &Case<'_>, error: &CallError) {
    if case.call.class() == CallClass::Read {
        return assert_eq!(error.effect, Effect::None, "{error}");
    }
    let refused = code(case).is_some();
    let unreadable = error.class == ErrorClass::Unintelligible;
    // Codes of the other clouds are documented without a status, or with several.
    let failed = match case.cloud {
        CloudKind::HuaweiIotda => !(200..500).contains(&case.status),
        _ => !refused && !(200..500).contains(&case.status),
    };
    if failed || unreadable || (case.status < 300 && !refused) {
        assert_eq!(error.effect, Effect::Unknown, "{}: {error}\n{}", case.status, case.body);
    }
}

/// The code of a refusal, in the envelope of the cloud.
fn code(case: &Case<'_>) -> Option<String> {
    let said: Value = serde_json::from_str(case.body).unwrap_or_default();
    let fields: &[&str] = match case.cloud {
        CloudKind::HuaweiIotda | CloudKind::OceanConnect => &["error_code"],
        CloudKind::AliyunIot => &["Code"],
        CloudKind::Enos => &["code", "status"],
    };
    let text = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let found = fields.iter().find_map(|field| said.get(*field).and_then(text));
    found.filter(|code| case.cloud != CloudKind::Enos || code != "0")
}
