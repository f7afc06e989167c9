//! Law (d): a failure that was observed counts in each later verdict of its run, whatever becomes of its device or its job,
//! unless the device came to run the version, or another attempt was asked for.

use super::truth::Truth;
use crate::checkers::Sent;
use crate::checkers::creates::run_key;
use jiff::Timestamp;
use rollwave::api::{Evidence, OtaRollout, OtaRolloutStatus, StageStatus};
use std::collections::BTreeMap;

/// What statuses have said.
#[derive(Default)]
pub(super) struct Failures {
    /// The most failures that were ever durable, by stage.
    known: BTreeMap<Sent, u32>,
    /// When each verdict was taken that was looked at: by run and rule; for a gate by its stage, too.
    judged: BTreeMap<(Sent, String), Timestamp>,
}

impl Failures {
    /// What was known is lost.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.judged.clear();
    }

    /// A status is durable, or is about to be.
    pub(super) fn status_is(
        &mut self,
        rollout: &OtaRollout,
        truth: &mut Truth,
        now: Timestamp,
    ) -> Result<(), String> {
        let (Some(status), Some(uid)) = (&rollout.status, &rollout.metadata.uid) else { return Ok(()) };
        let sents = sents(uid, status);
        self.notice_retries(&sents, status, truth, now);
        let mut law = self.stop_rule(&sents, status, truth);
        for (sent, stage) in sents.iter().zip(&status.stages) {
            let known = self.counted(sent, truth);
            // One counts devices that are offline, the other one those that failed since the last batch.
            let counts_all =
                |evidence: &&Evidence| evidence.method != "Newcombe" && evidence.rule != "batch.maxFailures";
            for evidence in stage.gates.iter().filter(counts_all) {
                law = law.and(self.judge(sent, evidence, known));
            }
        }
        for (sent, stage) in sents.into_iter().zip(&status.stages) {
            // A device that never came online counts as failed until its reason was read: that is no failure that was observed.
            let unread = truth.never_began(&sent).saturating_sub(stage.counts.never_began);
            let known = self.known.entry(sent).or_default();
            // Who is overdue is judged by the limits of the spec, and judged again when they are edited.
            let told = stage.counts.failures().saturating_sub(stage.counts.overdue);
            *known = told.saturating_sub(unread).max(*known);
        }
        law
    }

    /// What has failed in a stage is tried again: as long as its jobs say so. A request that was refused changes nothing.
    fn notice_retries(
        &mut self,
        sents: &[Sent],
        status: &OtaRolloutStatus,
        truth: &mut Truth,
        now: Timestamp,
    ) {
        let tried = |stage: &StageStatus| stage.jobs.iter().any(|job| job.retry_ordered);
        for (sent, _) in sents.iter().zip(&status.stages).filter(|(_, stage)| tried(stage)) {
            self.known.remove(sent);
            truth.forgive(sent, now);
        }
    }

    fn stop_rule(&mut self, sents: &[Sent], status: &OtaRolloutStatus, truth: &Truth) -> Result<(), String> {
        let (Some(evidence), Some(first)) = (&status.stopped_by, sents.first()) else { return Ok(()) };
        if evidence.method == "Control" {
            // It counts devices that are offline.
            return Ok(());
        }
        let known = sents.iter().map(|sent| self.counted(sent, truth)).sum();
        self.judge(&Sent { stage: None, ..first.clone() }, evidence, known)
    }

    /// Failures of a stage that were observed, less the devices that came to run the version since.
    fn counted(&self, sent: &Sent, truth: &Truth) -> u32 {
        let known = self.known.get(sent).copied().unwrap_or(0);
        // A list may have shown devices late, so that they counted as failed for a moment, and they run the version.
        known.saturating_sub(truth.recovered(sent)).min(truth.not_running(sent))
    }

    fn judge(&mut self, sent: &Sent, evidence: &Evidence, known: u32) -> Result<(), String> {
        let before = self.judged.insert((sent.clone(), evidence.rule.clone()), evidence.at);
        if before == Some(evidence.at) || evidence.failures >= known {
            return Ok(());
        }
        let (rule, counted) = (&evidence.rule, evidence.failures);
        let of = sent.stage.as_deref().unwrap_or("all stages");
        Err(format!(
            "{rule} of {of} counts {counted} failures, and {known} were observed before: {}",
            evidence.message
        ))
    }
}

/// What each stage of a status was sent as.
fn sents(uid: &str, status: &OtaRolloutStatus) -> Vec<Sent> {
    let package = run_key(status);
    let stages = status.stages.iter();
    stages
        .map(|stage| Sent { uid: uid.to_owned(), package: package.clone(), stage: Some(stage.name.clone()) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rollout(failed: u32, gate: Option<(u32, &str)>, retried: Option<&str>) -> OtaRollout {
        let job = retried.map(
            |_| json!({"token": "t", "id": "j", "devices": 9, "state": "Running", "retryOrdered": true}),
        );
        let jobs: Vec<Value> = job.into_iter().collect();
        let evidence = |(failures, at): (u32, &str)| {
            json!([{"rule": "proven", "method": "Ratio", "verdict": "Inconclusive", "sample": 9,
                "failures": failures, "assigned": 9, "value": 0.0, "threshold": 0.9, "message": "m", "at": at}])
        };
        let counts = json!({"assigned": 9, "queued": 0, "inFlight": 0, "succeeded": 0, "failed": failed,
            "timedOut": 0, "reverted": 0});
        let gates = gate.map_or(json!([]), evidence);
        let stage =
            json!({"name": "canary", "phase": "Running", "counts": counts, "gates": gates, "jobs": jobs});
        let mut status = json!({"packageIdentity": "i", "stages": [stage]});
        status["lastHandledRetryAt"] = retried.map_or(Value::Null, Value::from);
        let spec = json!({"packageRef": {"name": "p"}, "targets": {"all": true}, "stages": []});
        serde_json::from_value(json!({"metadata": {"name": "r", "uid": "u"}, "spec": spec, "status": status}))
            .unwrap()
    }

    #[test]
    fn what_was_observed_counts_in_every_later_verdict_until_it_is_tried_again() {
        let (first, second) = ("2026-01-05T00:00:01Z", "2026-01-05T00:00:02Z");
        let course = |statuses: &[OtaRollout]| {
            let (mut failures, mut truth) = (Failures::default(), Truth::default());
            statuses
                .iter()
                .try_for_each(|status| failures.status_is(status, &mut truth, Timestamp::UNIX_EPOCH))
        };
        let observed = || rollout(3, Some((3, first)), None);
        assert!(course(&[observed(), rollout(3, Some((3, second)), None)]).is_ok());
        let forgotten = course(&[observed(), rollout(1, Some((1, second)), None)]);
        assert!(forgotten.unwrap_err().contains("counts 1 failures, and 3 were observed before"));
        assert!(course(&[observed(), rollout(1, Some((3, first)), None)]).is_ok(), "an old verdict stands");
        let retried = rollout(1, Some((1, second)), Some("2026-01-05T00:00:02Z"));
        assert!(course(&[observed(), retried]).is_ok(), "another attempt was asked for");
        let mut refused = rollout(1, Some((1, second)), None);
        refused.status.as_mut().unwrap().last_handled_retry_at = Some(second.to_owned());
        assert!(course(&[observed(), refused]).is_err(), "it was refused");
    }
}
