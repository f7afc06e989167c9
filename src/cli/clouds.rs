//! `rollwave clouds`: what each cloud does with each field of a manifest, as `docs/clouds.md` has it.

use super::{Context, Exit};
use crate::api::{
    CloudKind, Kind,
    support::{self, DOCUMENTS, Document, FieldOrigin, Support},
};
use crate::cloud::defaults::{capabilities_of, source_of};
use jiff::SignedDuration;
use std::fmt::Write as _;

/// What each cloud does with each field of a manifest, and where each field of its requests comes from (Markdown).
#[derive(clap::Args, Debug)]
pub struct Args {}

const INTRODUCTION: &str = "# Clouds

<!-- Written by `make docs` from src/api/support/: do not edit. -->

The same manifests on four clouds. A field is **native** where the cloud has it (its own name stands here), **emulated** where Rollwave does it, and
**refused** where neither can be: such a manifest is an error that names the field and what to use instead, never a field that is dropped.
";

/// Prints the page.
#[must_use]
pub fn run(_: &Args, ctx: &Context) -> Exit {
    ctx.printer.print(page());
    Exit::Done
}

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for kind in [Kind::OtaPackage, Kind::OtaRollout] {
        fields(&mut page, kind);
    }
    limits(&mut page);
    page.push_str("\n## Where the fields of the clouds' requests come from\n");
    for document in DOCUMENTS {
        request(&mut page, document);
    }
    page
}

// Writing to a String cannot fail.
fn fields(page: &mut String, kind: Kind) {
    let _ = writeln!(page, "\n## {kind}\n");
    let names: Vec<&str> = CloudKind::ALL.into_iter().map(CloudKind::as_str).collect();
    let _ = writeln!(page, "| field | {} |\n|---|---|---|---|---|", names.join(" | "));
    for row in support::rows(kind) {
        let cells: Vec<String> = CloudKind::ALL.into_iter().map(|cloud| cell(row.of(cloud))).collect();
        let _ = writeln!(page, "| `{}` | {} |", row.field, cells.join(" | "));
    }
}

fn cell(support: Support) -> String {
    match support {
        Support::Native(name) => format!("native: {name}"),
        Support::Emulated(how) => format!("emulated: {how}"),
        Support::Refused(instead) => format!("refused: {instead}"),
    }
}

/// Of an account that says nothing else; requests of a minute are the default of the transport.
fn limits(page: &mut String) {
    page.push_str(
        "\n## Limits and budgets\n\nThe budget is of one account and all its objects; `spec.budget` of its `OtaCloud` sets another one.\n\n\
         | cloud | devices a job | rows a page | calls a second | at once | lists lag | where the numbers come from |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for cloud in CloudKind::ALL {
        let limits = capabilities_of(cloud, SignedDuration::from_mins(1));
        let _ = writeln!(
            page,
            "| {cloud} | {} | {} | {} | {} | {} s | {} |",
            limits.max_devices_per_job,
            limits.page_size,
            limits.requests_per_second,
            limits.burst,
            limits.visibility_lag.as_secs(),
            source_of(cloud)
        );
    }
}

fn request(page: &mut String, document: &Document) {
    let _ = writeln!(
        page,
        "\n### {} of {}\n\n| field | comes from |\n|---|---|",
        document.request, document.cloud
    );
    for (field, origin) in document.fields {
        let origin = match origin {
            FieldOrigin::Manifest(field) => format!("`{field}`"),
            FieldOrigin::Ours(what) => format!("Rollwave: {what}"),
            FieldOrigin::NotSent(why) => format!("not sent: {why}"),
        };
        let _ = writeln!(page, "| `{field}` | {origin} |");
    }
}
