//! The page of Events: every reason for which one is sent.

use rollwave::api::Reason;

const INTRODUCTION: &str = "# Events

<!-- Written by `make docs` from src/api/reason.rs: do not edit. -->

Events report changes of an object. They are computed from its status before and after a write, so an object whose status does not change has no new
Events. In a cluster they are `events.k8s.io/v1`; in a folder they are log lines with the same reasons.

```console
$ kubectl events --for otarollout/meter
```

Repeated Events with the same text within six minutes are one Event with a count. An object has at most 25 at once, and one more every five minutes.
Events may be late, and some may be dropped when a controller ends. The list of decisions in the status is complete for the last ten.

[Troubleshooting](../troubleshooting.md) has a section for each reason.

| reason | type | when |
|---|---|---|
";

/// The whole page.
pub fn page() -> String {
    let row = |reason: &Reason| {
        let kind = reason.event()?.as_str();
        let anchor = reason.as_str().to_lowercase();
        Some(format!("| [`{reason}`](../troubleshooting.md#{anchor}) | {kind} | {} |\n", reason.about()))
    };
    INTRODUCTION.to_owned() + &Reason::ALL.iter().filter_map(row).collect::<String>()
}

#[test]
fn reasons_of_events_have_a_row_and_others_have_none() {
    let page = page();
    assert!(page.contains("| [`StopRuleFired`](../troubleshooting.md#stoprulefired) | Warning |"));
    assert!(page.contains("| [`RunStarted`](../troubleshooting.md#runstarted) | Normal |"));
    assert!(!page.contains("[`Observing`]"), "no Event is sent for it");
}
