//! `rollwave get`: objects as a table, or as they are.

use super::{
    Context, Exit,
    place::{Found, Place},
    printer::{BAD, DIM, GOOD, paint},
    select::{Selector, select},
};
use crate::api::{CloudRef, DEFAULT_NAMESPACE, Kind, Object, READY, VERIFIED, find_condition};
use anstyle::Style;
use clap::ValueEnum;
use jiff::Timestamp;

/// Arguments of `rollwave get`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  rollwave get\n  rollwave get rollouts -o wide\n  rollwave get rollout/meter-v2 -o yaml"
)]
pub struct Args {
    /// KIND, KIND/NAME or KIND/NAMESPACE/NAME; all objects by default.
    #[arg(value_name = "KIND[/NAME]")]
    pub wanted: Vec<Selector>,
    /// Output format.
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Table)]
    pub output: Form,
    /// Where the objects are.
    #[command(flatten)]
    pub place: Place,
}

/// Output format.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One line per object.
    Table,
    /// One line per object, with more columns.
    Wide,
    /// Objects with spec and status; a `List` unless exactly one is named.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Prints the objects.
pub async fn run(args: &Args, ctx: &Context) -> Exit {
    show(args, ctx).await.unwrap_or_else(|error| ctx.fail(error))
}

async fn show(args: &Args, ctx: &Context) -> Result<Exit, String> {
    let place = Found::find(&args.place, ctx).await?;
    let (objects, wrong) = place.objects(&args.wanted).await?;
    wrong.iter().for_each(|wrong| ctx.printer.note(wrong));
    let found = select(&objects, &args.wanted, place.namespace())?;
    let text = match args.output {
        Form::Table | Form::Wide if found.is_empty() => {
            ctx.printer.note(place.nothing());
            return Ok(Exit::Done);
        }
        Form::Table | Form::Wide => Ok(tables(&found, args.output == Form::Wide, Timestamp::now())),
        Form::Json => json(&found, one_is_named(&args.wanted)),
        Form::Yaml => yaml(&found, one_is_named(&args.wanted)),
    };
    ctx.printer.print(text?);
    Ok(Exit::Done)
}

fn one_is_named(wanted: &[Selector]) -> bool {
    matches!(wanted, [one] if one.object.is_some())
}

/// One table per kind.
#[must_use]
pub fn tables(objects: &[&Object], wide: bool, now: Timestamp) -> String {
    let table = |kind: Kind| {
        let rows: Vec<Vec<String>> =
            objects.iter().filter(|o| o.kind() == kind).map(|o| row(o, wide, now)).collect();
        (!rows.is_empty()).then(|| aligned(&columns(kind, wide), &rows))
    };
    let tables: Vec<String> = Kind::ALL.into_iter().filter_map(table).collect();
    tables.join("\n")
}

fn columns(kind: Kind, wide: bool) -> Vec<&'static str> {
    let (own, more): (&[_], &[_]) = match kind {
        Kind::OtaCloud => (&["CLOUD"], &["REGION", "ENDPOINT"]),
        Kind::OtaPackage => {
            (&["PACKAGE", "VERSION", "VERIFIED"], &["TYPE", "PRODUCT", "CLOUD", "ID", "ORIGIN"])
        }
        Kind::OtaRollout => (&["ROLLOUT", "PACKAGE", "PROGRESS"], &["PHASE", "PLAN"]),
    };
    let more = if wide { more } else { &[] };
    [own, more, &["READY", "AGE", "MESSAGE"]].concat()
}

fn row(object: &Object, wide: bool, now: Timestamp) -> Vec<String> {
    let (own, more) = match object {
        Object::Cloud(o) => {
            let cloud = o.spec.cloud();
            let texts = [cloud.map(CloudRef::place), cloud.map(CloudRef::endpoint)];
            (vec![], texts.map(|text| text.unwrap_or_default().to_owned()).into())
        }
        Object::Package(o) => {
            let status = o.status.as_ref();
            let id = status.and_then(|s| s.package_id.clone());
            let origin = status.and_then(|s| s.origin).map(|origin| format!("{origin:?}"));
            let more =
                [format!("{:?}", o.spec.kind), o.spec.product.to_string(), o.spec.cloud_ref.to_string()]
                    .into();
            (
                vec![o.spec.version.clone(), truth(object, VERIFIED)],
                [more, vec![or_dash(id), or_dash(origin)]].concat(),
            )
        }
        Object::Rollout(o) => {
            let status = o.status.as_ref();
            let progress = status.map(|s| s.progress.clone()).filter(|text| !text.is_empty());
            let phase = status.map(|s| format!("{:?}", s.phase));
            let plan = status.and_then(|s| s.plan_hash.clone());
            (vec![o.spec.package_ref.name.clone(), or_dash(progress)], vec![or_dash(phase), or_dash(plan)])
        }
    };
    let more = if wide { more } else { vec![] };
    let tail = vec![truth(object, READY), age(object, now), object.message().to_owned()];
    [vec![name(object)], own, more, tail].concat()
}

fn name(object: &Object) -> String {
    let key = object.key();
    if key.namespace == DEFAULT_NAMESPACE { key.name } else { format!("{}/{}", key.namespace, key.name) }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// The truth of a condition, as `kubectl get` shows it; `-` when the object has no such condition.
fn truth(object: &Object, type_: &str) -> String {
    let Some(condition) = find_condition(object.conditions(), type_) else { return "-".to_owned() };
    let style = match condition.status.as_str() {
        "True" => GOOD,
        "False" => BAD,
        _ => Style::new(),
    };
    paint(style, &condition.status)
}

fn age(object: &Object, now: Timestamp) -> String {
    let Some(created) = &object.meta().creation_timestamp else { return "-".to_owned() };
    let seconds = now.duration_since(created.0).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Columns as wide as needed; the last one is not padded.
pub(super) fn aligned(columns: &[&str], rows: &[Vec<String>]) -> String {
    let visible = |text: &str| anstream::adapter::strip_str(text).to_string().chars().count();
    let widest = |place: usize| {
        rows.iter().filter_map(|row| row.get(place)).map(|cell| visible(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> =
        columns.iter().enumerate().map(|(place, column)| widest(place).max(column.len())).collect();
    let head: Vec<String> = columns.iter().map(|column| paint(DIM, column)).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(visible(cell)) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn document(objects: &[&Object], one: bool) -> Result<serde_json::Value, serde_json::Error> {
    match objects {
        [object] if one => serde_json::to_value(object),
        _ => Ok(
            serde_json::json!({"apiVersion": "v1", "kind": "List", "items": serde_json::to_value(objects)?}),
        ),
    }
}

fn json(objects: &[&Object], one: bool) -> Result<String, String> {
    let text = document(objects, one).and_then(|value| serde_json::to_string_pretty(&value));
    text.map(|text| text + "\n").map_err(|error| error.to_string())
}

fn yaml(objects: &[&Object], one: bool) -> Result<String, String> {
    let value = document(objects, one).map_err(|error| error.to_string())?;
    serde_yaml::to_string(&value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    fn shown(wide: bool) -> String {
        let objects = samples::fleet();
        let all: Vec<&Object> = objects.iter().collect();
        let now: Timestamp = "2026-11-02T12:00:00Z".parse().unwrap();
        anstream::adapter::strip_str(&tables(&all, wide, now)).to_string()
    }

    #[test]
    fn tables_of_every_kind() {
        insta::assert_snapshot!("table", shown(false));
        insta::assert_snapshot!("wide", shown(true));
    }

    #[test]
    fn json_and_yaml_are_the_objects_themselves() {
        let (a, b) = (samples::named("meter-v2"), samples::named("prod"));
        let read = |text: &str| serde_yaml::from_str::<serde_json::Value>(text).unwrap();
        for form in [json, yaml] {
            assert_eq!(read(&form(&[&a], true).unwrap()), serde_json::to_value(&a).unwrap());
            let list = read(&form(&[&a, &b], false).unwrap());
            assert_eq!(
                (list["kind"].as_str(), list["items"].as_array().map(Vec::len)),
                (Some("List"), Some(2))
            );
        }
    }
}
