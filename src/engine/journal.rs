//! The journal, which guards every call that is not idempotent (design section 5).
//!
//! An intent is durable before its request is sent. A definite reply settles it. Any other result leaves it ambiguous
//! until an observation settles it: by idempotency key or natural key, at a time when any effect of the request must be
//! visible. After a restart `Intended` means the same as `Ambiguous`: it is unknown whether the request was sent. Where
//! no observation can settle it, it is `Lost`: the request is never sent again, and a user decides.

use crate::api::{CreateOperation, Intent, IntentState};
use crate::cloud::Capabilities;
use crate::decide::clocks::{Clocks, Wait};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// An observation older than this does not justify a create: others may have acted meanwhile.
pub const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// How often an ambiguous create is searched for while it may still appear.
pub const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// An observation of this age, made for the ambiguous create of another object, serves this one too. Less than
/// [`LOOK_AGAIN`], which requires a new one.
const SHARED: SignedDuration = SignedDuration::from_secs(5);

/// Whether a create may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may be sent: a conclusive observation found nothing.
    Send,
    /// Observe first: the last observation is not conclusive.
    Look,
    /// An earlier attempt may still take effect or become visible: observe again at this time, at the earliest.
    Wait(Timestamp),
}

/// Times by the clock of this process. It is steady, but the clock of an earlier process may have been different.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// When this process began to work on the account.
    pub born: Timestamp,
    /// When the current reconcile began.
    pub turn_began: Timestamp,
    /// The current time.
    pub now: Timestamp,
    /// What it is based on.
    pub clocks: Clocks,
}

impl Times {
    /// Since when this clock has certainly counted the time since a recorded time `at`. The clock of an earlier process
    /// may have been ahead or behind, so its record shows nothing about how long ago it was.
    #[must_use]
    pub fn counted_since(&self, at: Timestamp) -> Timestamp {
        if at > self.now { self.born } else { at.max(self.born) }
    }
}

/// Decides whether the create with this idempotency key may be sent, given that the observation that began at
/// `looked_at` did not find it. An observation of the current reconcile is always fresh: a long list may take longer
/// than [`FRESH`].
#[must_use]
pub fn permit(
    pending: &[Intent],
    token: &str,
    looked_at: Timestamp,
    times: &Times,
    limits: &Capabilities,
) -> Permit {
    let is_fresh = looked_at >= times.turn_began || times.now.duration_since(looked_at) <= FRESH;
    let create = if is_fresh { Permit::Send } else { Permit::Look };
    let Some(intent) = pending.iter().find(|intent| intent.token == token) else { return create };
    if !intent.is_open() {
        return Permit::Wait(Timestamp::MAX);
    }
    let settled_at = settles_at(intent, times, limits);
    if looked_at >= settled_at {
        return create;
    }
    let next_look = looked_at.saturating_add(LOOK_AGAIN).unwrap_or(Timestamp::MAX).min(settled_at);
    if times.now >= next_look { Permit::Look } else { Permit::Wait(next_look) }
}

/// From when on an observation is conclusive about an intent: its request has ended, and its effect is visible. An
/// intent of an earlier process is waited for from the start, unless it is known when its request ended: short-lived
/// processes would never settle it otherwise.
#[must_use]
pub fn settles_at(intent: &Intent, times: &Times, limits: &Capabilities) -> Timestamp {
    let deadline = match intent.operation {
        CreateOperation::CreatePackage => limits.package_deadline,
        CreateOperation::CreateJob => limits.request_deadline,
    };
    let (began, length) = (times.counted_since(intent.at), deadline.saturating_add(limits.visibility_lag));
    let is_ambiguous = intent.state == IntentState::Ambiguous;
    let uptime = intent.uptime.as_ref().filter(|_| is_ambiguous);
    let cloud_began = intent.cloud_at.filter(|_| is_ambiguous);
    let clocks = Clocks { steady_since: times.born, ..times.clocks };
    Wait { began, uptime, cloud_began, length }.ends(&clocks, times.now)
}

/// Marks calls that an earlier process was about to make as ambiguous as of now: that process has ended, so the next
/// one does not have to wait for them from the start.
pub fn inherit(pending: &mut [Intent], times: &Times) {
    let is_inherited = |intent: &&mut Intent| {
        intent.state == IntentState::Intended && !(times.born..=times.now).contains(&intent.at)
    };
    pending
        .iter_mut()
        .filter(is_inherited)
        .for_each(|intent| make_ambiguous(intent, times.now, &times.clocks));
}

/// When an observation must have begun to be of use: after an intent is settled, where it is; a moment ago, while one
/// may still take effect; and never too long ago for a create. An observation of the current reconcile serves, unless
/// an intent was settled since.
#[must_use]
pub fn look_since(pending: &[Intent], times: &Times, limits: &Capabilities) -> Timestamp {
    let within = |age| times.now.saturating_sub(age).unwrap_or(Timestamp::MIN).min(times.turn_began);
    let counts_for = |intent: &Intent| {
        let settled_at = settles_at(intent, times, limits);
        if times.now >= settled_at { settled_at } else { within(SHARED) }
    };
    pending.iter().filter(|intent| intent.is_open()).map(counts_for).fold(within(FRESH), Timestamp::max)
}

/// Writes an intent into the journal, replacing an earlier attempt with the same key.
pub fn intend(pending: &mut Vec<Intent>, intent: Intent) {
    settle(pending, &intent.token);
    pending.push(intent);
}

/// True when an observation that began at `looked_at` and did not find the result of the intent proves that the request
/// took no effect.
#[must_use]
pub fn has_lapsed(intent: &Intent, looked_at: Timestamp, times: &Times, limits: &Capabilities) -> bool {
    intent.is_open() && looked_at >= settles_at(intent, times, limits)
}

/// A digest that distinguishes requests.
#[must_use]
pub fn digest(request: &impl Serialize) -> String {
    let body = serde_json::to_vec(request).unwrap_or_default();
    hex::encode(&Sha256::digest(body)[..8])
}

/// A new intent.
#[must_use]
pub fn intent(
    token: &str,
    operation: CreateOperation,
    stage: Option<String>,
    request: &impl Serialize,
    now: Timestamp,
) -> Intent {
    let digest = digest(request);
    let (token, state) = (token.to_owned(), IntentState::Intended);
    Intent {
        token,
        operation,
        stage,
        digest,
        at: now,
        state,
        cloud_at: None,
        uptime: None,
        likeness: None,
        package_id: None,
    }
}

/// The outcome is unknown since `ended`, when the request was given up. The wait counts from then, because a client may
/// have signed in or uploaded a file first.
pub fn doubt(pending: &mut [Intent], token: &str, ended: Timestamp, clocks: &Clocks) {
    let of_token = pending.iter_mut().filter(|intent| intent.token == token);
    of_token.for_each(|intent| make_ambiguous(intent, ended, clocks));
}

fn make_ambiguous(intent: &mut Intent, ended: Timestamp, clocks: &Clocks) {
    intent.state = IntentState::Ambiguous;
    intent.at = ended;
    intent.uptime = clocks.uptime(ended);
    intent.cloud_at = clocks.cloud.map(|cloud| cloud.latest);
}

/// Marks that no observation can settle the outcome any more.
pub fn lose(pending: &mut [Intent], token: &str) {
    for intent in pending.iter_mut().filter(|intent| intent.token == token) {
        intent.state = IntentState::Lost;
    }
}

/// Removes a settled intent from the journal.
pub fn settle(pending: &mut Vec<Intent>, token: &str) {
    pending.retain(|intent| intent.token != token);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Capabilities {
        Capabilities {
            cloud: crate::cloud::CloudKind::HuaweiIotda,
            creates_packages: true,
            uploads: crate::cloud::Uploads::Never,
            verifies: false,
            job_identity: crate::cloud::JobIdentity::Token,
            job_rows_lack: crate::cloud::RowsLack::Nothing,
            max_devices_per_question: 0,
            stops_jobs: true,
            stopped_jobs_hold: false,
            shows_devices: true,
            max_devices_per_job: 10,
            page_size: 10,
            device_pages: &[50],
            presence_page: 0,
            set_page: 50,
            lists_software: true,
            lists_jobs_by_package: false,
            shows_offline_after: Some(SignedDuration::ZERO),
            visibility_lag: SignedDuration::from_secs(30),
            request_deadline: SignedDuration::from_secs(60),
            package_deadline: SignedDuration::from_secs(60),
            requests_per_second: 1,
            burst: 1,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn times(born: i64, now: i64) -> Times {
        Times { born: at(born), turn_began: at(300), now: at(now), clocks: Clocks::STEADY }
    }

    #[test]
    fn an_intent_of_an_earlier_process_is_waited_for_anew_whatever_its_clock_said() {
        let cases = [
            ("the clock was set forward by a day meanwhile", 1_000, 90_000, 90_001, 90_090),
            ("it was set back by a day", 90_000, 1_000, 1_001, 1_090),
            ("nobody set it", 1_000, 1_010, 1_011, 1_100),
            ("it is of this process", 1_000, 500, 1_011, 1_090),
        ];
        for (name, written, born, now, settles) in cases {
            let intent = intent("t", CreateOperation::CreateJob, None, &"body", at(written));
            let times = times(born, now);
            assert_eq!(settles_at(&intent, &times, &limits()), at(settles), "{name}");
            let early = permit(&[intent], "t", at(settles - 1), &times, &limits());
            assert_ne!(early, Permit::Send, "{name}");
        }
    }

    #[test]
    fn the_create_of_a_package_is_waited_for_as_long_as_its_file_may_take() {
        let limits = Capabilities { package_deadline: SignedDuration::from_mins(30), ..limits() };
        let settles = |operation| {
            settles_at(&intent("t", operation, None, &"body", at(1_000)), &times(900, 1_001), &limits)
        };
        assert_eq!(settles(CreateOperation::CreatePackage), at(1_000 + 1_800 + 30));
        assert_eq!(settles(CreateOperation::CreateJob), at(1_000 + 60 + 30));
    }

    #[test]
    fn processes_that_live_shortly_settle_an_intent_together() {
        use crate::decide::clocks::Boot;
        // Each process lives for a second, a minute after the one before; the machine was booted at 0 by its clock,
        // which was set forward by a day before the fourth.
        let process = |n: i64| {
            let ahead = if n < 3 { 0 } else { 86_400 };
            let now = at(1_000 + 60 * n + ahead);
            let clocks = Clocks { steady_since: now, boot: Some(Boot { id: 7, at: at(ahead) }), cloud: None };
            Times { born: now, turn_began: now, now, clocks }
        };
        let mut pending = vec![intent("t", CreateOperation::CreateJob, None, &"body", at(970))];
        let permits = (0..4).map(|n| {
            let times = process(n);
            inherit(&mut pending, &times);
            permit(&pending, "t", times.now, &times, &limits())
        });
        let permits: Vec<bool> = permits.map(|permit| permit == Permit::Send).collect();
        assert_eq!(permits, [false, false, true, true], "90 s after the first process found it");
    }

    #[test]
    fn a_create_leaves_only_after_a_look_that_counts() {
        let attempt = intent("t", CreateOperation::CreateJob, None, &"body", at(0));
        let journal = [attempt];
        let cases: [(&str, &[Intent], i64, i64, Permit); 8] = [
            ("first attempt, fresh look", &[], 100, 105, Permit::Send),
            ("first attempt, stale look", &[], 100, 161, Permit::Look),
            ("first attempt, a look of this turn that took long", &[], 300, 900, Permit::Send),
            ("may still appear, just looked", &journal, 20, 21, Permit::Wait(at(30))),
            ("may still appear, looked a while ago", &journal, 20, 31, Permit::Look),
            ("the next look is never later than the settling", &journal, 85, 86, Permit::Wait(at(90))),
            ("settled, but the look was before", &journal, 89, 91, Permit::Look),
            ("settled, looked since, nothing there", &journal, 90, 95, Permit::Send),
        ];
        for (name, pending, looked, now, expected) in cases {
            let verdict = permit(pending, "t", at(looked), &times(0, now), &limits());
            assert_eq!(verdict, expected, "{name}");
        }
    }

    #[test]
    fn a_look_is_shared_by_all_whose_question_it_answers() {
        let of = |second| intent("t", CreateOperation::CreateJob, None, &"body", at(second));
        // The reconcile began at 300; intents settle 90 s after they were written.
        let cases: [(&str, &[Intent], i64, i64); 7] = [
            ("nothing in doubt: as old as a create may leave on", &[], 330, 270),
            ("nothing in doubt, a long turn: a look of this turn", &[], 900, 300),
            ("may still take effect: of a moment ago", &[of(280)], 302, 297),
            ("may still take effect, a long turn: of this turn", &[of(280)], 350, 300),
            ("settled: since then, though that is later than this turn", &[of(280)], 400, 370),
            ("settled long ago: a create could not leave on a look of then", &[of(10)], 330, 270),
            ("several: what serves the last", &[of(10), of(230), of(280)], 330, 320),
        ];
        for (name, pending, now, since) in cases {
            let times = times(0, now);
            let pending_since = look_since(pending, &times, &limits());
            assert_eq!(pending_since, at(since), "{name}");
        }
    }

    #[test]
    fn what_a_permit_asks_for_is_not_answered_by_the_look_that_it_refused() {
        let pending = [intent("t", CreateOperation::CreateJob, None, &"body", at(250))];
        let cases = (300..=500).flat_map(|now| (200..=now).map(move |looked| (now, looked)));
        for (journal, (now, looked)) in
            [&[][..], &pending].into_iter().flat_map(|j| cases.clone().map(move |c| (j, c)))
        {
            let times = times(0, now);
            if permit(journal, "t", at(looked), &times, &limits()) == Permit::Look {
                let since = look_since(journal, &times, &limits());
                assert!(at(looked) < since || looked >= 300, "looked at {looked}, now {now}");
                assert!(since <= at(now), "no look could serve");
            }
        }
    }

    #[test]
    fn a_new_attempt_replaces_the_old_intent_and_starts_its_clock_again() {
        let mut pending = vec![intent("t", CreateOperation::CreateJob, None, &"a", at(0))];
        intend(&mut pending, intent("t", CreateOperation::CreateJob, None, &"b", at(200)));
        assert_eq!(pending.len(), 1);
        assert_eq!(settles_at(&pending[0], &times(0, 1_000), &limits()), at(290));
        let lapsed = |at| has_lapsed(&pending[0], at, &times(0, 1_000), &limits());
        assert!(!lapsed(at(289)) && lapsed(at(290)));
        doubt(&mut pending, "t", at(320), &Clocks::STEADY);
        assert_eq!(pending[0].state, IntentState::Ambiguous);
        assert_eq!(
            settles_at(&pending[0], &times(0, 1_000), &limits()),
            at(410),
            "from the end of the call on"
        );
        settle(&mut pending, "t");
        assert!(pending.is_empty());
    }

    #[test]
    fn a_lost_call_never_leaves_again_and_never_lapses() {
        let mut pending = vec![intent("t", CreateOperation::CreateJob, None, &"a", at(0))];
        lose(&mut pending, "t");
        for looked in (0..2_000).step_by(10) {
            let times = times(0, 2_000);
            assert_eq!(permit(&pending, "t", at(looked), &times, &limits()), Permit::Wait(Timestamp::MAX));
            assert!(!has_lapsed(&pending[0], at(looked), &times, &limits()), "looked at {looked}");
        }
        let since = look_since(&pending, &times(0, 330), &limits());
        assert_eq!(since, look_since(&[], &times(0, 330), &limits()), "it asks for no look");
    }
}
