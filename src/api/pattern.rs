//! Patterns of the schemas, each with the message for a value that does not match.
//!
//! They are written in the common part of Rust's `regex`, Go's `regexp` (the API server) and CEL's RE2.

/// Ids of IoTDA: products, applications, projects.
pub const ID: &str = r"^[A-Za-z0-9_-]+$";
/// Names of devices, as any of the clouds accepts them; `support/` has the rules of each cloud.
pub const DEVICE: &str = r"^[A-Za-z0-9_.:@-]+$";
/// A firmware or software version (IoTDA `version`, `support_source_versions`).
pub const VERSION: &str = r"^[A-Za-z0-9_.-]+$";
/// SHA-256 in hexadecimal digits.
pub const SHA256: &str = r"^[A-Fa-f0-9]{64}$";
/// Region of a Huawei Cloud service.
pub const REGION: &str = r"^[a-z0-9-]+$";
/// Region of an OBS bucket (IoTDA `region_name` accepts capitals too).
pub const OBS_REGION: &str = r"^[A-Za-z0-9-]+$";
/// Name of an OBS bucket.
pub const BUCKET: &str = r"^[a-z0-9.-]+$";
/// Key of an OBS object with an extension that IoTDA accepts.
pub const OBJECT_KEY: &str = r"^.+\.(bin|dav|tar|gz|zip|gzip|apk|tar\.gz|tar\.xz|pack|exe|bat|img)$";
/// Manufacturer, device type, model, or the name of a file: anything without a slash or blanks at its ends.
pub const PRODUCT_TEXT: &str = r"^[^/\s]([^/]*[^/\s])?$";
/// Path of a file with an extension that a cloud accepts, relative to the manifest.
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
/// A property that devices are divided by.
pub const STRATIFY_BY: &str = r"^(sourceVersion|group|tag:.{1,64})$";
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

/// The message for a value that does not match: follows the quoted value.
const WORDS: [(&str, &str); 24] = [
    (ID, "may contain only letters, digits, - and _"),
    (DEVICE, "may contain only letters, digits, -, _, ., : and @"),
    (VERSION, "may contain only letters, digits, ., - and _"),
    (SHA256, "is not a SHA-256: use 64 hexadecimal digits"),
    (REGION, "is not a region: use lowercase letters, digits and -, such as cn-north-4"),
    (OBS_REGION, "is not a region: use letters, digits and -, such as cn-north-4"),
    (BUCKET, "is not a bucket name: use lowercase letters, digits, . and -"),
    (
        OBJECT_KEY,
        "must end in one of .bin, .dav, .tar, .gz, .zip, .gzip, .apk, .tar.gz, .tar.xz, .pack, .exe, .bat, .img",
    ),
    (PRODUCT_TEXT, "may not contain /, or begin or end with a space"),
    (ARTIFACT_FILE, "must end in one of .bin, .dav, .tar, .gz, .zip, .gzip, .apk, .tar.gz, .tar.xz, .pack"),
    (MD5, "is not an MD5: use 32 hexadecimal digits"),
    (
        ADDRESS,
        "is not an address: use https://HOST or https://HOST:PORT, without path or user name; put an IPv6 address in brackets",
    ),
    (SECRET_SOURCE, "is not the source of a secret: use env:VAR, file:PATH or exec:CMD"),
    (PERCENT, "is not a percentage (try 95%)"),
    (PERIOD, "is not a duration (try 30m, 24h or 7d)"),
    (TIME_OF_DAY, "is not a time of day: use HH:MM, such as 01:00"),
    (TIME_ZONE, "is not a time zone: use a name such as Asia/Shanghai or UTC"),
    (TAG_VALUE, "may contain only letters, digits, Chinese characters, ., - and _"),
    (STRATIFY_BY, "is not a property of devices: use sourceVersion, group or tag:KEY"),
    (LABEL_OR_ANY, "is not a namespace: use a name, or * for all"),
    (
        LABEL,
        "may contain only lowercase letters, digits and -, and must begin and end with a letter or digit",
    ),
    (
        NAME,
        "may contain only lowercase letters, digits, - and ., and must begin and end with a letter or digit",
    ),
    (
        LABEL_VALUE,
        "may contain only letters, digits, -, _ and ., and must begin and end with a letter or digit",
    ),
    (
        QUALIFIED_NAME,
        "is not a key: use letters, digits, -, _ and ., optionally after a prefix such as example.com/",
    ),
];

/// The message for a text that does not match `pattern`; `None` for a pattern from elsewhere.
#[must_use]
pub fn words(pattern: &str) -> Option<&'static str> {
    WORDS.iter().find(|(known, _)| *known == pattern).map(|(_, words)| *words)
}
