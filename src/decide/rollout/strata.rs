//! Records the strata of a stage when its devices are sent the package, and compares them when its sample is frozen.

use super::advance::Pass;
use super::responders;
use crate::api::{Reason, record_decision};
use crate::decide::Action;
use crate::decide::strata::{self, Division, properties};

impl Pass<'_, '_> {
    /// Notes the strata of the devices that the first of these jobs adds to the stage: it is the next one to be created.
    pub(super) fn note_strata(&mut self, index: usize, actions: &[Action]) {
        let context = self.context;
        let stage = &mut self.status.stages[index];
        if stage.jobs.is_empty() {
            let is_divided = !properties(&context.rollout.spec).is_empty();
            let eligible = &self.observed.population.eligible;
            stage.strata =
                is_divided.then(|| strata::begin(&context.rollout.spec, context.traits(), eligible));
        }
        let Some(record) = &mut stage.strata else { return };
        let jobs = actions.iter().filter_map(|action| match action {
            Action::CreateJob { job, .. } => Some(job),
            _ => None,
        });
        let Some(job) = jobs.take(1).next() else { return };
        let held = &self.observed.taken.stage_of;
        let joining: Vec<&str> =
            job.devices.iter().map(String::as_str).filter(|device| !held.contains_key(device)).collect();
        if !joining.is_empty() {
            let division = Division::begun(record, context.traits());
            record.sending = Some(strata::sending(&division, &job.token, &job.devices, &joining));
        }
    }

    /// Compares the strata of a stage whose sample was frozen now.
    pub(super) fn compare_strata(&mut self, index: usize) {
        let stage = &mut self.status.stages[index];
        stage.responders =
            stage.strata.as_ref().and_then(|strata| responders::compared(strata, self.context.now));
        let Some(found) = &stage.responders else { return };
        let texts = [responders::silence(found), responders::concentration(found)];
        let name = stage.name.clone();
        for text in texts.into_iter().flatten() {
            let message = format!("stage {name}: {text}");
            record_decision(&mut self.status.decisions, self.context.now, Reason::StrataDiffer, message);
        }
    }
}
