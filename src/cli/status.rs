//! `rollwave status`: the objects as a tree; `-w` keeps it current.

use super::{
    Context, Exit,
    place::{Found, Place},
    select::{Selector, select},
    tree,
};
use crate::api::{Object, ObjectKey};
use clap::ValueEnum;
use std::collections::BTreeSet;

/// Arguments of `rollwave status`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  rollwave status\n  rollwave status rollout/meter-v2 -w")]
pub struct Args {
    /// KIND, KIND/NAME or KIND/NAMESPACE/NAME, each with its dependencies; all objects by default.
    #[arg(value_name = "KIND[/NAME]")]
    pub wanted: Vec<Selector>,
    /// Output format.
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Tree)]
    pub output: Form,
    /// Redraw on a terminal, or print again, whenever something changes.
    #[arg(long, short)]
    pub watch: bool,
    /// Where the objects are.
    #[command(flatten)]
    pub place: Place,
}

/// Output format.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A tree.
    Tree,
    /// The same as JSON; with `--watch` one document per line.
    Json,
}

const CLEAR_SCREEN: &str = "\x1b[H\x1b[2J";

/// Prints the tree, once or until interrupted.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    let place = match Found::find(&args.place, ctx).await {
        Ok(place) => place,
        Err(error) => return ctx.fail(error),
    };
    let mut shown = None;
    loop {
        let text = match text(args, &place, ctx).await {
            Ok(text) => text,
            Err(error) => return ctx.fail(error),
        };
        if shown.as_ref() != Some(&text) {
            show(&text, args, ctx);
            shown = Some(text);
        }
        if !args.watch || ctx.printer.is_closed() {
            return Exit::Done;
        }
        tokio::select! {
            () = tokio::time::sleep(place.look_every()) => {}
            _ = tokio::signal::ctrl_c() => return Exit::Done,
        }
    }
}

fn show(text: &str, args: &Args, ctx: &Context) {
    if args.watch && args.output == Form::Tree && ctx.printer.is_terminal() {
        ctx.printer.control(CLEAR_SCREEN);
    }
    ctx.printer.print(text);
}

async fn text(args: &Args, place: &Found, ctx: &Context) -> Result<String, String> {
    let (objects, wrong) = place.objects(&args.wanted).await?;
    wrong.iter().for_each(|wrong| ctx.printer.note(wrong));
    let shown = with_what_they_need(&objects, &args.wanted, place.namespace())?;
    let forest = tree::forest(&shown);
    let json = match args.output {
        Form::Tree if shown.is_empty() => return Ok(place.nothing() + "\n"),
        Form::Tree => return Ok(tree::draw(&forest)),
        Form::Json if args.watch => serde_json::to_string(&forest),
        Form::Json => serde_json::to_string_pretty(&forest),
    };
    json.map(|text| text + "\n").map_err(|error| error.to_string())
}

/// The selected objects, and those that they refer to.
fn with_what_they_need(
    objects: &[Object],
    wanted: &[Selector],
    namespace: &str,
) -> Result<Vec<Object>, String> {
    let mut keys: BTreeSet<ObjectKey> =
        select(objects, wanted, namespace)?.iter().map(|object| object.key()).collect();
    for object in objects.iter().rev() {
        if let Some(parent) = object.waits_for().filter(|_| keys.contains(&object.key())) {
            keys.insert(parent);
        }
    }
    Ok(objects.iter().filter(|object| keys.contains(&object.key())).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn a_named_rollout_comes_with_its_package_and_cloud() {
        let shown =
            with_what_they_need(&samples::fleet(), &["rollout/soaking".parse().unwrap()], "default").unwrap();
        let names: Vec<String> = shown.iter().map(|object| object.key().to_string()).collect();
        assert_eq!(names, ["OtaCloud/prod", "OtaPackage/meter-v2", "OtaRollout/soaking"]);
    }
}
