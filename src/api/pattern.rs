//! Patterns of the schemas, each with the words that tell a person what it wants.
//!
//! They are written in the common part of Rust's `regex`, Go's `regexp` (the API server) and CEL's RE2.

/// Ids that IoTDA gives or takes: products, applications, projects.
pub const ID: &str = r"^[A-Za-z0-9_-]+$";
/// Names of devices, as any of the clouds takes them; `support/` says what each of them takes.
pub const DEVICE: &str = r"^[A-Za-z0-9_.:@-]+$";
/// A firmware or software version (IoTDA `version`, `support_source_versions`).
pub const VERSION: &str = r"^[A-Za-z0-9_.-]+$";
/// SHA-256 in hexadecimal digits.
pub const SHA256: &str = r"^[A-Fa-f0-9]{64}$";
/// Region of a Huawei Cloud service.
pub const REGION: &str = r"^[a-z0-9-]+$";
/// Region of an OBS bucket (IoTDA `region_name` takes capitals too).
pub const OBS_REGION: &str = r"^[A-Za-z0-9-]+$";
/// Name of an OBS bucket.
pub const BUCKET: &str = r"^[a-z0-9.-]+$";
/// Key of an OBS object with an extension that IoTDA takes.
pub const OBJECT_KEY: &str = r"^.+\.(bin|dav|tar|gz|zip|gzip|apk|tar\.gz|tar\.xz|pack|exe|bat|img)$";
/// Manufacturer, device type, model, or the name of a file: anything without a slash or blanks at its ends.
pub const PRODUCT_TEXT: &str = r"^[^/\s]([^/]*[^/\s])?$";
/// Path of a file with an extension that a cloud takes, relative to the manifest.
pub const ARTIFACT_FILE: &str = r"^.+\.(bin|dav|tar|gz|zip|gzip|apk|tar\.gz|tar\.xz|pack)$";
/// An MD5 digest.
pub const MD5: &str = r"^[A-Fa-f0-9]{32}$";
/// Address of a service: scheme, host and port (1 to 65535), nothing else.
pub const ADDRESS: &str = r"^https?://([A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*\.?|\[[0-9A-Fa-f:.]+\])(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?/?$";
/// Where a secret is.
pub const SECRET_SOURCE: &str = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|exec:.+)$";
/// A percentage.
pub const PERCENT: &str = r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)%$";
/// A period.
pub const PERIOD: &str = r"^([0-9]{1,4}d)?([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,4}s)?$";
/// A time of day, to the minute.
pub const TIME_OF_DAY: &str = r"^([01][0-9]|2[0-3]):[0-5][0-9]$";
/// Name of a time zone.
pub const TIME_ZONE: &str = r"^[A-Za-z][A-Za-z0-9_+/-]*$";
/// Value of a device's tag: IoTDA takes Chinese characters, letters, digits and `_.-`.
pub const TAG_VALUE: &str = r"^[\x{4e00}-\x{9fa5}A-Za-z0-9_.-]+$";
/// DNS-1123 label: names of namespaces, stages and stop rules.
pub const LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// The same, or `*` for any namespace.
pub const LABEL_OR_ANY: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?|\*)$";
/// DNS-1123 subdomain: names of objects.
pub const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Value of a Kubernetes label.
pub const LABEL_VALUE: &str = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
/// Key of a Kubernetes label or annotation: an optional DNS prefix of at most 253 characters, and a name of at most 63.
pub const QUALIFIED_NAME: &str =
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// What to say to somebody whose text does not match: follows the quoted text.
const WORDS: [(&str, &str); 23] = [
    (ID, "may hold letters, digits, - and _ only"),
    (DEVICE, "may hold letters, digits, -, _, ., : and @ only"),
    (VERSION, "may hold letters, digits, ., - and _ only"),
    (SHA256, "is not a SHA-256: 64 hexadecimal digits are wanted"),
    (REGION, "is not a region: small letters, digits and - are wanted (cn-north-4)"),
    (OBS_REGION, "is not a region: letters, digits and - are wanted (cn-north-4)"),
    (BUCKET, "is not the name of a bucket: small letters, digits, . and - are wanted"),
    (
        OBJECT_KEY,
        "must end in one of .bin, .dav, .tar, .gz, .zip, .gzip, .apk, .tar.gz, .tar.xz, .pack, .exe, .bat, .img",
    ),
    (PRODUCT_TEXT, "may not hold / or begin or end with a blank"),
    (ARTIFACT_FILE, "must end in one of .bin, .dav, .tar, .gz, .zip, .gzip, .apk, .tar.gz, .tar.xz, .pack"),
    (MD5, "is not an MD5: 32 hexadecimal digits are wanted"),
    (
        ADDRESS,
        "is not an address: https://HOST or https://HOST:PORT is wanted, without path or user name, and an IPv6 address in brackets",
    ),
    (SECRET_SOURCE, "is not the source of a secret: write env:VAR, file:PATH or exec:CMD"),
    (PERCENT, "is not a percentage (try 95%)"),
    (PERIOD, "is not a duration (try 30m, 24h or 7d)"),
    (TIME_OF_DAY, "is not a time of day: two digits for the hour and two for the minute are wanted (01:00)"),
    (TIME_ZONE, "is not the name of a time zone (try Asia/Shanghai or UTC)"),
    (TAG_VALUE, "may hold letters, digits, Chinese characters, ., - and _ only"),
    (LABEL_OR_ANY, "is not the name of a namespace, and not * for all of them"),
    (LABEL, "may hold small letters, digits and - only, and begins and ends with a letter or digit"),
    (NAME, "may hold small letters, digits, - and . only, and begins and ends with a letter or digit"),
    (LABEL_VALUE, "may hold letters, digits, -, _ and . only, and begins and ends with a letter or digit"),
    (
        QUALIFIED_NAME,
        "is not a key: letters, digits, -, _ and . are wanted, after a prefix such as example.com/ if need be",
    ),
];

/// What to say of a text that does not match `pattern`; `None` for a pattern that is not of this page.
#[must_use]
pub fn words(pattern: &str) -> Option<&'static str> {
    WORDS.iter().find(|(known, _)| *known == pattern).map(|(_, words)| *words)
}
