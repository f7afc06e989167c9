//! Limits on the values of fields that apply to one cloud only. Sources: the documents of the create calls, as `docs/clouds.md`
//! names them.

use super::refusal::{Refusal, at, each};
use crate::api::{CloudKind, Kind, Period};
use serde_json::Value;

/// A rule for the value of a field on a cloud; returns what is wrong with it.
struct Limit {
    cloud: CloudKind,
    kind: Kind,
    field: &'static str,
    /// Gets none when the field is absent, unless the field is one of the items of a list.
    wrong: fn(Option<&Value>) -> Option<String>,
}

const fn limit(
    cloud: CloudKind,
    kind: Kind,
    field: &'static str,
    wrong: fn(Option<&Value>) -> Option<String>,
) -> Limit {
    Limit { cloud, kind, field, wrong }
}

use CloudKind::{AliyunIot, Enos, HuaweiIotda, OceanConnect};
use Kind::{OtaPackage, OtaRollout};

const LIMITS: &[Limit] = &[
    limit(AliyunIot, OtaPackage, "spec.type", firmware_only),
    limit(Enos, OtaPackage, "spec.type", firmware_only),
    limit(AliyunIot, OtaPackage, "spec", aliyun_sources),
    limit(AliyunIot, OtaPackage, "spec.version", |version| at_most(version, 64)),
    limit(AliyunIot, OtaPackage, "spec.description", |text| at_most(text, 100)),
    limit(Enos, OtaPackage, "spec.description", |text| at_most(text, 100)),
    limit(AliyunIot, OtaPackage, "spec.verification.devices", |devices| count_at_most(devices, 10)),
    limit(AliyunIot, OtaPackage, "spec.verification.minSuccess", |share| {
        let share = share?.as_str()?;
        (!share.starts_with("100")).then(|| "aliyunIot requires every device to succeed: use 100%".to_owned())
    }),
    limit(AliyunIot, OtaPackage, "spec.verification.delivery.timeout.inProgress", minutes_1_to_1440),
    limit(AliyunIot, OtaRollout, "spec.delivery.timeout.inProgress", minutes_1_to_1440),
    limit(AliyunIot, OtaRollout, "spec.delivery.retry", aliyun_retry),
    limit(AliyunIot, OtaRollout, "spec.delivery", aliyun_retry_within_timeout),
    limit(AliyunIot, OtaRollout, "spec.delivery.ratePerMinute", |rate| {
        (rate?.as_u64()? < 10).then(|| "aliyunIot accepts 10 to 10000".to_owned())
    }),
    limit(Enos, OtaPackage, "spec.verification.delivery.timeout.inProgress", enos_timeout),
    limit(Enos, OtaRollout, "spec.delivery.timeout.inProgress", enos_timeout),
    limit(Enos, OtaRollout, "spec.delivery.retry", |retry| {
        (!retry?.as_object()?.contains_key("interval")).then(|| "enos requires retry.interval".to_owned())
    }),
    limit(Enos, OtaRollout, "spec.delivery.retry.interval", |interval| {
        (period(interval?)? > 86_400).then(|| "enos accepts at most 24h".to_owned())
    }),
    limit(HuaweiIotda, OtaRollout, "spec.targets.groups", iotda_groups),
    limit(HuaweiIotda, OtaRollout, "spec.stages[].select.groups", iotda_groups),
    limit(HuaweiIotda, OtaRollout, "spec.targets.tags", iotda_tag_keys),
    limit(HuaweiIotda, OtaRollout, "spec.stages[].select.tags", iotda_tag_keys),
    limit(Enos, OtaRollout, "spec.targets.tags", enos_tags),
    limit(Enos, OtaRollout, "spec.stages[].select.tags", enos_tags),
    limit(HuaweiIotda, OtaRollout, "spec.delivery.retry.interval", iotda_interval),
    limit(HuaweiIotda, OtaPackage, "spec.verification.delivery.retry.interval", iotda_interval),
    limit(HuaweiIotda, OtaRollout, "spec.delivery.tags", iotda_tags),
    limit(HuaweiIotda, OtaPackage, "spec.verification.delivery.tags", iotda_tags),
    limit(OceanConnect, OtaPackage, "spec.deletionPolicy", |policy| {
        let message = "oceanConnect packages are uploaded and deleted by hand: use Orphan";
        (policy?.as_str()? == "Delete").then(|| message.to_owned())
    }),
    limit(OceanConnect, OtaPackage, "spec.verification.delivery.retry.interval", |interval| {
        interval.map(|_| "not supported by oceanConnect, which sets it itself: remove it".to_owned())
    }),
];

/// Values of `spec` that this cloud does not accept.
pub(super) fn check(cloud: CloudKind, kind: Kind, spec: &Value) -> Vec<Refusal> {
    let rules = LIMITS.iter().filter(|limit| limit.cloud == cloud && limit.kind == kind);
    let found = rules.flat_map(|limit| {
        let places = each(spec, limit.field).into_iter().map(|(path, value)| (path, Some(value)));
        let mut places: Vec<(String, Option<&Value>)> = places.collect();
        if places.is_empty() && !limit.field.contains("[]") {
            places.push((limit.field.to_owned(), None));
        }
        let refused = |(path, value)| Some(Refusal { path, message: (limit.wrong)(value)? });
        places.into_iter().filter_map(refused).collect::<Vec<_>>()
    });
    found.collect()
}

fn firmware_only(kind: Option<&Value>) -> Option<String> {
    (kind?.as_str()? != "Firmware").then(|| "this cloud supports firmware only: use Firmware".to_owned())
}

fn at_most(text: Option<&Value>, most: usize) -> Option<String> {
    let length = text?.as_str()?.chars().count();
    (length > most).then(|| format!("has {length} characters, this cloud accepts at most {most}"))
}

fn count_at_most(items: Option<&Value>, most: usize) -> Option<String> {
    let count = items?.as_array()?.len();
    (count > most).then(|| format!("has {count} items, this cloud accepts at most {most}"))
}

/// Seconds.
fn period(value: &Value) -> Option<i64> {
    Some(value.as_str()?.parse::<Period>().ok()?.as_signed().as_secs())
}

fn minutes_1_to_1440(timeout: Option<&Value>) -> Option<String> {
    let seconds = period(timeout?)?;
    let fits = seconds % 60 == 0 && (60..=86_400).contains(&seconds);
    (!fits).then(|| "aliyunIot accepts whole minutes, 1m to 24h".to_owned())
}

fn enos_timeout(timeout: Option<&Value>) -> Option<String> {
    let seconds = period(timeout?)?;
    (!(300..=172_800).contains(&seconds)).then(|| "enos accepts 5m to 48h".to_owned())
}

fn iotda_interval(interval: Option<&Value>) -> Option<String> {
    let seconds = period(interval?)?;
    let fits = seconds % 60 == 0 && (0..=86_400).contains(&seconds);
    (!fits).then(|| "huaweiIotda accepts whole minutes, at most 24h".to_owned())
}

/// `group_id` of the device group API: up to 36 hexadecimal digits and hyphens.
fn iotda_groups(groups: Option<&Value>) -> Option<String> {
    let fits = |id: &&str| id.len() <= 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let wrong = groups?.as_array()?.iter().filter_map(Value::as_str).find(|id| !fits(id))?;
    Some(format!("{wrong:?} is not a group id of huaweiIotda: use up to 36 hexadecimal digits and -"))
}

/// `tag_key`: the same characters as a value.
fn iotda_tag_keys(tags: Option<&Value>) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '\u{4e00}'..='\u{9fa5}');
    let wrong = tags?.as_object()?.keys().find(|key| !key.chars().all(fits))?;
    Some(format!(
        "{wrong:?} is not the key of a tag of huaweiIotda: use letters, digits, Chinese characters, ., - and _"
    ))
}

/// The key of a tag stands in a search expression without quotes.
fn enos_tags(tags: Option<&Value>) -> Option<String> {
    let is_key = |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let wrong = tags?.as_object()?.keys().find(|key| !is_key(key))?;
    Some(format!("enos cannot search for the tag {wrong:?}: use a key of letters, digits, _ and -"))
}

fn iotda_tags(tags: Option<&Value>) -> Option<String> {
    let length = tags?.to_string().chars().count();
    (length > 512).then(|| format!("have {length} characters as JSON, huaweiIotda accepts at most 512"))
}

/// CreateOTAFirmware: SrcVersion belongs to a delta (Type 1), which devices apply to what they run. A whole package that is
/// treated as a delta would break them, so a list of versions never makes one.
fn aliyun_sources(spec: Option<&Value>) -> Option<String> {
    let sources = spec?.get("sourceVersions")?.as_array()?.len();
    let is_delta = at(spec?, "artifact.delta") == Some(&Value::Bool(true));
    (sources > 0 && !is_delta).then(|| {
        "aliyunIot accepts sourceVersions only with artifact.delta: true; for a whole package, list them in \
         targets.fromVersions of the rollouts"
            .to_owned()
    })
}

/// CreateOTAStaticUpgradeJob: RetryCount 1, 2 or 5; RetryInterval 0, 10, 30, 60 or 1440 minutes.
fn aliyun_retry(retry: Option<&Value>) -> Option<String> {
    let retry = retry?;
    let limit = retry.get("limit")?.as_u64()?;
    if ![1, 2, 5].contains(&limit) {
        return Some("aliyunIot supports 1, 2 or 5 retries: set retry.limit to one of them".to_owned());
    }
    let interval = retry.get("interval").and_then(period);
    let fits = interval.is_some_and(|seconds| [0, 600, 1800, 3600, 86_400].contains(&seconds));
    (!fits).then(|| {
        "aliyunIot supports intervals of 0s, 10m, 30m, 1h or 24h: set retry.interval to one of them"
            .to_owned()
    })
}

/// CreateOTAStaticUpgradeJob: RetryInterval must be shorter than TimeoutInMinutes.
fn aliyun_retry_within_timeout(delivery: Option<&Value>) -> Option<String> {
    let delivery = delivery?;
    let interval = period(delivery.get("retry")?.get("interval")?)?;
    let timeout = period(delivery.get("timeout")?.get("inProgress")?)?;
    (interval >= timeout).then(|| {
        "aliyunIot requires retry.interval to be shorter than timeout.inProgress: change or remove one of them".to_owned()
    })
}
