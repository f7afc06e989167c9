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

const CALLS_NOT_MADE: &str = "
## What is not called, and why

**A stage is an exact set of devices that keeps them once it was sent**, on every cloud alike: who is in it is decided before a job leaves, is the
same on any machine, and is what gates and stop rules count. So jobs name their devices. What lets a cloud choose is not sent, because it would
choose others, later, or more of them:

| cloud | not sent | what it would do |
|---|---|---|
| huaweiIotda | `targets_filter` of CreateBatchTask | members of groups, whoever they are then |
| oceanConnect | `targets.deviceGroups` | names of groups, whose members change; 256 names are the most, as for devices |
| aliyunIot | `TargetSelection` `ALL`, `GRAY`, `GROUP`; CreateOTADynamicUpgradeJob | the cloud takes whoever fits; a dynamic job goes on taking devices that come to fit |
| enos | `upgradeScope` `total`, `attributes`, `tags`, `assetTrees`; `upgradePolicy` `incremental` | the cloud takes whoever fits; an incremental job goes on taking devices that come to fit |

**One device is not cancelled** (CancelOTATaskByDevice, EnOS `cancelTask`, IoTDA `stop` with `targets`). A device that is excluded, or leaves the targets,
after its stage was sent stays in it until its job is done: the numbers that a gate asks about do not change under it. `suspend` stops whole jobs.

**A failed device is not tried again within its job** (ReupgradeOTATask, EnOS `retryTask`, IoTDA `retry`) beyond `delivery.retry`, which the cloud counts by
itself. Whoever asks for another try gets another job under the token of the next attempt: it is found again after a lost answer, stands in the
status beside the first one, and means the same where a cloud has no such call (OceanConnect), knows failed tasks of running jobs only (EnOS) or
nothing of stopped ones (IoTDA).

**A confirmation is the device's user's** (ConfirmOTATask, IoTDA `confirm`). With `delivery.confirm` tasks wait until whoever has the device lets them begin, by the
application that talks to the cloud; they are counted as queued, and the stage says how many have not begun. A rollout that confirmed them by itself
would ask nobody: leave `confirm` out for that.

**A module is not created** (CreateOTAModule). Its name is what devices report their versions under, cannot be changed, and ten are the most: whoever builds the
device adds it to the product. A package for a module that is not there says so before anything is uploaded.

**A stopped job is not started** (EnOS `start`). After its creation it runs; one that stands still may have been stopped by a person, so that the rollout holds and
says which job it is.

## Jobs of somebody else

A device takes one job at a time; the cloud fails it in a second one, and the package would be blamed. So a stage waits while a job of somebody else
holds one of its devices, and says which job.

| cloud | how it is known | what is not known |
|---|---|---|
| huaweiIotda | tasks name their devices | |
| oceanConnect | tasks name their devices | members of `deviceGroups` |
| aliyunIot | rows of jobs name no devices, and a job may have a million: it is asked for those that are about to be sent, 50 a call (ListOTATaskByJob, `DeviceNames`) | a device that comes to fit a dynamic job later: it has no task until then. That a job which waits for its time lists its tasks is *assumed*. With `delivery.overwrite` nobody is asked: the cloud replaces what has not begun |
| enos | a device says whether a job is at it (`isUpgrading`); a job for which devices it was made, or nothing if it has another scope: its tasks of the devices that are about to be sent are searched for, 50 a call (`jobId` and `deviceKey`) | a device that comes to fit an `incremental` job later: it has no task until then. That a job which waits for its window has tasks (`init`) is *assumed* |

Jobs are asked right before a job is sent, and only those that are not over, not Rollwave's, not known to send a package of another product, and not known
to have other devices. It costs a call for each such job and each 50 devices of the new job; `rollwave plan` counts them among the looks. On EnOS no job ever ends by itself:
stop jobs that are done, and these calls are saved. At most 40 jobs are queried before one dispatch. Where more may hold its devices, none is queried and nothing is sent:
the rollout is held, or the verification of the package waits, with the reason `TooManyExternalJobs` and the number of jobs. Stop external jobs that are not needed any more;
it goes on by itself once at most 40 are left. Jobs that run already are observed and judged meanwhile.
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
    page.push_str(CALLS_NOT_MADE);
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
