//! Signing and tokens.

use super::*;
use rollwave::cloud::{
    ErrorClass,
    huawei_iotda::sign::{self, Algorithm, Subject},
};

const LIST: &str = r#"{"packages":[],"page":{"count":0}}"#;

fn client(change: &Value, keys: Keys, transport: &Arc<Scripted>) -> IotdaClient {
    IotdaClient::new(&spec(change), keys, transport.clone())
}

fn header<'a>(request: &'a WireRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn what_is_sent_is_what_was_signed() {
    let shared = "https://iotda.cn-north-4.myhuaweicloud.com";
    let cases = [
        (json!({}), Algorithm::V11HmacSha256),
        (json!({"endpoint": shared}), Algorithm::SdkHmacSha256),
        (json!({"endpoint": "http://127.0.0.1:8080"}), Algorithm::V11HmacSha256),
        (json!({"endpoint": shared, "auth": "V11"}), Algorithm::V11HmacSha256),
        (json!({"auth": "SdkHmac"}), Algorithm::SdkHmacSha256),
    ];
    for (change, algorithm) in cases {
        let transport = Scripted::always(200, &[], LIST);
        let cloud = client(&change, access_key(), &transport);
        cloud.perform(&list_packages(Cursor::start()), now()).await.unwrap();
        let request = transport.sent().remove(0);
        let subject = Subject {
            method: request.method,
            path: &request.path,
            query: &sign::parse_query(&request.query),
            headers: &request.headers,
            body: &request.body,
        };
        let verified = sign::verify(&subject, now(), |_| Some("SK-of-tests".into())).unwrap();
        assert_eq!(verified.algorithm, algorithm, "{change}");
        if algorithm == Algorithm::V11HmacSha256 {
            assert_eq!(verified.scope.as_deref(), Some("20240305/cn-north-4/iotdm"));
        }
        let host = request.origin.split_once("://").unwrap().1;
        assert_eq!(header(&request, "Host"), Some(host), "{change}");
    }
}

#[tokio::test]
async fn a_temporary_key_sends_its_security_token() {
    let transport = Scripted::always(200, &[], LIST);
    let keys =
        Keys::AccessKey { id: "AK".into(), secret: "SK".into(), security_token: Some("ST-of-tests".into()) };
    client(&json!({}), keys, &transport).perform(&list_packages(Cursor::start()), now()).await.unwrap();
    assert_eq!(header(&transport.sent()[0], "X-Security-Token"), Some("ST-of-tests"));
}

#[tokio::test]
async fn keys_of_another_scheme_are_refused_before_anything_is_sent() {
    let transport = Scripted::always(200, &[], LIST);
    for (auth, keys) in [("Token", access_key()), ("V11", user())] {
        let cloud = client(&json!({"auth": auth}), keys, &transport);
        let error = cloud.perform(&list_packages(Cursor::start()), now()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Unauthorized);
        assert!(error.next_step.contains("spec.credentials."), "{error}");
    }
    assert!(transport.sent().is_empty());
}

/// IAM gives tokens `token-1`, `token-2`, … for `seconds`; IoTDA takes those in `good`.
fn token_platform(seconds: i64, good: &'static [&'static str]) -> Arc<Scripted> {
    let given = Mutex::new(0);
    Scripted::new(move |request, _| {
        if request.path == "/v3/auth/tokens" {
            let mut given = given.lock().unwrap();
            *given += 1;
            let expires_at = now() + jiff::SignedDuration::from_secs(seconds);
            let body = json!({"token": {"expires_at": expires_at.to_string()}}).to_string();
            return Ok(answer(201, &[("x-subject-token", &format!("token-{given}"))], &body));
        }
        let accepted = header(request, "X-Auth-Token").is_some_and(|token| good.contains(&token));
        assert_eq!(header(request, "Authorization"), None);
        Ok(if accepted { answer(200, &[], LIST) } else { answer(401, &[], "") })
    })
}

fn token_requests(transport: &Scripted) -> usize {
    transport.sent().iter().filter(|request| request.path == "/v3/auth/tokens").count()
}

#[tokio::test]
async fn a_token_is_fetched_as_iam_documents_it() {
    let transport = token_platform(86_400, &["token-1"]);
    let cloud = client(&json!({"auth": "Token"}), user(), &transport);
    cloud.perform(&list_packages(Cursor::start()), now()).await.unwrap();
    let request = &transport.sent()[0];
    assert_eq!(
        request.to_string(),
        "POST https://iam.cn-north-4.myhuaweicloud.com/v3/auth/tokens?nocatalog=true"
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let user = json!({"name": "ann", "password": "hunter2", "domain": {"name": "acme"}});
    let scope = json!({"project": {"id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9"}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    assert_eq!(body, json!({"auth": {"identity": identity, "scope": scope}}));
}

#[tokio::test]
async fn callers_share_one_token_until_shortly_before_it_ends() {
    let transport = token_platform(86_400, &["token-1", "token-2"]);
    let cloud = client(&json!({"auth": "Token", "iamEndpoint": "http://127.0.0.1:1/"}), user(), &transport);
    let call = list_packages(Cursor::start());
    let at = |minutes: i64| now() + jiff::SignedDuration::from_mins(minutes);
    let replies = futures::future::join_all((0..20).map(|_| cloud.perform(&call, at(0)))).await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(token_requests(&transport), 1);
    assert_eq!(transport.sent()[0].origin, "http://127.0.0.1:1");
    cloud.perform(&call, at(24 * 60 - 31)).await.unwrap();
    assert_eq!(token_requests(&transport), 1);
    cloud.perform(&call, at(24 * 60 - 30)).await.unwrap();
    assert_eq!(token_requests(&transport), 2);
}

#[tokio::test]
async fn a_token_that_died_early_is_renewed_once_for_all_callers() {
    let transport = token_platform(86_400, &["token-2"]);
    let cloud = client(&json!({"auth": "Token"}), user(), &transport);
    let call = list_packages(Cursor::start());
    let replies = futures::future::join_all((0..20).map(|_| cloud.perform(&call, now()))).await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(token_requests(&transport), 2);
}

#[tokio::test]
async fn a_second_refusal_is_an_error() {
    let transport = token_platform(86_400, &[]);
    let cloud = client(&json!({"auth": "Token"}), user(), &transport);
    let error = cloud.perform(&list_packages(Cursor::start()), now()).await.unwrap_err();
    assert_eq!((error.class, error.status), (ErrorClass::Unauthorized, Some(401)));
    assert_eq!(transport.sent().len(), 4, "token, call, token, call");
}

#[tokio::test]
async fn a_failed_sign_in_is_shared_by_all_callers_and_has_no_effect() {
    let transport = Scripted::always(401, &[], r#"{"error":{"code":401,"message":"wrong password"}}"#);
    let cloud = client(&json!({"auth": "Token"}), user(), &transport);
    let call = a_write();
    let replies = futures::future::join_all((0..20).map(|_| cloud.perform(&call, now()))).await;
    for reply in replies {
        let error = reply.unwrap_err();
        assert_eq!((error.class, error.effect), (ErrorClass::Unauthorized, Effect::None));
        assert!(error.to_string().contains("username, password and domain"), "{error}");
    }
    assert_eq!(transport.sent().len(), 1);
    cloud.perform(&call, now()).await.unwrap_err();
    assert_eq!(transport.sent().len(), 2, "a later call asks again");
}

#[tokio::test]
async fn no_key_password_or_token_is_ever_shown() {
    let signed = Scripted::always(401, &[], "");
    let error = perform(&signed, &a_write()).await.unwrap_err();
    let tokens = token_platform(86_400, &[]);
    let refused =
        client(&json!({"auth": "Token"}), user(), &tokens).perform(&a_write(), now()).await.unwrap_err();
    let keys = (access_key(), user());
    let shown =
        format!("{:?} {:?} {error:?} {error} {refused:?} {refused} {keys:?}", signed.sent(), tokens.sent());
    for secret in ["SK-of-tests", "hunter2", "token-1", "token-2", "Signature="] {
        assert!(!shown.contains(secret), "{secret} is shown in {shown}");
    }
}
