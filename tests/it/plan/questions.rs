//! What jobs of somebody else are asked before a stage is sent.

use super::world::World;
use rollwave::cloud::{Capabilities, Delivery, Job, JobCounts, JobPurpose, JobState, NewJob, PackageKind};
use rollwave::plan::needs;
use serde_json::json;

#[test]
fn jobs_of_somebody_else_are_asked_for_what_is_about_to_be_sent_where_rows_do_not_tell() {
    let job = |id: &str, token: Option<&str>, state, devices: &[&str]| Job {
        id: id.into(),
        token: token.map(str::to_owned),
        title: String::new(),
        kind: PackageKind::Firmware,
        module: None,
        package_ids: Vec::new(),
        devices: devices.iter().map(|id| (*id).to_owned()).collect(),
        delivery: None,
        state,
        counts: JobCounts::default(),
        created_at: None,
    };
    let jobs = [
        job("nameless", None, JobState::Running, &[]),
        job("planned", None, JobState::Queued, &["a", "z"]),
        job("others", None, JobState::Running, &["z"]),
        job("over", None, JobState::Stopped, &[]),
        job("ours", Some("t"), JobState::Running, &["a"]),
        job("odd", None, JobState::Unknown("x".into()), &["b"]),
    ];
    let mut new = NewJob {
        token: "t".into(),
        title: String::new(),
        purpose: JobPurpose::Upgrade,
        package: needs::package_key(&World::new(1, json!({})).package),
        package_id: "p".into(),
        devices: vec!["a".into(), "b".into()],
        from_versions: Vec::new(),
        delivery: Delivery::default(),
    };
    let asked = |new: &NewJob, most| {
        let limits = Capabilities { max_devices_per_question: most, ..World::new(1, json!({})).capabilities };
        let questions = needs::questions(new, jobs.iter(), &limits);
        questions.into_iter().map(|asked| (asked.job, asked.devices.concat())).collect::<Vec<_>>()
    };
    let expected = [("nameless", "ab"), ("odd", "b"), ("planned", "a")];
    assert_eq!(asked(&new, 50), expected.map(|(job, devices)| (job.to_owned(), devices.to_owned())));
    assert_eq!(asked(&new, 0), [], "no call asks so");
    let old = |n: i64| Job {
        created_at: Some(jiff::Timestamp::from_second(n).unwrap()),
        ..job(&format!("j{n}"), None, JobState::Running, &[])
    };
    let thousands: Vec<Job> = (0..5_000).map(old).collect();
    let limits = Capabilities { max_devices_per_question: 1, ..World::new(1, json!({})).capabilities };
    let asked_of = needs::questions(&new, thousands.iter(), &limits);
    let youngest: Vec<String> = (4_980..5_000).rev().map(|n| format!("j{n}")).collect();
    assert_eq!(asked_of.into_iter().map(|asked| asked.job).collect::<Vec<_>>(), youngest, "two calls each");
    new.delivery.overwrite = Some(true);
    assert_eq!(asked(&new, 50), [], "it takes the place of others");
}
