//! How urgent the reconcile of an object is. Queue and budget go by it.

/// Why an object is reconciled, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A user changed the spec, or the object is new or being deleted.
    UserChange,
    /// A rollout may be able to advance.
    RolloutStep,
    /// A package is being verified.
    Verify,
    /// Nothing happened: spec and cloud are compared.
    Drift,
}

impl Priority {
    /// Every priority, most urgent first.
    pub const ALL: [Self; 4] = [Self::UserChange, Self::RolloutStep, Self::Verify, Self::Drift];
}
