//! What can be wrong with an account, and with what it answers, on each of the four clouds: said once, clearly, and not asked
//! for again and again; and where an answer is not understood, nothing goes on.

use super::four::{account, lab, lab_with, package, rollout};
use super::harness::{Ended, Lab, each};
use axum::{body, extract::Request, http::StatusCode};
use rollwave::api::CloudKind;
use rollwave::simulator::faults::Kind;
use std::process::Command;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};

/// A release of a cloud, about to be applied.
fn release(cloud: CloudKind) -> Lab {
    with_release(cloud, lab(cloud, 10))
}

fn with_release(cloud: CloudKind, lab: Lab) -> Lab {
    lab.write("package.yaml", &package(cloud));
    lab.write("rollout.yaml", &rollout("{all: true}"));
    lab
}

/// Ten minutes of the engine's time.
fn apply(lab: &Lab) -> Command {
    lab.verb("apply", &["--wait", "--timeout", "5s"])
}

fn assert_says_once(case: &str, lab: &Lab, ended: &Ended, words: &str) {
    assert_ne!(ended.code, Some(0), "{case}: {}", ended.said());
    let shown = format!("{}{}", ended.said(), lab.get(&[]));
    assert!(shown.contains(words), "{case}: {shown}");
    assert!(!shown.contains("the-secret-key") && !shown.contains("another-secret"), "{case}: {shown}");
    assert!(lab.all_calls() < 60, "{case}: {} calls in ten minutes", lab.all_calls());
    assert_eq!(lab.tasks().len(), 0, "{case}: nothing is sent");
}

#[test]
fn a_wrong_key_is_named_and_asked_for_a_few_times_only() {
    each(&CloudKind::ALL, |cloud| {
        let lab = release(*cloud);
        let ended = Ended::of(apply(&lab).env("LAB_SK", "another-secret"));
        assert_says_once(cloud.as_str(), &lab, &ended, "spec.credentials");
    });
}

/// The codes are documented; OceanConnect has it for calls, and not for signing in.
#[test]
fn a_key_without_the_right_is_told_so() {
    each(&CloudKind::ALL, |cloud| {
        let more = if *cloud == CloudKind::AliyunIot { ", forbidden: [ListOTAFirmware]" } else { "" };
        let lab = with_release(*cloud, lab_with(*cloud, 10, more));
        let refusal = match cloud {
            CloudKind::HuaweiIotda => Some((403, r#"{"error_code":"APIGW.0302","error_msg":"no right"}"#)),
            CloudKind::OceanConnect => Some((
                403,
                r#"{"error_code":"100217","error_desc":"The application hasn't been authorized."}"#,
            )),
            CloudKind::AliyunIot => None,
            CloudKind::Enos => {
                Some((200, r#"{"code":99403,"msg":"Access Denied","requestId":"r","data":null}"#))
            }
        };
        let meddler = Meddler::new(lab.url(), move |path, status, text| match refusal {
            Some((status, body)) if !path.contains("token") && !path.ends_with("/login") => {
                (status, body.to_owned())
            }
            _ => (status, text),
        });
        lab.write("cloud.yaml", &account(*cloud, &meddler.url));
        assert_says_once(cloud.as_str(), &lab, &Ended::of(&mut apply(&lab)), "Forbidden");
    });
}

#[test]
fn throttling_is_waited_out_and_said() {
    each(&CloudKind::ALL, |cloud| {
        let lab = release(*cloud);
        lab.fault("*", None, Kind::Throttle { seconds: 3600 });
        assert_says_once(cloud.as_str(), &lab, &Ended::of(&mut apply(&lab)), "spec.budget");
    });
}

/// OceanConnect signs nothing.
#[test]
fn a_clock_that_is_wrong_is_called_so_where_requests_are_signed_with_a_time() {
    each(&CloudKind::ALL, |cloud| {
        let lab = release(*cloud);
        lab.fault("*", None, Kind::Skew { seconds: 3600 });
        match cloud {
            CloudKind::OceanConnect => drop(lab.converge()),
            _ => assert_says_once(cloud.as_str(), &lab, &Ended::of(&mut apply(&lab)), "clock"),
        }
    });
}

/// A token that was fetched is fetched anew; a temporary key is for people to renew.
#[test]
fn a_token_that_has_expired_is_fetched_anew_or_asked_for() {
    each(&CloudKind::ALL, |cloud| {
        let lab = match cloud {
            CloudKind::AliyunIot => lab_with(*cloud, 10, ", securityToken: the-token"),
            _ => lab(*cloud, 10),
        };
        let lab = with_release(*cloud, lab);
        if *cloud == CloudKind::AliyunIot {
            let signed = account(*cloud, &lab.url())
                .replace("secretKey: env:LAB_SK", "secretKey: env:LAB_SK, securityToken: env:LAB_ST");
            lab.write("cloud.yaml", &signed);
        }
        lab.fault("*", None, Kind::ExpireTokens {});
        let ended = Ended::of(apply(&lab).env("LAB_ST", "the-token"));
        match cloud {
            CloudKind::AliyunIot => assert_says_once(cloud.as_str(), &lab, &ended, "securityToken"),
            _ => assert_eq!(ended.code, Some(0), "{cloud}: {}", ended.said()),
        }
    });
}

/// Stands between the program and its cloud, and changes what the cloud answers.
struct Meddler {
    url: String,
    _runtime: Runtime,
}

impl Meddler {
    /// `change` gets the path, the status and the text of an answer, and gives status and text.
    fn new(
        cloud: String,
        change: impl Fn(&str, u16, String) -> (u16, String) + Clone + Send + Sync + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let pass_on = move |request: Request| {
            let (client, cloud, change) = (client.clone(), cloud.clone(), change.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body::to_bytes(body, usize::MAX).await.unwrap();
                let path = head.uri.path().to_owned();
                let address = format!("{cloud}{}", head.uri.path_and_query().unwrap());
                let asked = client.request(head.method, address).headers(head.headers).body(body);
                let answer = asked.send().await.unwrap();
                let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
                headers.remove("content-length");
                headers.remove("transfer-encoding");
                let text = String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap();
                let (status, text) = change(&path, status, text);
                (StatusCode::from_u16(status).unwrap(), headers, text)
            }
        };
        let service = axum::Router::new().fallback(pass_on);
        runtime.spawn(async move { axum::serve(listener, service).await });
        Self { url, _runtime: runtime }
    }
}

/// How each cloud says that a job runs.
const fn running(cloud: CloudKind) -> &'static str {
    match cloud {
        CloudKind::HuaweiIotda => r#""status":"Processing""#,
        CloudKind::OceanConnect => r#""status":"processing""#,
        CloudKind::AliyunIot => r#""JobStatus":"IN_PROGRESS""#,
        CloudKind::Enos => r#""status":"started""#,
    }
}

#[test]
fn a_status_that_no_document_names_holds_the_rollout_and_is_quoted() {
    each(&CloudKind::ALL, |cloud| {
        let lab = release(*cloud);
        let stuck =
            serde_json::from_value(serde_json::json!([{"version": "V2", "stuckRate": "100%"}])).unwrap();
        lab.cloud(|simulated| simulated.set_behaviours(stuck).unwrap());
        let (known, (field, _)) = (running(*cloud), running(*cloud).split_once(':').unwrap());
        let unknown = format!("{field}:\"Melting\"");
        let meddler = Meddler::new(lab.url(), move |_, status, text| (status, text.replace(known, &unknown)));
        lab.write("cloud.yaml", &account(*cloud, &meddler.url));
        let ended = Ended::of(&mut lab.verb("apply", &["--wait", "--timeout", "30s"]));
        assert_eq!(ended.code, Some(3), "{cloud}: {}", ended.said());
        let message = lab.get(&["rollout/v2"])["status"]["message"].to_string();
        assert!(message.contains("Melting") && message.contains("undocumented"), "{cloud}: {message}");
        assert_eq!(lab.tasks().len(), 1, "{cloud}: nothing more is sent");
    });
}

#[test]
fn fields_that_no_document_names_are_left_alone() {
    each(&CloudKind::ALL, |cloud| {
        let lab = release(*cloud);
        let meddler = Meddler::new(lab.url(), |_, status, text| {
            (status, text.replace("{\"", "{\"somethingNew\":[{\"deep\":null}],\""))
        });
        lab.write("cloud.yaml", &account(*cloud, &meddler.url));
        lab.converge();
        assert!((0..10).all(|n| lab.firmware(&format!("m-{n:04}")).as_deref() == Some("V2")), "{cloud}");
    });
}
