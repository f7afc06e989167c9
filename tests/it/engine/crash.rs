//! Nothing is created twice and nothing is lost, wherever the process dies and whatever becomes of its requests.

use super::harness::{Ended, Lab, PACKAGE, Process, ROLLOUT, VERIFY_DEVICES, each};
use rollwave::simulator::faults::{Kind, When};

/// What is being created when it happens.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Package,
    VerifyJob,
    StageJob,
}

const ALL: [What; 3] = [What::Package, What::VerifyJob, What::StageJob];

impl What {
    fn noun(self) -> &'static str {
        if self == Self::Package { "Package" } else { "Job" }
    }

    fn operation(self) -> &'static str {
        if self == Self::Package { "CreateOtaPackage" } else { "CreateBatchTask" }
    }

    /// A world where this is the next thing to be created of its kind.
    fn lab(self) -> Lab {
        let lab = Lab::new();
        lab.write("package.yaml", PACKAGE);
        if self == Self::StageJob {
            lab.converge();
        }
        lab.write("rollout.yaml", ROLLOUT);
        lab
    }

    fn exist(self, lab: &Lab) -> usize {
        let before = if self == Self::StageJob { 1 } else { 0 };
        if self == Self::Package { lab.packages().len() } else { lab.tasks().len() - before }
    }
}

/// One package, and one task each for the verification, the canary and the rest.
fn assert_everything_once(lab: &Lab, case: &str) {
    assert_eq!(lab.packages().len(), 1, "{case}: {:#?}", lab.packages());
    let tasks = lab.tasks();
    let sizes: Vec<usize> =
        tasks.iter().map(|task| task.targets.values().map(std::collections::BTreeSet::len).sum()).collect();
    assert_eq!(sizes, [2, 5, 15], "{case}: {tasks:#?}");
    let sent = lab.sent();
    assert!(sent.values().all(|times| *times == 1), "{case}: {sent:?}");
    assert!(VERIFY_DEVICES.iter().chain(&["meter-0000"]).all(|id| lab.firmware(id).as_deref() == Some("V2")));
    assert_eq!(lab.journal(), Vec::<serde_json::Value>::new(), "{case}");
}

fn assert_converges(lab: &Lab, case: &str) {
    let ended = lab.apply();
    assert_eq!(ended.code, Some(0), "{case}\n{}\n{}", ended.out, ended.err);
    assert_everything_once(lab, case);
}

/// Dies at a point of `engine::failpoints`; `_` stands for the noun of what is created.
fn die_at(lab: &Lab, what: What, point: &str) {
    let point = point.replace('_', what.noun());
    let ended = Ended::of(lab.verb("apply", &["--wait"]).env("ROLLWAVE_CRASH_AT", &point));
    assert_eq!(ended.signal, Some(9), "{what:?} {point}: {ended:?}");
}

#[test]
fn killed_before_the_request() {
    let points = ["_Intent.before", "_Intent.after", "Create_.before"];
    let cases: Vec<_> = ALL.into_iter().flat_map(|what| points.map(|point| (what, point))).collect();
    each(&cases, |(what, point)| {
        let lab = what.lab();
        die_at(&lab, *what, point);
        assert_eq!(what.exist(&lab), 0, "{what:?} {point}: no request has left");
        assert_converges(&lab, &format!("{what:?} {point}"));
    });
}

#[test]
fn killed_after_the_effect_and_before_the_reply() {
    each(&ALL, |what| {
        let lab = what.lab();
        lab.fault(what.operation(), Some(1), Kind::Hang { when: When::After });
        let process = Process::start(&mut lab.verb("apply", &["--wait"]));
        lab.until("the effect", || what.exist(&lab) == 1);
        process.kill();
        assert_converges(&lab, &format!("{what:?}"));
    });
}

#[test]
fn killed_after_the_reply_and_before_the_durable_write() {
    each(&ALL, |what| {
        let lab = what.lab();
        die_at(&lab, *what, "Create_.after");
        assert_eq!(what.exist(&lab), 1, "{what:?}: the request had its effect");
        assert_converges(&lab, &format!("{what:?}"));
    });
}

#[test]
fn killed_and_started_again_while_lists_lag_behind() {
    each(&ALL, |what| {
        let lab = what.lab();
        die_at(&lab, *what, "Create_.after");
        lab.fault("*", None, Kind::Stale { seconds: 25 });
        assert_converges(&lab, &format!("{what:?}"));
    });
}

#[test]
fn an_answer_that_says_nothing_is_settled_by_looking() {
    let failures = [
        Kind::Error { status: 500, when: When::After },
        Kind::Error { status: 503, when: When::Before },
        Kind::Reset { when: When::After },
        Kind::Reset { when: When::Before },
        Kind::Garbage {},
        Kind::Truncated {},
    ];
    let cases: Vec<_> = failures.iter().flat_map(|kind| ALL.map(|what| (what, *kind))).collect();
    each(&cases, |(what, kind)| {
        let lab = what.lab();
        lab.fault(what.operation(), Some(1), *kind);
        assert_converges(&lab, &format!("{what:?} {kind:?}"));
    });
}

#[test]
fn a_package_removed_while_its_create_is_in_doubt_leaves_nothing_behind() {
    let failures = [Kind::Reset { when: When::After }, Kind::Reset { when: When::Before }];
    each(&failures, |kind| {
        let lab = Lab::new();
        let (package, _) = PACKAGE.split_once("  verification").unwrap();
        lab.write("package.yaml", &format!("{package}  deletionPolicy: Delete\n"));
        lab.fault("CreateOtaPackage", Some(1), *kind);
        let ended = Ended::of(&mut lab.verb("apply", &[]));
        assert!(ended.said().contains("its answer was lost"), "{kind:?} {}", ended.said());
        assert_eq!(lab.journal().len(), 1, "{kind:?}");
        lab.remove("package.yaml");
        lab.converge();
        assert!(lab.packages().is_empty(), "{kind:?} {:?}", lab.packages());
        assert_eq!(
            lab.get(&[])["items"].as_array().map(Vec::len),
            Some(1),
            "{kind:?}: only the account is left"
        );
    });
}

#[test]
fn a_rollout_edited_while_its_task_is_in_doubt_goes_on() {
    let failures = [Kind::Reset { when: When::After }, Kind::Reset { when: When::Before }];
    each(&failures, |kind| {
        let lab = What::StageJob.lab();
        let (next, _) = PACKAGE.split_once("  verification").unwrap();
        lab.write("next.yaml", &next.replace("meter-v2", "meter-v3").replace("V2", "V3"));
        lab.fault("CreateBatchTask", Some(1), *kind);
        let ended = Ended::of(&mut lab.verb("apply", &[]));
        assert_eq!(lab.journal().len(), 1, "{kind:?} {}", ended.said());
        lab.write("rollout.yaml", &ROLLOUT.replace("meter-v2", "meter-v3"));
        let ended = lab.apply();
        assert_eq!(ended.code, Some(0), "{kind:?}\n{}\n{}", ended.out, ended.err);
        assert_eq!(lab.journal().len(), 0, "{kind:?}");
        assert!((0..20).all(|n| lab.firmware(&format!("meter-{n:04}")).as_deref() == Some("V3")), "{kind:?}");
    });
}
