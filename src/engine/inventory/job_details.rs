//! What job rows lack on some clouds ([`RowsLack`]): it is read from the results of all devices of a job.

use super::jobs::Jobs;
use super::row::{Details, Row};
use crate::cloud::{CallError, DeviceOutcome, DeviceResult, ErrorClass, Job, PackageKind};
use crate::engine::caller::Caller;
use jiff::{SignedDuration, Timestamp};

/// How long a job of another object that cannot be read is skipped.
const UNREADABLE: SignedDuration = SignedDuration::from_mins(5);

impl Jobs {
    /// True when it is unknown which devices the job was created for.
    #[must_use]
    pub fn lacks_devices(&self, id: &str) -> bool {
        self.rows.get(id).is_some_and(Row::lacks_devices)
    }

    /// Jobs of a kind, of this object or of others, whose devices must be read because the rows of this cloud's jobs
    /// lack details; unless they were read at `not_before` or later, or can no longer change.
    #[must_use]
    pub fn without_details(
        &self,
        kind: PackageKind,
        is_ours: impl Fn(&Job) -> bool,
        not_before: Timestamp,
    ) -> Vec<String> {
        let of_kind = self.rows.iter().filter(|(_, row)| row.job.kind == kind);
        // Its own object reads it meanwhile.
        let is_left_alone = |job: &Job| {
            let tried = self.unreadable.get(&job.id).and_then(|at| at.checked_add(UNREADABLE).ok());
            !is_ours(job) && tried > Some(not_before)
        };
        of_kind
            .filter(|(_, row)| !is_left_alone(&row.job))
            .filter(|(_, row)| row.asks_for_details(self.rows_lack, is_ours(&row.job), not_before))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Records that the devices of another object's job could not be read.
    pub fn note_unreadable(&mut self, id: &str, at: Timestamp) {
        self.unreadable.insert(id.to_owned(), at);
    }

    /// The devices of a job that have not succeeded, where the results of all of them were read.
    #[must_use]
    pub fn unfinished_devices(&self, id: &str) -> Option<&[DeviceResult]> {
        self.rows.get(id)?.details.as_ref().map(|details| details.unfinished.as_slice())
    }

    /// Reads one page of the results of all devices of a job; true once all are read and the row is complete.
    ///
    /// # Errors
    /// The error of the call, except "not found" for a job that no longer exists.
    pub async fn read_details(
        &mut self,
        caller: &mut Caller<'_>,
        id: &str,
        not_before: Timestamp,
    ) -> Result<bool, CallError> {
        if let Some(error) = self.without_devices.error_of(id, caller.priority, caller.account.now()) {
            return Err(error);
        }
        let mut read = match self.turn_devices(caller, (id.to_owned(), None), not_before).await {
            Err(error) if error.class == ErrorClass::NotFound => {
                self.show(caller, id).await?;
                return if self.rows.contains_key(id) { Err(error) } else { Ok(true) };
            }
            Ok(None) => return Ok(false),
            Ok(Some(read)) => read,
            Err(error) => {
                self.without_devices.note(id.to_owned(), Some(&error), caller.account.now());
                return Err(error);
            }
        };
        self.without_devices.note(id.to_owned(), None, caller.account.now());
        let (lack, lag) = (self.rows_lack, caller.account.cloud().capabilities().visibility_lag);
        self.unreadable.remove(id);
        let stopped_at = self.get(id).and_then(|job| self.stopped_at(job));
        let Some(row) = self.rows.get_mut(id) else { return Ok(true) };
        let mut job = row.job.clone();
        job.state = row.stands.clone();
        let is_visible = row.is_visible(stopped_at, lag, read.at);
        job.fill_in(lack, &mut read.rows, is_visible);
        if job != row.job {
            (row.job, row.changed_at) = (job, read.at);
        }
        read.rows.retain(|result| result.outcome != DeviceOutcome::Succeeded);
        row.details = Some(Details { at: read.at, stood: row.stands.clone(), unfinished: read.rows });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::jobs::keep_one_row_each;
    use super::*;
    use crate::api::{Kind, Object, ObjectKey, RolloutPhase};
    use crate::cloud::{JobCounts, JobState, RowsLack};
    use crate::engine::testing::{Bench, WORLD, cloud, package, rollout};
    use crate::simulator::world::DeviceSpec;
    use serde_json::json;
    use std::collections::{BTreeMap, BTreeSet};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn row(stands: &JobState, state: &JobState, devices: &[&str], read: Option<(i64, JobState)>) -> Row {
        let job = Job {
            id: "j".into(),
            token: Some("t".into()),
            title: String::new(),
            kind: PackageKind::Firmware,
            module: None,
            package_ids: vec![],
            devices: devices.iter().map(|id| (*id).to_owned()).collect(),
            delivery: None,
            state: state.clone(),
            counts: JobCounts::default(),
            created_at: None,
        };
        let details = read.map(|(second, stood)| Details { at: at(second), stood, unfinished: vec![] });
        Row { job, stands: stands.clone(), seen_at: at(100), changed_at: at(95), details, is_unlisted: false }
    }

    /// A job is stopped, a list that lags shows it running, and then it is stopped again.
    #[test]
    fn devices_are_read_again_after_a_job_was_seen_in_another_state() {
        use JobState::{Running, Stopped, Stopping};
        let mut jobs = Jobs::default();
        jobs.rows_lack = RowsLack::Progress;
        jobs.rows.insert("j".to_owned(), row(&Stopped, &Stopping, &["d"], Some((99, Stopped))));
        let asked = |jobs: &Jobs| jobs.without_details(PackageKind::Firmware, |_| true, at(90));
        assert_eq!(asked(&jobs), [""; 0]);
        for (second, state) in [(100, Running), (101, Stopped)] {
            jobs.add(row(&state, &state, &["d"], None).job, at(second));
        }
        assert_eq!(asked(&jobs), ["j"]);
    }

    #[test]
    fn devices_are_asked_when_a_row_lacks_what_they_tell_and_it_is_not_known_or_old() {
        use JobState::{PartlyFailed, Running, Stopped, Succeeded};
        use RowsLack::{Devices, Nothing, Progress};
        let d: &[&str] = &["d"];
        // The row, the state of the details, devices, details; whether ours and others' are read.
        let cases = [
            ("rows tell all", Nothing, row(&Running, &Running, &[], None), [false, false]),
            ("of unknown devices", Devices, row(&Running, &Running, &[], None), [true, true]),
            ("ended, of unknown devices", Devices, row(&Succeeded, &Succeeded, &[], None), [true, true]),
            ("just created", Devices, row(&Running, &Running, d, None), [false, false]),
            ("ended since created", Devices, row(&Succeeded, &Succeeded, d, None), [true, false]),
            ("just read", Devices, row(&Running, &Running, d, Some((90, Running))), [false, false]),
            ("read long ago", Devices, row(&Running, &Running, d, Some((89, Running))), [true, false]),
            ("ended since", Devices, row(&Succeeded, &Succeeded, d, Some((99, Running))), [true, false]),
            ("ended", Devices, row(&Succeeded, &PartlyFailed, d, Some((9, Succeeded))), [false, false]),
            ("never read", Progress, row(&Running, &Running, d, None), [true, true]),
            ("read", Progress, row(&Running, &Running, d, Some((90, Running))), [false, false]),
            ("read long ago", Progress, row(&Running, &Running, d, Some((89, Running))), [true, true]),
            ("done", Progress, row(&Running, &PartlyFailed, d, Some((9, Running))), [false, false]),
            ("stopped, never read", Progress, row(&Stopped, &Stopped, d, None), [true, false]),
            // What waited then may have begun before it was stopped.
            ("stopped since", Progress, row(&Stopped, &Stopped, d, Some((99, Running))), [true, true]),
            ("stopped", Progress, row(&Stopped, &Stopped, d, Some((9, Stopped))), [false, false]),
        ];
        for (name, lack, mut row, expected) in cases {
            let asks = |row: &Row, is_ours| row.asks_for_details(lack, is_ours, at(90));
            assert_eq!([asks(&row, true), asks(&row, false)], expected, "{lack:?}: {name}");
            row.job.token = None;
            assert!(!asks(&row, false), "{lack:?}: {name}: of somebody else");
        }
    }

    #[test]
    fn a_process_goes_on_with_the_wait_for_a_job_that_one_before_it_saw_stopped() {
        use JobState::Stopped;
        let row = row(&Stopped, &Stopped, &["d"], None);
        let lag = SignedDuration::from_secs(30);
        for (stopped_at, read_at, expected) in [
            (None, 124, false),
            (None, 125, true),
            (Some(at(60)), 89, false),
            (Some(at(60)), 96, true),
            (Some(at(110)), 124, false),
            (Some(Timestamp::MIN), 96, true),
        ] {
            assert_eq!(row.is_visible(stopped_at, lag, at(read_at)), expected, "{stopped_at:?} {read_at}");
        }
    }

    /// Otherwise processes that live shorter than lists lag never see such a job end.
    #[test]
    fn a_stopped_job_that_no_status_names_was_stopped_before_this_process_began() {
        let mut jobs = Jobs::default();
        jobs.note_stops(BTreeMap::new(), BTreeSet::from(["named".to_owned()]));
        jobs.expect("created");
        let job = |id: &str, token: Option<&str>, state| {
            let row = row(&state, &state, &["d"], None);
            Job { id: id.into(), token: token.map(str::to_owned), ..row.job }
        };
        jobs.add(job("seen", Some("t"), JobState::Running), at(90));
        for (id, token, is_forgotten) in [
            ("forgotten", Some("t"), true),
            ("named", Some("t"), false),
            ("seen", Some("t"), false),
            ("just created", Some("created"), false),
            ("external", None, false),
        ] {
            let stopped = job(id, token, JobState::Stopped);
            jobs.add(stopped.clone(), at(100));
            let expected = is_forgotten.then_some(Timestamp::MIN);
            assert_eq!(jobs.stopped_at(&stopped), expected, "{id}");
        }
    }

    #[test]
    fn a_device_whose_row_shows_on_two_pages_is_counted_once_as_it_was_read_last() {
        use DeviceOutcome::{InFlight, Queued, Succeeded};
        let row = |device: &str, outcome| DeviceResult { device: device.into(), outcome, reason: None };
        let mut rows = vec![row("a", Succeeded), row("b", Queued), row("a", Succeeded), row("b", InFlight)];
        keep_one_row_each(&mut rows);
        assert_eq!(rows, [row("a", Succeeded), row("b", InFlight)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_is_registered_again_under_its_id_is_counted_and_sent() {
        let bench = Bench::new(WORLD);
        let mut site = bench.site();
        site.apply(&[cloud("lab", "a"), package("v2", "lab", "V2"), rollout("release", "v2", 5)].concat())
            .await;
        site.until("the canary is sent", |_| bench.tasks().len() == 1).await;
        let again = bench.tasks()[0].targets.values().flatten().next().cloned().unwrap();
        let spec = json!({"id": again, "product": "meter", "firmware": "V1"});
        let spec: DeviceSpec = serde_json::from_value(spec).unwrap();
        bench.cloud(|cloud, now| {
            assert!(cloud.remove_device(&again, now));
            cloud.add_devices(&spec, now).unwrap();
        });
        let release = ObjectKey::new(Kind::OtaRollout, "default", "release");
        let is_completed = |object: &Object| {
            let Object::Rollout(rollout) = object else { return false };
            rollout.status.as_ref().is_some_and(|status| status.phase == RolloutPhase::Completed)
        };
        site.until("it completes", |store| store.get(&release).is_some_and(|object| is_completed(&object)))
            .await;
        let (_, said) = site.said(&release);
        insta::assert_snapshot!(said, @"30 of 30 devices run V2, 0 failed; 0 already ran it");
        let sent = bench.tasks().into_iter().flat_map(|task| task.targets.into_values().flatten());
        assert_eq!(sent.filter(|id| *id == again).count(), 2);
        assert_eq!(bench.versions("m-").get("V2"), Some(&30));
    }
}
