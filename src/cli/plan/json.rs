//! A plan for programs. The form is described in docs/reference/output.md, and changes only by additions.

use crate::api::{ObjectKey, StageStrata, StratumCount};
use crate::cloud::WireRequest;
use crate::decide::preview::{End, Risk};
use crate::engine::admission::Wanted;
use crate::engine::dry_run::{DryRun, Forecast, Load, Order, Surveyed};
use serde_json::{Value, json};

/// The plan as one JSON document.
pub(super) fn render(survey: &DryRun, wanted: &Wanted) -> String {
    let objects: Vec<Value> = survey.objects.iter().map(object).collect();
    let budgets: Vec<Value> = survey.loads().into_iter().map(budget).collect();
    let document = json!({
        "changes": survey.has_orders(),
        "objects": objects,
        "orders": survey.orders_by_operation(),
        "devices": survey.devices(),
        "soakSeconds": survey.soaks().as_secs(),
        "callsMade": survey.calls,
        "budgets": budgets,
        "withheld": wanted.withheld.as_ref().map(|withheld| names(&withheld.keys)).unwrap_or_default(),
        "elsewhere": names(&wanted.elsewhere),
    });
    format!("{document:#}")
}

fn names(keys: &[ObjectKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

fn budget((account, load): (&ObjectKey, Load)) -> Value {
    json!({
        "account": account.to_string(),
        "budget": load.budget,
        "orderCalls": load.order_calls,
        "callsPerLook": load.calls_per_look,
        "lookEverySeconds": load.look_every.as_secs(),
    })
}

fn object(surveyed: &Surveyed) -> Value {
    let key = &surveyed.key;
    let mut value = match &surveyed.forecast {
        Ok(forecast) => expected(forecast),
        Err(error) => json!({"error": {"class": error.class.as_str(), "message": error.to_string()}}),
    };
    value["account"] = json!(surveyed.account.to_string());
    value["kind"] = json!(key.kind);
    value["namespace"] = json!(key.namespace);
    value["name"] = json!(key.name);
    value
}

fn strata(strata: &StageStrata) -> Vec<Value> {
    let row =
        |row: &StratumCount| json!({"name": row.name, "devices": row.devices, "available": row.available});
    strata.counts.iter().map(row).collect()
}

fn expected(forecast: &Forecast) -> Value {
    let (end, reason) = match &forecast.end {
        End::Converged => ("converged", None),
        End::Released => ("released", None),
        End::Held(reason) => ("held", Some(reason)),
    };
    let stages = forecast.stages.iter().map(|stage| {
        json!({"name": stage.name, "devices": stage.devices, "dispatched": stage.dispatched, "soak": stage.soak,
               "examples": stage.examples, "strata": strata(&stage.strata)})
    });
    let watching = forecast.watching.iter().map(|(_, estimate)| {
        json!({"operation": estimate.operation, "calls": estimate.calls, "formula": estimate.formula})
    });
    json!({
        "end": end,
        "reason": reason,
        "orders": forecast.orders.iter().map(order).collect::<Vec<_>>(),
        "stages": stages.collect::<Vec<_>>(),
        "soakSeconds": forecast.soaks.as_secs(),
        "risk": forecast.risk.as_ref().map(risk),
        "warnings": forecast.warnings,
        "irreversible": forecast.irreversible,
        "watching": watching.collect::<Vec<_>>(),
    })
}

fn risk(risk: &Risk) -> Value {
    let builds = risk.builds.iter().map(|build| {
        let ends = build.ends_at.iter().map(|(stage, chance)| json!({"stage": stage, "chance": chance}));
        json!({"failsOnPercent": build.fails_on, "goesThrough": build.goes_through, "reachedOneByOne": build.reached[0],
               "reachedAtOnce": build.reached[1], "endsAt": ends.collect::<Vec<_>>()})
    });
    let gates = risk.gates.iter().map(|gate| {
        json!({"stage": gate.stage, "gate": gate.required.gate, "devices": gate.devices,
               "minSuccess": gate.required.goal, "chosenForItsSize": gate.required.is_default,
               "allowedFailures": gate.allowed, "holdsGoodBuild": gate.holds_good[0],
               "holdsGoodBuildIfFewBegin": gate.holds_good[1], "passesBadBuild": gate.passes_bad})
    });
    let comparisons = risk.comparisons.iter().map(|compared| {
        json!({"rule": compared.rule, "stage": compared.stage, "upgraded": compared.upgraded, "control": compared.control,
               "offlineShare": compared.offline, "seesPercentagePoints": compared.sees})
    });
    let healthy = risk.healthy.iter().map(|gate| {
        json!({"stage": gate.stage, "gate": gate.gate, "upgraded": gate.upgraded, "control": gate.control,
               "offlineShare": gate.offline, "margin": gate.margin, "passesUnchangedBuild": gate.passes_equal})
    });
    json!({"builds": builds.collect::<Vec<_>>(), "gates": gates.collect::<Vec<_>>(),
           "controlGates": healthy.collect::<Vec<_>>(), "comparisons": comparisons.collect::<Vec<_>>()})
}

fn order(order: &Order) -> Value {
    json!({
        "when": order.when,
        "operation": order.operation(),
        "requests": order.requests.iter().map(request).collect::<Vec<_>>(),
    })
}

fn request(request: &WireRequest) -> Value {
    json!({"method": request.method, "origin": request.origin, "path": request.path, "query": request.query,
           "body": body_of(request)})
}

/// The body as JSON; null when there is none.
pub(super) fn body_of(request: &WireRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap_or(Value::Null)
}
