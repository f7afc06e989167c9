//! Observes what a decision needs: from the inventory where it is fresh enough, from the cloud otherwise.

mod devices;
pub(super) mod external_jobs;
mod jobs;
pub(super) mod observed;
mod package;
mod recognise;
mod rivals;
mod rollout;
mod sets_read;
mod stops;
mod surroundings;
mod uniqueness;
