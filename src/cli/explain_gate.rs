//! `rollwave explain-gate`: what a gate of a stage would prove, without a fleet or a cloud.

use super::{Context, Exit, get::aligned, plan::Output};
use crate::api::{GateMethod, OutcomeGate, Percent, counted};
use crate::decide::defaults;
use crate::decide::preview::{GateRisk, percent};
use crate::decide::rollout::gates::requirement::Requirement;
use crate::decide::stats::millionths;
use clap::ValueEnum;
use serde_json::{Value, json};

/// Failure rates of builds that are shown, in percent.
const RATES: [u32; 6] = [1, 2, 5, 10, 20, 40];

/// Stands for the name of the stage in messages: there is none.
const STAGE: &str = "of this size";

/// Arguments of `rollwave explain-gate`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  rollwave explain-gate --devices 130 --min-success 90%\n  rollwave explain-gate --devices 20\n  rollwave explain-gate --devices 60 --min-success 90% --method Exact -o json"
)]
pub struct Args {
    /// Devices of the stage.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub devices: u32,
    /// `minSuccess` of the gate; when absent, what a stage of this size can prove.
    #[arg(long, value_name = "PERCENT")]
    pub min_success: Option<Percent>,
    /// `method` of the gate.
    #[arg(long, value_enum, default_value_t = Method::Wilson)]
    pub method: Method,
    /// `confidence` of the gate.
    #[arg(long, value_name = "PERCENT", default_value = "95%")]
    pub confidence: Percent,
    /// `minObserved` of the gate.
    #[arg(long, value_name = "PERCENT", default_value = "80%")]
    pub min_observed: Percent,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How a gate compares outcomes.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
#[value(rename_all = "PascalCase")]
pub enum Method {
    /// One-sided lower Wilson bound.
    Wilson,
    /// One-sided lower bound by Clopper and Pearson.
    Exact,
    /// Succeeded / sample.
    Ratio,
}

/// Prints what the gate proves.
#[must_use]
pub fn run(args: &Args, ctx: &Context) -> Exit {
    let required = Requirement::new("proven", &gate(args), args.devices);
    let Some(risk) = GateRisk::new(STAGE, args.devices, required.clone()) else {
        let why = required.cannot_prove(STAGE, args.devices);
        return ctx.fail(why.unwrap_or_else(|| "this gate proves nothing".to_owned()));
    };
    match args.output {
        Output::Text => text(&risk, ctx),
        Output::Json => ctx.printer.line(json(&risk)),
    }
    Exit::Done
}

fn gate(args: &Args) -> OutcomeGate {
    let method = match args.method {
        Method::Wilson => GateMethod::Wilson,
        Method::Exact => GateMethod::Exact,
        Method::Ratio => GateMethod::Ratio,
    };
    OutcomeGate {
        method,
        min_success: args.min_success,
        confidence: args.confidence,
        min_observed: args.min_observed,
        ..defaults::outcome()
    }
}

fn text(risk: &GateRisk, ctx: &Context) {
    let (required, few) = (&risk.required, risk.required.fewest(risk.devices));
    let failures = if risk.allowed == 0 { "no failure".to_owned() } else { counted(risk.allowed, "failure") };
    let chosen = if required.is_default { " (what a stage of this size can prove)" } else { "" };
    let (devices, goal) = (counted(risk.devices, "device"), required.goal.text());
    ctx.printer.line(format!("{devices} may have {failures}: the gate needs {goal}{chosen}."));
    let row = |rate: &u32| {
        let passes = |sample| percent(required.passes(sample, f64::from(*rate) / 100.0));
        vec![format!("{rate} %"), passes(risk.devices), passes(few)]
    };
    let few = format!("PASSES IF ONLY {few} BEGIN");
    let rows: Vec<Vec<String>> = RATES.iter().map(row).collect();
    ctx.printer.print(aligned(&["A BUILD THAT FAILS ON", "PASSES", &few], &rows));
    if let Some(warning) = risk.advice() {
        ctx.printer.warning(warning);
    }
}

fn json(risk: &GateRisk) -> Value {
    let (required, few) = (&risk.required, risk.required.fewest(risk.devices));
    let builds = RATES.map(|rate| {
        let passes = |sample| millionths(required.passes(sample, f64::from(rate) / 100.0));
        json!({"failsOnPercent": rate, "passes": passes(risk.devices), "passesIfFewBegin": passes(few)})
    });
    json!({"devices": risk.devices, "minSuccess": required.goal, "chosenForItsSize": required.is_default,
           "allowedFailures": risk.allowed, "fewestThatBegin": few, "builds": builds, "warning": risk.advice()})
}
