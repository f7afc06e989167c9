//! `rollwave why`: the last decision with its numbers, and what would change it.

use super::{
    Context, Exit,
    place::{Found, Place},
    printer::{DIM, STRONG, paint},
    select::{Selector, select},
};
use crate::api::time_text;
use crate::decide::explain::{Explanation, explain};
use clap::ValueEnum;
use jiff::Timestamp;

/// Which object.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: rollwave why rollout/meter-v2")]
pub struct Args {
    /// KIND/NAME or KIND/NAMESPACE/NAME; a KIND alone explains every object of it.
    #[arg(value_name = "KIND/NAME")]
    pub object: Selector,
    /// Form of the output.
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    pub output: Form,
    /// Where the objects are.
    #[command(flatten)]
    pub place: Place,
}

/// Form of the output.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// A list of explanations.
    Json,
}

/// Decisions that are shown, newest first.
const SHOWN: usize = 5;

/// Explains the object.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    show(args, ctx).await.map_or_else(|error| ctx.fail(error), |()| Exit::Done)
}

async fn show(args: &Args, ctx: &Context) -> Result<(), String> {
    let (place, wanted) = (Found::find(&args.place, ctx).await?, std::slice::from_ref(&args.object));
    let (objects, wrong) = place.objects(wanted).await?;
    wrong.iter().for_each(|wrong| ctx.printer.note(wrong));
    let found = select(&objects, wanted, place.namespace())?;
    let now = Timestamp::now();
    let explanations: Vec<Explanation> = found.iter().map(|object| explain(object, &objects, now)).collect();
    match args.output {
        Form::Text => {
            let texts: Vec<String> = explanations.iter().map(text).collect();
            ctx.printer.print(texts.join("\n"));
        }
        Form::Json => {
            let text = serde_json::to_string_pretty(&explanations).map_err(|error| error.to_string())?;
            ctx.printer.line(text);
        }
    }
    Ok(())
}

/// An explanation as text, with styles.
#[must_use]
pub fn text(explanation: &Explanation) -> String {
    let Explanation { object, health, message, decisions, seen, next } = explanation;
    let message = message
        .strip_prefix(health.as_str())
        .map_or(message.as_str(), |rest| rest.trim_start_matches([':', ' ']));
    let mut text = format!("{} is {}", paint(STRONG, object), paint(STRONG, health.as_str()));
    text.push_str(&if message.is_empty() { ".\n".to_owned() } else { format!(": {message}\n") });
    let decided = decisions.iter().take(SHOWN).map(|decision| {
        format!("{}  {}: {}", paint(DIM, time_text(decision.at)), decision.rule, decision.message)
    });
    section(&mut text, "Decided, newest first", decided);
    section(&mut text, "Seen", seen.iter().cloned());
    section(&mut text, "What would change it", next.iter().cloned());
    text
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.map(|line| format!("  - {line}\n")).collect();
    if !lines.is_empty() {
        text.push_str(&format!("\n{}\n{}", paint(STRONG, title), lines.concat()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn every_state_is_explained() {
        let objects = samples::fleet();
        let explain = |object| text(&explain(object, &objects, Timestamp::UNIX_EPOCH));
        let texts: Vec<String> = objects.iter().map(explain).collect();
        let plain = anstream::adapter::strip_str(&texts.join("\n----\n")).to_string();
        insta::assert_snapshot!("why", plain);
    }

    #[test]
    fn what_would_change_it_is_always_said() {
        let objects = samples::fleet();
        assert!(
            objects.iter().all(|object| !explain(object, &objects, Timestamp::UNIX_EPOCH).next.is_empty())
        );
    }
}
