//! A plan for people: long lists are shortened, nothing else is.

use super::json::body;
use crate::cli::get::aligned;
use crate::cli::printer::{BAD, BUSY, DIM, GOOD, STRONG, WARN, paint};
use crate::cloud::{CallClass, WireRequest};
use crate::engine::survey::{Forecast, Order, Survey, Surveyed};
use crate::plan::preview::{End, PreviewStage};
use serde_json::Value;

/// Items of a long list that are shown.
const SHOWN: usize = 3;

/// The plan as text, with styles.
pub(super) fn render(survey: &Survey) -> String {
    let mut blocks: Vec<String> = survey.objects.iter().map(object).collect();
    blocks.push(summary(survey));
    blocks.join("\n\n") + "\n"
}

fn object(surveyed: &Surveyed) -> String {
    let name = paint(STRONG, &surveyed.key);
    match &surveyed.forecast {
        Ok(forecast) => {
            let mut lines = vec![format!("{name}  {}", outcome(forecast))];
            lines.extend(details(forecast).into_iter().map(|line| format!("  {line}").trim_end().to_owned()));
            lines.join("\n")
        }
        Err(error) => format!("{name}  {}", paint(BAD, error)),
    }
}

fn outcome(forecast: &Forecast) -> String {
    match (&forecast.end, forecast.orders.is_empty()) {
        (End::Converged, true) => paint(GOOD, "nothing to do"),
        (End::Converged, false) => paint(BUSY, "will converge, if every device succeeds"),
        (End::Released, _) => paint(WARN, "will be let go: its manifest is gone"),
        (End::Held(reason), _) => paint(WARN, format!("will be held: {reason}")),
    }
}

fn details(forecast: &Forecast) -> Vec<String> {
    let mut lines = stages(&forecast.stages);
    for order in &forecast.orders {
        lines.extend(order_lines(order));
    }
    lines.extend(forecast.warnings.iter().map(|text| format!("{} {text}", paint(WARN, "warning:"))));
    lines.extend(
        forecast.irreversible.iter().map(|text| format!("{} {text}", paint(BAD, "cannot be undone:"))),
    );
    if !forecast.orders.is_empty() && !forecast.watching.is_empty() {
        let looks = forecast
            .watching
            .iter()
            .map(|look| format!("{} {} = {}", look.operation, look.calls, look.formula));
        lines
            .push(paint(DIM, format!("one look while it goes on: {}", looks.collect::<Vec<_>>().join(", "))));
    }
    lines
}

fn stages(stages: &[PreviewStage]) -> Vec<String> {
    if stages.is_empty() {
        return Vec::new();
    }
    let rows: Vec<Vec<String>> = stages
        .iter()
        .map(|stage| {
            let (devices, dispatched) = (stage.devices.to_string(), stage.dispatched.to_string());
            let examples =
                shortened(&stage.examples, stage.devices.saturating_sub(stage.dispatched) as usize);
            vec![stage.name.clone(), devices, dispatched, stage.soak.clone(), examples]
        })
        .collect();
    let table = aligned(&["STAGE", "DEVICES", "THERE ALREADY", "SOAK", "FIRST DEVICES"], &rows);
    table.lines().map(str::to_owned).collect()
}

fn shortened(examples: &[String], all: usize) -> String {
    let shown = examples.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all > SHOWN { format!("{shown}, …") } else { shown }
}

fn order_lines(order: &Order) -> Vec<String> {
    let (sign, style) = match order.call.as_ref().map(crate::cloud::Call::class) {
        Some(CallClass::CreateOnce) => ("+", GOOD),
        Some(CallClass::Idempotent) => ("-", BAD),
        _ => ("~", WARN),
    };
    let title = format!("{} {}  {}", paint(style, sign), order.operation(), paint(DIM, &order.when));
    let requests = order.requests.iter().flat_map(request_lines);
    std::iter::once(title).chain(requests.map(|line| format!("    {line}"))).collect()
}

fn request_lines(request: &WireRequest) -> Vec<String> {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let mut lines = vec![format!("{} {}{query}", request.method, request.path)];
    let body = abridged(body(request));
    if !body.is_null() {
        lines.extend(format!("{body:#}").lines().map(str::to_owned));
    }
    lines
}

/// Lists of more than a few items end in how many more there are.
fn abridged(value: Value) -> Value {
    match value {
        Value::Array(mut items) if items.len() > SHOWN + 1 => {
            let more = items.len() - SHOWN;
            items.truncate(SHOWN);
            items.push(Value::String(format!("… and {more} more")));
            Value::Array(items)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(abridged).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (name, abridged(value))).collect())
        }
        other => other,
    }
}

fn summary(survey: &Survey) -> String {
    let orders = survey.orders_by_operation();
    let list = |counts: Vec<String>| if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
    let ordered = list(orders.iter().map(|(operation, count)| format!("{operation} {count}")).collect());
    let made: u64 = survey.calls.values().sum();
    let mut lines = vec![
        format!("{} {ordered}", paint(STRONG, "Orders:")),
        paint(DIM, format!("{made} read calls were made for this plan")),
    ];
    for (account, budget) in &survey.budgets {
        let (rate, burst) = (budget.requests_per_second, budget.burst);
        lines.push(paint(DIM, format!("{account}: budget {rate} calls a second, {burst} at once")));
    }
    lines.join("\n")
}
