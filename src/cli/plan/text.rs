//! A plan as text: long lists are shortened, nothing else is.

use super::body;
use super::json::body_of;
use crate::api::{ObjectKey, StratumCount, counted};
use crate::cli::get::aligned;
use crate::cli::printer::{BAD, BUSY, DIM, GOOD, STRONG, WARN, paint};
use crate::cloud::{CallClass, WireRequest};
use crate::decide::preview::{Comparison, End, GateRisk, Healthy, PreviewStage, Risk, percent};
use crate::decide::rollout::gates::control::points;
use crate::engine::dry_run::{DryRun, Forecast, Load, Order, Surveyed};

/// The plan as text, with styles.
pub(super) fn render(survey: &DryRun) -> String {
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
        (End::Converged, false) => paint(BUSY, "will converge if every device succeeds"),
        (End::Released, _) => paint(WARN, "will be deleted: its manifest was removed"),
        (End::Held(reason), _) => paint(WARN, format!("will be held: {reason}")),
    }
}

fn details(forecast: &Forecast) -> Vec<String> {
    let mut lines = stages(&forecast.stages);
    lines.extend(forecast.risk.iter().flat_map(risk));
    for order in &forecast.orders {
        lines.extend(order_lines(order));
    }
    lines.extend(forecast.warnings.iter().map(|text| format!("{} {text}", paint(WARN, "warning:"))));
    lines.extend(
        forecast.irreversible.iter().map(|text| format!("{} {text}", paint(BAD, "cannot be undone:"))),
    );
    if !forecast.orders.is_empty() && forecast.end != End::Released {
        let looks = forecast.watching.iter();
        lines.extend(looks.map(|(_, look)| {
            paint(DIM, format!("one poll: {} {} = {}", look.operation, calls(look.calls), look.formula))
        }));
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
    let table = aligned(&["STAGE", "DEVICES", "DISPATCHED", "SOAK", "FIRST DEVICES"], &rows);
    table.lines().map(str::to_owned).chain(stages.iter().filter_map(strata)).collect()
}

fn strata(stage: &PreviewStage) -> Option<String> {
    let strata = &stage.strata;
    let row = |row: &StratumCount| format!("{} {} of {}", row.name, row.devices, row.available);
    let rows: Vec<String> = strata.counts.iter().map(row).collect();
    let by = strata.by.join(", ");
    (!rows.is_empty()).then(|| format!("strata of {} by {by}: {}", stage.name, rows.join(", ")))
}

/// Failure rates of builds that are shown, in percent; the JSON form has more.
const SHOWN_RATES: [u32; 2] = [2, 10];

fn risk(risk: &Risk) -> Vec<String> {
    let builds = risk.builds.iter().filter(|build| SHOWN_RATES.contains(&build.fails_on)).map(|build| {
        let [low, high] = build.reached.map(|devices| format!("{devices:.0}"));
        let reached = if low == high { low } else { format!("{low} to {high}") };
        let ends: Vec<String> =
            build.ends_at.iter().map(|(stage, chance)| format!("{stage} {}", percent(*chance))).collect();
        let fails_on = format!("a build that fails on {} %", build.fails_on);
        vec![fails_on, percent(build.goes_through), reached, ends.join(", ")]
    });
    let rows: Vec<Vec<String>> = builds.collect();
    let table = aligned(&["RISK", "GOES THROUGH", "DEVICES REACHED", "HELD OR STOPPED AT"], &rows);
    table
        .lines()
        .map(str::to_owned)
        .chain(risk.gates.iter().map(gate))
        .chain(risk.healthy.iter().map(healthy))
        .chain(risk.comparisons.iter().map(comparison))
        .collect()
}

fn gate(gate: &GateRisk) -> String {
    let [all, few] = gate.holds_good.map(percent);
    let allowed = match gate.allowed {
        0 => "no failure".to_owned(),
        some => counted(some, "failure"),
    };
    let required = &gate.required;
    let chosen = if required.is_default { ", chosen for its size" } else { "" };
    format!(
        "gate {} of {} needs {}{chosen}: {} may have {allowed}; holds a good build (2 %) in {all}, in {few} if only {} begin; passes a bad one (10 %) in {}",
        required.gate,
        gate.stage,
        required.goal.text(),
        counted(gate.devices, "device"),
        required.min_observed.text(),
        percent(gate.passes_bad)
    )
}

fn comparison(compared: &Comparison) -> String {
    let sees = compared.sees.map_or_else(
        || "too few to see a difference in 80 % of the rollouts".to_owned(),
        |points| format!("sees {points} percentage points more of them offline in 80 % of the rollouts"),
    );
    format!(
        "stop rule {} in {} compares {} with {} others, of which {} are offline now: {sees}",
        compared.rule,
        compared.stage,
        counted(compared.upgraded, "upgraded device"),
        compared.control,
        percent(compared.offline)
    )
}

fn healthy(gate: &Healthy) -> String {
    format!(
        "gate {} of {} accepts {} percentage points more offline among {} than among {} others, of which {} are offline now: passes a build that changes nothing in {}",
        gate.gate,
        gate.stage,
        points(gate.margin),
        counted(gate.upgraded, "upgraded device"),
        gate.control,
        percent(gate.offline),
        percent(gate.passes_equal)
    )
}

fn shortened(examples: &[String], all: usize) -> String {
    let shown = examples.iter().take(body::SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all > body::SHOWN { format!("{shown}, …") } else { shown }
}

fn order_lines(order: &Order) -> Vec<String> {
    let (sign, style) = match order.call.as_ref().map(crate::cloud::Call::class) {
        Some(CallClass::CreateOnce) => ("+", GOOD),
        Some(CallClass::Idempotent) => ("-", BAD),
        _ => ("~", WARN),
    };
    let devices = match order.devices().len() {
        0 => String::new(),
        some => format!(" for {}", counted(some, "device")),
    };
    let title = format!("{} {}{devices}, {}", paint(style, sign), order.operation(), paint(DIM, &order.when));
    let requests = order.requests.iter().flat_map(request_lines);
    std::iter::once(title).chain(requests.map(|line| format!("    {line}"))).collect()
}

fn request_lines(request: &WireRequest) -> Vec<String> {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let mut lines = vec![format!("{} {}{query}", request.method, request.path)];
    let body = body_of(request);
    if !body.is_null() {
        lines.extend(body::lines(&body));
    }
    lines
}

/// What all of it comes to.
fn summary(survey: &DryRun) -> String {
    let orders = survey.orders_by_operation();
    let mut rows = Vec::new();
    if orders.is_empty() {
        rows.push(("orders", "none".to_owned()));
    } else {
        let list: Vec<String> =
            orders.iter().map(|(operation, count)| format!("{count} {operation}")).collect();
        rows.push(("orders", list.join(", ")));
    }
    if survey.devices() > 0 {
        rows.push(("devices", format!("{} are sent an upgrade", survey.devices())));
    }
    if survey.soaks().as_secs() > 0 {
        rows.push(("time", format!("soaks add up to at least {}", survey.soaks())));
    }
    rows.extend(survey.loads().into_iter().map(|(account, load)| ("calls", load_line(account, &load))));
    rows.push(("", format!("{} to make this plan", calls(survey.calls_made()))));
    let lines = rows.into_iter().map(|(name, text)| format!("  {name:<8} {text}"));
    std::iter::once(paint(STRONG, "Total")).chain(lines).collect::<Vec<_>>().join("\n")
}

fn load_line(account: &ObjectKey, load: &Load) -> String {
    let (rate, burst) = (load.budget.requests_per_second, load.budget.burst);
    let budget = format!("{rate} per second, burst {burst}");
    if load.order_calls == 0 {
        return format!("{account}: budget {budget}");
    }
    format!(
        "{account}: {} for orders and one poll of {} every {}; budget {budget}",
        calls(load.order_calls),
        calls(load.calls_per_look),
        load.look_every
    )
}

fn calls(count: u64) -> String {
    counted(count, "call")
}
