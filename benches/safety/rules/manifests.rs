//! The manifests that Rollwave runs with; tests compare them with the pages that show them.

/// A canary of 60 devices, half of the fleet, the rest: too small a canary, as many would write it.
pub const SMALL_CANARY: &str = "
stages:
- name: canary
  select: {count: 60}
  soak: 30m
  gates: [{name: proven, outcome: {minSuccess: 90%, minSample: 50}}]
- name: half
  select: {percent: 50%}
  soak: 30m
  gates: [{name: proven, outcome: {method: Ratio, minSuccess: 95%}}]
- name: rest
  select: {rest: true}
stop:
- {name: failures, method: EProcess, maxFailure: 5%}
";

/// The manifest of `README.md`.
pub const README: &str = "
stages:
- name: canary
  select: {count: 130}
  soak: 30m
  gates: [{name: proven, outcome: {minSuccess: 90%}}]
- name: half
  select: {percent: 50%}
  soak: 30m
  gates: [{name: proven, outcome: {method: Ratio, minSuccess: 95%}}]
- name: rest
  select: {rest: true}
stop:
- {name: failures, method: EProcess, maxFailure: 5%, action: Pause}
";

/// The default stages for 1,500 devices or more. The page of the table shows them.
pub const DEFAULT: &str = "
stages:
- name: probe
  select: {count: 25}
  soak: 30m
  gates: [{name: default, outcome: {minSuccess: 70%}}]
- name: canary
  select: {count: 130}
  soak: 24h
  gates: [{name: default, outcome: {minSuccess: 90%}}]
- name: tenth
  select: {percent: 10%}
  soak: 24h
- name: rest
  select: {rest: true}
stop:
- {name: failures, method: EProcess, maxFailure: 5%}
- {name: control, method: Control}
";

/// The default stages with shorter soaks, without a control group.
pub fn short_soaks() -> String {
    DEFAULT.replace("24h", "30m").replace("- {name: control, method: Control}\n", "")
}

/// A rollout that states no stages and no rules.
pub const SHORTEST: &str = "";
