//! `rollwave clouds`: what each cloud does with each field of a manifest, as `docs/clouds.md` has it.

use super::{Context, Exit};
use crate::api::{
    CloudKind, Kind,
    support::{self, DOCUMENTS, Document, FieldOrigin, Support},
};
use crate::cloud::defaults::{capabilities_of, source_of};
use jiff::SignedDuration;
use std::fmt::Write as _;

/// Arguments of `rollwave clouds`.
#[derive(clap::Args, Debug)]
pub struct Args {}

const INTRODUCTION: &str = "# Clouds

<!-- Written by `make docs` from src/api/support/: do not edit. -->

The same manifests work on four clouds. A field is **native** if the cloud supports it (the table shows the cloud's own name), **emulated** if
Rollwave implements it, and **refused** otherwise. A refused field is an error that names the field and what to use instead; no field is ignored.
";

const CALLS_NOT_MADE: &str = "
## Requests that are not used

**A stage is an exact set of devices that does not change after it is dispatched**, on every cloud. Its devices are chosen before a job is created, are
the same on any machine, and are what gates and stop rules count. So jobs list their devices. Parameters that let a cloud choose are not sent, because
the cloud would choose other devices, later, or more of them:

| cloud | not sent | effect |
|---|---|---|
| huaweiIotda | `targets_filter` of CreateBatchTask | the members of groups at the time of the task |
| oceanConnect | `targets.deviceGroups` | groups, whose members change; at most 256 names, as for devices |
| aliyunIot | `TargetSelection` `ALL`, `GRAY`, `GROUP`; CreateOTADynamicUpgradeJob | the cloud selects all matching devices; a dynamic job keeps adding devices that match later |
| enos | `upgradeScope` `total`, `attributes`, `tags`, `assetTrees`; `upgradePolicy` `incremental` | the cloud selects all matching devices; an incremental job keeps adding devices that match later |

**Single devices are not cancelled** (CancelOTATaskByDevice, EnOS `cancelTask`, IoTDA `stop` with `targets`). A device that is excluded, or leaves the
targets, after its stage was dispatched stays in the stage until its job is done, so that the numbers of a gate do not change. `suspend` stops whole jobs.

**Failed devices are not retried within their job** (ReupgradeOTATask, EnOS `retryTask`, IoTDA `retry`) beyond `delivery.retry`, which the cloud counts
itself. A retry by request is another job with the idempotency key of the next attempt: it is found again if its outcome is unknown, is shown in the
status beside the first one, and means the same on a cloud that has no such call (OceanConnect), one for failed tasks of running jobs only (EnOS), or
none for stopped jobs (IoTDA).

**Upgrades are confirmed by the user of the device** (ConfirmOTATask, IoTDA `confirm`). With `delivery.confirm`, tasks wait until that user confirms them
through the application that uses the cloud. They count as queued, and the stage shows how many have not begun. If no confirmation is needed, omit `confirm`.

**Modules are not created** (CreateOTAModule). Devices report their versions under the name of a module, the name cannot be changed, and a product has at
most ten: the maker of the device adds the module to the product. A package for a missing module reports that before anything is uploaded.

**Stopped jobs are not started** (EnOS `start`). A job runs from its creation on. A job that does not run may have been stopped by a user, so the rollout
is held and names the job.

## External jobs

A device takes one job at a time. A cloud fails the device in a second job, which would count against the package. So a stage waits while an external job
holds one of its devices, and names the job.

| cloud | how external jobs are detected | limits |
|---|---|---|
| huaweiIotda | tasks list their devices | |
| oceanConnect | tasks list their devices | members of `deviceGroups` are not known |
| aliyunIot | rows of jobs list no devices, and a job may have a million: each job is queried for the devices about to be sent, 50 per call (ListOTATaskByJob, `DeviceNames`) | a device that matches a dynamic job later has no task until then. That a job which waits for its time lists its tasks is *assumed*. With `delivery.overwrite` no job is queried: the cloud replaces what has not begun |
| enos | a device reports whether a job is upgrading it (`isUpgrading`); a job reports its devices, unless it has another scope: its tasks for the devices about to be sent are searched for, 50 per call (`jobId` and `deviceKey`) | a device that matches an `incremental` job later has no task until then. That a job which waits for its window has tasks (`init`) is *assumed* |

Jobs are queried right before a job is created, and only those that are not finished, not Rollwave's, not known to send a package of another product,
and not known to have other devices. Each such job costs one call per 50 devices of the new job; `rollwave plan` includes these calls in its polls. On
EnOS no job ever ends by itself: stop finished jobs to save these calls. At most 40 jobs are queried before one dispatch. If more may hold its devices,
none is queried and nothing is sent: the rollout is held, or the verification of the package waits, with the reason `TooManyExternalJobs` and the number
of jobs. Stop external jobs that are no longer needed; the rollout continues by itself once at most 40 are left. Running jobs are observed and judged
meanwhile.

## Devices that are not connected

While a stage waits for devices, its status and `rollwave why` name those that are not connected.

| cloud | how it is known | not known |
|---|---|---|
| huaweiIotda | `status` in the list of devices | |
| oceanConnect | `status` in the list of devices: `OFFLINE` after 49 hours of silence, `ABNORMAL` after 25 | earlier |
| aliyunIot | `DeviceStatus` in the details of devices | devices whose `module` is upgraded |
| enos | `status` of Search Device (`devices?action=search`): one more call per 200 devices after each list of devices, and only while a stage waits for some or is compared with a control group. Of each device `deviceKey` and `status` are requested, never its secret | devices that are `inactive`, `disable` or `mirror`; all of them if the application has no permission for Search Device. It is refused once per process; then the stop rule `Control` decides nothing, and nothing else depends on it: grant the permission, then restart Rollwave |
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
    page.push_str("\n## Sources of request fields\n");
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

/// Limits of an account without a budget of its own. One minute is the default request timeout of the transport.
fn limits(page: &mut String) {
    page.push_str(
        "\n## Limits and budgets\n\nThe budget applies to one account with all its objects; change it with `spec.budget` of its `OtaCloud`.\n\n\
         | cloud | devices per job | rows per page | calls per second | burst | visibility lag | source of the numbers |\n\
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
    let _ =
        writeln!(page, "\n### {} of {}\n\n| field | source |\n|---|---|", document.request, document.cloud);
    for (field, origin) in document.fields {
        let origin = match origin {
            FieldOrigin::Manifest(field) => format!("`{field}`"),
            FieldOrigin::Ours(what) => format!("Rollwave: {what}"),
            FieldOrigin::NotSent(why) => format!("not sent: {why}"),
        };
        let _ = writeln!(page, "| `{field}` | {origin} |");
    }
}
