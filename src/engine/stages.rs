//! What the stages of a reconcile hand on: load ▸ observe ▸ decide ▸ act ▸ report.

use super::basis::Basis;
use super::priority::Priority;
use crate::decide::{Plan, Requeue};
use jiff::Timestamp;

/// A decision about an object, and its basis.
pub(super) struct Decided<S> {
    pub(super) plan: Plan<S>,
    pub(super) basis: Basis,
}

/// What carrying out a plan led to.
pub(super) enum Acted {
    /// A create needs a fresh observation before it may be sent.
    ObserveFirst,
    /// Something was done: decide again with the new facts.
    DecideAgain,
    /// The object was deleted.
    Released,
    /// Nothing more to do now.
    Settled(Requeue),
}

/// The result of a reconcile.
pub(super) struct Reconciled {
    /// The status changed.
    pub(super) changed: bool,
    /// When the object is reconciled next, and how urgently.
    pub(super) requeue: Option<(Priority, Timestamp)>,
}

impl Reconciled {
    pub(super) const fn over(changed: bool) -> Self {
        Self { changed, requeue: None }
    }
}
