//! `rollwave reconcile`, `pause`, `resume` and `retry`: what people ask of objects without changing their manifests.

use super::place::{Found, Place};
use super::select::{Selector, select};
use super::{Context, Exit};
use crate::api::{Object, ObjectKey, Request};

/// Which objects.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// KIND/NAME or KIND/NAMESPACE/NAME; a KIND alone means every object of it.
    #[arg(value_name = "KIND/NAME", required = true)]
    pub wanted: Vec<Selector>,
    /// Where they are.
    #[command(flatten)]
    pub place: Place,
}

/// Asks it of the objects.
pub async fn run(request: Request, args: &Args, ctx: &Context) -> Exit {
    let asked = async {
        check(request, &args.wanted)?;
        let found = Found::find(&args.place, ctx).await?;
        let keys = meant(&found, args, ctx).await?;
        for key in &keys {
            found.ask(key, request).await?;
            ctx.printer.line(format!("{key}: {} requested", request.as_str()));
        }
        if !keys.is_empty() {
            ctx.printer.note(found.follower());
        }
        Ok::<_, String>(())
    };
    asked.await.map_or_else(|error| ctx.fail(error), |()| Exit::Done)
}

/// Before anything is looked for.
fn check(request: Request, wanted: &[Selector]) -> Result<(), String> {
    let Some(other) = wanted.iter().find(|selector| !request.concerns(selector.kind)) else { return Ok(()) };
    Err(format!("{other}: {} is for rollouts: name those that are meant", request.as_str()))
}

async fn meant(found: &Found, args: &Args, ctx: &Context) -> Result<Vec<ObjectKey>, String> {
    let (objects, wrong) = found.objects(&args.wanted).await?;
    wrong.iter().for_each(|wrong| ctx.printer.note(wrong));
    let meant = select(&objects, &args.wanted, found.namespace())?;
    Ok(meant.into_iter().map(Object::key).collect())
}
