//! Manifests: what is refused, in which words, and what is read.

mod references;
mod values;

use rollwave::api::SOURCE_FILE_ANNOTATION;
use rollwave::api::{self, Kind, Object, ObjectKey};
use rollwave::source::manifest::{self, Manifests, check_update, gather, parse};
use rollwave::source::{Snapshot, folder};
use std::path::{Path, PathBuf};

const CLOUD: &str = include_str!("../../examples/fleet/1-cloud.yaml");
const RELEASE: &str = include_str!("release.yaml");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The snapshot of several files.
fn snapshot(files: &[(&str, &str)]) -> Snapshot {
    let mut manifests = Manifests::default();
    files.iter().for_each(|(name, text)| manifests.add(Path::new(name), text));
    gather(manifests)
}

/// The example with one text replaced by another, and what is said of it.
fn said_of(text: &str, from: &str, to: &str) -> Vec<String> {
    assert!(text.contains(from), "{from}");
    let changed = text.replacen(from, to, 1);
    parse(Path::new("f.yaml"), &changed).1.iter().map(ToString::to_string).collect()
}

fn table(text: &str, cases: &[(&str, &str)]) -> String {
    let said = cases.iter().map(|(from, to)| format!("{}\n", said_of(text, from, to).join("\n")));
    said.collect::<Vec<_>>().join("--\n")
}

#[test]
fn the_examples_are_free_of_problems() {
    let snapshot = folder::read(&root().join("examples/fleet"));
    assert_eq!(snapshot.problems, []);
    let keys: Vec<String> = snapshot.objects.keys().map(ObjectKey::to_string).collect();
    insta::assert_snapshot!(keys.join("\n"), @r##"
    OtaCloud/meters
    OtaPackage/meter-v2.0
    OtaPackage/meter-v3.0
    OtaRollout/meter-v2.0
    OtaRollout/meter-v3.0
    "##);
    let enos = folder::read(&root().join("examples/enos"));
    assert_eq!((enos.problems, enos.objects.len()), (vec![], 3));
}

#[test]
fn bad_versions_are_refused_in_plain_words() {
    let long = format!("version: V{}", "9".repeat(256));
    let many = |n: usize| {
        format!("sourceVersions: [{}]", (0..n).map(|i| format!("V{i}")).collect::<Vec<_>>().join(", "))
    };
    let (some, more) = (many(21), many(31));
    let cases = [
        ("version: V2.0", long.as_str()),
        ("version: V2.0", "version: 2.0"),
        ("version: V2.0", "version: true"),
        ("version: V2.0", "version:"),
        ("version: V2.0", "version: [V2.0]"),
        ("version: V2.0", "version: V2/0"),
        ("version: V2.0", "versoin: V2.0"),
        ("version: V2.0", "version: V2.0\n  version: V2.1"),
        ("sourceVersions: [V1.0]", some.as_str()),
        ("sourceVersions: [V1.0]", more.as_str()),
        ("sourceVersions: [V1.0]", "sourceVersions: V1.0"),
    ];
    insta::assert_snapshot!(table(RELEASE, &cases), @r##"
    f.yaml:10:12: spec.version: has 257 characters, at most 256 allowed
    --
    f.yaml:10:12: spec.version: expected text, found the number 2.0: quote it ("2.0")
    --
    f.yaml:10:12: spec.version: expected text, found true: quote it ("true")
    --
    f.yaml:10:10: spec.version: is empty: set a value
    --
    f.yaml:10:12: spec.version: expected text, found a list
    --
    f.yaml:10:12: spec.version: "V2/0" may contain only letters, digits, ., - and _
    --
    f.yaml:10:3: spec.versoin: unknown field `versoin`: did you mean `version`?
    --
    f.yaml:11:3: spec.version: duplicate field `version`, first at line 10, column 3
    --
    f.yaml:11:19: spec.sourceVersions: has 21 items, at most 20 allowed
    --
    f.yaml:11:19: spec.sourceVersions: has 31 items, at most 20 allowed
    --
    f.yaml:11:19: spec.sourceVersions: expected a list (`- …` for each item), found the text "V1.0"
    "##);
}

#[test]
fn the_old_form_of_the_delivery_timeout_is_refused_with_the_new_one() {
    let cases = [
        ("  targets:", "  delivery: {timeout: 2h}\n  targets:"),
        ("  targets:", "  delivery: {timeout: {queued: 1d, inprogress: 2h}}\n  targets:"),
    ];
    let told = table(RELEASE, &cases);
    assert!(
        told.contains("spec.delivery.timeout: must be a map with queued and inProgress: use delivery.timeout.inProgress (`timeout: {inProgress: 2h}`)"),
        "{told}"
    );
    assert!(told.contains("unknown field `inprogress`: did you mean `inProgress`?"), "{told}");
}

#[test]
fn bad_artifacts_and_verifications_are_refused_in_plain_words() {
    let sha = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a";
    let cases = [
        (sha, "xyz"),
        (sha, &"a".repeat(65)),
        ("meter/V2.0.bin", "meter/V2.0.txt"),
        ("type: Firmware", "type: firmware"),
        ("type: Firmware", "type: Bootloader"),
        ("timeout: 2h", "timeout: two hours"),
        ("timeout: 2h", "timeout: 90"),
        ("timeout: 2h", "timeout: 2h\n    minSuccess: ninety"),
        ("devices: [meter-0001, meter-0002]", "devices: []"),
        ("    obs: {region", "    size: 2000000000\n    obs: {region"),
        ("    obs: {region", "    size: \"5\"\n    obs: {region"),
        ("    obs: {region", "    size: 1e30\n    obs: {region"),
        ("    obs: {region", "    size: 1.5\n    obs: {region"),
        ("  product: {id: meter}\n", ""),
        ("product: {id: meter}", "product: meter"),
    ];
    insta::assert_snapshot!(table(RELEASE, &cases), @r##"
    f.yaml:14:13: spec.artifact.sha256: "xyz" is not a SHA-256: use 64 hexadecimal digits
    --
    f.yaml:14:13: spec.artifact.sha256: has 65 characters, at most 64 allowed
    --
    f.yaml:15:54: spec.artifact.obs.key: "meter/V2.0.txt" must end in one of .bin, .dav, .tar, .gz, .zip, .gzip, .apk, .tar.gz, .tar.xz, .pack, .exe, .bat, .img
    --
    f.yaml:8:9: spec.type: "firmware" is not Firmware or Software: did you mean Firmware?
    --
    f.yaml:8:9: spec.type: "Bootloader" is not Firmware or Software
    --
    f.yaml:18:14: spec.verification.timeout: "two hours" is not a duration (try 30m, 24h or 7d)
    --
    f.yaml:18:14: spec.verification.timeout: "90" is not a duration (try 30m, 24h or 7d)
    --
    f.yaml:19:17: spec.verification.minSuccess: "ninety" is not a percentage (try 95%)
    --
    f.yaml:17:14: spec.verification.devices: has 0 items, at least 1 required
    --
    f.yaml:15:11: spec.artifact.size: is 2000000000, must be at most 1073741824
    --
    f.yaml:15:11: spec.artifact.size: expected a whole number, found the text "5": remove the quotes
    --
    f.yaml:15:11: spec.artifact.size: is 1e30, must be at most 1073741824
    --
    f.yaml:15:11: spec.artifact.size: 1.5 is not a whole number
    --
    f.yaml:7:3: spec.product: is missing
    --
    f.yaml:9:12: spec.product: expected a map of fields (`deviceType: …`)
    "##);
}

#[test]
fn bad_stages_are_refused_in_plain_words() {
    let cases = [
        ("minSuccess: 95%, confidence", "minSucces: 95%, confidence"),
        ("minSuccess: 95%, confidence", "minSuccess: ninety, confidence"),
        ("minSuccess: 95%, confidence", "minSuccess: 0.95, confidence"),
        ("minSuccess: 95%, confidence", "minSuccess: 100%, confidence"),
        ("confidence: 95%", "confidence: 100%"),
        ("minSample: 52", "minSample: many"),
        ("minSample: 52", "minSample: 0"),
        ("name: proven, outcome: {minSuccess: 95%, c", "outcome: {minSuccess: 95%, c"),
        (
            "{minSuccess: 95%, confidence: 95%, minSample: 52}}",
            "{minSuccess: 95%}}\n        - {name: proven, outcome: {minSuccess: 90%}}",
        ),
        ("name: half", "name: canary"),
        ("name: half", "name: Half"),
        ("select: {percent: 50%}", "select: {rest: true}"),
        ("select: {rest: true}", "select: {rest: false}"),
        ("select: {rest: true}", "select: {percent: 100%}\n    - name: last\n      select: {}"),
        ("select: {percent: 50%}", "select: {percent: 50%, count: 5}"),
        ("select: {percent: 50%}", "select: {precent: 50%}"),
    ];
    insta::assert_snapshot!(table(RELEASE, &cases), @r##"
    f.yaml:35:36: spec.stages[0].gates[0].outcome.minSucces: unknown field `minSucces`: did you mean `minSuccess`?
    --
    f.yaml:35:48: spec.stages[0].gates[0].outcome.minSuccess: "ninety" is not a percentage (try 95%)
    --
    f.yaml:35:48: spec.stages[0].gates[0].outcome.minSuccess: "0.95" is not a percentage (try 95%)
    --
    f.yaml:35:35: spec.stages[0].gates[0].outcome: methods Wilson and Exact cannot prove a success rate of 100%: lower minSuccess, or use method Ratio
    --
    f.yaml:35:35: spec.stages[0].gates[0].outcome: methods Wilson and Exact cannot reach a confidence of 100%: lower confidence
    --
    f.yaml:35:81: spec.stages[0].gates[0].outcome.minSample: expected a whole number, found the text "many"
    --
    f.yaml:35:81: spec.stages[0].gates[0].outcome.minSample: is 0, must be at least 1
    --
    f.yaml:35:11: spec.stages[0].gates[0].name: is missing: use {name: …, outcome: …}
    --
    f.yaml:35:9: spec.stages[0].gates: gate names must be unique
    --
    f.yaml:30:5: spec.stages: stage names must be unique
    --
    f.yaml:36:13: spec.stages[1].name: "Half" may contain only lowercase letters, digits and -, and must begin and end with a letter or digit
    --
    f.yaml:30:5: spec.stages: only one stage may have select.rest
    --
    f.yaml:42:22: spec.stages[2].select.rest: rest can only be true: leave it out otherwise
    --
    f.yaml:44:15: spec.stages[3].select: set exactly one of count, percent, devices, groups, tags, attributes, rest
    --
    f.yaml:37:15: spec.stages[1].select: set exactly one of count, percent, devices, groups, tags, attributes, rest
    --
    f.yaml:37:16: spec.stages[1].select.precent: unknown field `precent`: did you mean `percent`?
    "##);
}

#[test]
fn options_of_other_systems_are_refused_with_what_to_use_instead() {
    let cases = [
        ("method: Ratio, maxFailure: 10%, minSample: 20", "method: Consecutive, maxFailure: 3"),
        ("action: Pause", "action: Rollback"),
    ];
    let told = table(RELEASE, &cases);
    assert!(told.contains("Consecutive is not supported: no cloud reports in which order"), "{told}");
    assert!(told.contains("Rollback is not supported: use Pause or Abort"), "{told}");
}

#[test]
fn bad_windows_are_refused_in_plain_words() {
    let good = "windows: [{days: [Sat, Sun], start: \"01:00\", duration: 4h, timeZone: Asia/Shanghai}]";
    let release = RELEASE.replace("name: half\n", &format!("name: half\n      {good}\n"));
    assert_eq!(table(&release, &[("name: half", "name: half")]).trim(), "");
    let cases = [
        ("Asia/Shanghai", "Asia/Shanghia"),
        ("Asia/Shanghai", "GMT+8"),
        ("duration: 4h", "duration: 0h"),
        ("duration: 4h", "duration: 8d"),
        ("duration: 4h", "duration: long"),
        ("Sat, Sun", "Sat, Sunday"),
        ("Sat, Sun", "Noday"),
        ("\"01:00\"", "01:00:00"),
        ("\"01:00\"", "\"24:00\""),
        ("\"01:00\"", "1"),
        (", timeZone: Asia/Shanghai", ""),
        ("windows: [{", "notBefore: tomorrow\n      windows: [{"),
        ("windows: [{", "notBefore: 2026-01-06T01:00:00\n      windows: [{"),
        ("start:", "from:"),
    ];
    insta::assert_snapshot!(table(&release, &cases), @r##"
    f.yaml:37:76: spec.stages[1].windows[0].timeZone: "Asia/Shanghia" is not a time zone of the IANA database: use a name such as Asia/Shanghai or UTC
    --
    f.yaml:37:76: spec.stages[1].windows[0].timeZone: "GMT+8" is not a time zone of the IANA database: use a name such as Asia/Shanghai or UTC
    --
    f.yaml:37:62: spec.stages[1].windows[0].duration: "0h" is not a valid duration of a window: use more than 0s and at most 7d, such as 4h
    --
    f.yaml:37:62: spec.stages[1].windows[0].duration: "8d" is not a valid duration of a window: use more than 0s and at most 7d, such as 4h
    --
    f.yaml:37:62: spec.stages[1].windows[0].duration: "long" is not a valid duration of a window: use more than 0s and at most 7d, such as 4h
    --
    f.yaml:37:30: spec.stages[1].windows[0].days[1]: "Sunday" is not Mon, Tue, Wed, Thu, Fri, Sat or Sun
    --
    f.yaml:37:25: spec.stages[1].windows[0].days[0]: "Noday" is not Mon, Tue, Wed, Thu, Fri, Sat or Sun
    --
    f.yaml:37:43: spec.stages[1].windows[0].start: "01:00:00" is not a time of day: use HH:MM, such as 01:00
    --
    f.yaml:37:43: spec.stages[1].windows[0].start: "24:00" is not a time of day: use HH:MM, such as 01:00
    --
    f.yaml:37:43: spec.stages[1].windows[0].start: expected text, found the number 1: quote it ("1")
    --
    f.yaml:37:17: spec.stages[1].windows[0].timeZone: is missing
    --
    f.yaml:37:18: spec.stages[1].notBefore: "tomorrow" is not a time with an offset from UTC (try 2026-01-06T01:00:00+08:00)
    --
    f.yaml:37:18: spec.stages[1].notBefore: "2026-01-06T01:00:00" is not a time with an offset from UTC (try 2026-01-06T01:00:00+08:00)
    --
    f.yaml:37:17: spec.stages[1].windows[0].start: is missing
    f.yaml:37:36: spec.stages[1].windows[0].from: unknown field `from`: use days, duration, start or timeZone
    "##);
}

#[test]
fn bad_targets_and_stop_rules_are_refused_in_plain_words() {
    let cases = [
        (
            "    - name: half\n      select: {percent: 50%}",
            "    - name: rest-first\n      select: {rest: true}",
        ),
        ("method: Ratio, maxFailure: 10%", "method: Count, maxFailure: 10%"),
        ("method: Ratio, maxFailure: 10%", "method: Ratio, maxFailure: 10"),
        ("method: Ratio, maxFailure: 10%", "method: Ratio, maxFailure: a tenth"),
        ("method: Ratio, maxFailure: 10%", "method: Ratio, maxFailure: [10%]"),
        ("    all: true", "    all: true\n    groups: [0a]"),
        ("    all: true\n", ""),
        ("    all: true", "    tags: {site: [nörd], '': []}"),
        ("  stages:", "  suspend: \"yes\"\n  windows: []\n  stages:"),
    ];
    insta::assert_snapshot!(table(RELEASE, &cases), @r##"
    f.yaml:30:5: spec.stages: only one stage may have select.rest
    --
    f.yaml:45:7: spec.stop[0]: maxFailure of method Count must be a whole number, such as 3
    --
    f.yaml:45:7: spec.stop[0]: maxFailure of method Ratio must be a percentage, such as 5%
    --
    f.yaml:45:60: spec.stop[0].maxFailure: "a tenth" is not a percentage (try 95%)
    --
    f.yaml:45:60: spec.stop[0].maxFailure: expected a whole number or a percentage, found a list
    --
    f.yaml:27:5: spec.targets: set exactly one of all, devices, groups, tags, attributes
    --
    f.yaml:27:5: spec.targets: set exactly one of all, devices, groups, tags, attributes
    --
    f.yaml:28:19: spec.targets.tags.site[0]: "nörd" may contain only letters, digits, Chinese characters, ., - and _
    f.yaml:28:30: spec.targets.tags[""]: has 0 items, at least 1 required
    --
    f.yaml:29:12: spec.suspend: expected true or false, found the text "yes"
    f.yaml:30:3: spec.windows: unknown field `windows`: use delivery, newDevices, order, packageRef, priority, readyWhen, stages, stop, suspend or targets
    "##);
}

#[test]
fn bad_documents_are_refused_in_plain_words() {
    let cases = [
        ("kind: OtaCloud", "kind: OtaClod"),
        ("kind: OtaCloud", "kind: Secret"),
        ("kind: OtaCloud\n", ""),
        ("apiVersion: ota.rollwave.dev/v1alpha1", "apiVersion: ota.rollwave.dev/v1"),
        ("apiVersion: ota.rollwave.dev/v1alpha1\n", ""),
        ("  name: meters", "  name: My_Meters"),
        ("  name: meters", "  namespace: Field\n  labels: {team: 5, '-x': y}\n  name: meters"),
        ("  name: meters", "  uid: 1234\n  nmae: meters"),
        ("  name: meters", "  name: meters\n  annotations: {rollwave.dev/source-file: x, example.com/a: ok}"),
        ("spec:\n", "status: {}\nspec:\n"),
        ("driftInterval: 5m", "budget: {requestsPerSecond: 2000, burst: 0}"),
        ("projectId: 84ff", "projectId: 84ff "),
        ("endpoint: https://", "endpoint: https://me:hunter2@"),
        ("  credentials:\n", "  credentials:\n    username: env:USER\n"),
        ("    secretKey: env:HUAWEICLOUD_SDK_SK\n", ""),
        ("  name: meters\n", "\tname: meters\n"),
    ];
    insta::assert_snapshot!(table(CLOUD, &cases), @r##"
    f.yaml:3:7: kind: unknown kind "OtaClod": did you mean OtaCloud?
    --
    f.yaml:3:7: kind: unknown kind "Secret": use OtaCloud, OtaPackage or OtaRollout
    --
    f.yaml:2:1: kind: is missing: use OtaCloud, OtaPackage or OtaRollout
    --
    f.yaml:2:13: apiVersion: the text "ota.rollwave.dev/v1" is not supported: use ota.rollwave.dev/v1alpha1
    --
    f.yaml:2:1: apiVersion: is missing
    --
    f.yaml:5:9: metadata.name: "My_Meters" may contain only lowercase letters, digits, - and ., and must begin and end with a letter or digit
    --
    f.yaml:5:14: metadata.namespace: "Field" may contain only lowercase letters, digits and -, and must begin and end with a letter or digit
    f.yaml:6:18: metadata.labels.team: expected text, found the number 5: quote it ("5")
    f.yaml:6:21: metadata.labels.-x: "-x" is not a key: use letters, digits, -, _ and ., optionally after a prefix such as example.com/
    --
    f.yaml:5:3: metadata.uid: is set by the Kubernetes API server: remove it
    f.yaml:6:3: metadata.nmae: unknown field `nmae`: did you mean `name`?
    --
    f.yaml:6:17: metadata.annotations["rollwave.dev/source-file"]: is set by Rollwave: remove it
    --
    f.yaml:6:1: status: is written by Rollwave: remove it
    --
    f.yaml:15:31: spec.budget.requestsPerSecond: is 2000, must be at most 1000
    f.yaml:15:44: spec.budget.burst: is 0, must be at least 1
    --
    f.yaml:10:16: spec.huaweiIotda.projectId: "84ff a6b1c9d0446b8f5d3e2a1b0c9d8e" may contain only letters, digits, - and _
    --
    f.yaml:8:15: spec.huaweiIotda.endpoint: "https://…@9bc34a0001.st1.iotda-app.cn-north-4.myhuaweicloud.…" is not an address: use https://HOST or https://HOST:PORT, without path or user name; put an IPv6 address in brackets
    --
    f.yaml:13:5: spec.credentials: set exactly one of secretRef, accessKey with secretKey, username with password and domain, or appSecret
    f.yaml:13:5: spec.credentials: set username, password and domain together
    --
    f.yaml:13:5: spec.credentials: set accessKey and secretKey together
    --
    f.yaml:5:2: invalid YAML: a tab is used for indentation: use spaces
    "##);
}

#[test]
fn a_literal_secret_is_refused_and_never_repeated() {
    for literal in ["hunter2-hunter2", "123456", "[hunter2]", "{hunter2: x}", "\"env:\"", "\"\"", "true"] {
        let said = said_of(CLOUD, "env:HUAWEICLOUD_SDK_SK", literal);
        assert_eq!(
            said,
            [
                "f.yaml:14:16: spec.credentials.secretKey: must not be a literal secret: use env:VAR, file:PATH or exec:CMD"
            ],
            "{literal}"
        );
    }
}

#[test]
fn a_secret_in_any_other_place_is_not_repeated_either() {
    let source = "secretKey: env:HUAWEICLOUD_SDK_SK";
    let whole = &CLOUD[CLOUD.find("credentials:").unwrap()..CLOUD.find("  driftInterval").unwrap()];
    let cases = [
        (source, "secretKey: !hunter2"),
        (source, "secretKey: *hunter2"),
        (source, "secretKey: %hunter2"),
        (source, "secretKey: hunter2: x"),
        (source, "secretKye: hunter2"),
        (whole, "credentials: hunter2\n"),
        (whole, "credentials: [hunter2]\n"),
    ];
    for (from, to) in cases {
        let said = said_of(CLOUD, from, to);
        assert!(!said.is_empty() && !said.concat().contains("hunter2"), "{said:?}");
    }
}

#[test]
fn every_problem_of_every_file_is_told_in_order() {
    let bad = RELEASE.replace("version: V2.0\n", "version: 2.0\n").replace("percent: 50%", "percent: half");
    let snapshot =
        snapshot(&[("b.yaml", &bad), ("a.yaml", CLOUD), ("c.yaml", "a: [1\n"), ("a2.yaml", "- x\n")]);
    let said: Vec<String> = snapshot.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r##"
    a2.yaml:1:1: expected a manifest (`kind: …`), found a list
    b.yaml:10:12: spec.version: expected text, found the number 2.0: quote it ("2.0")
    b.yaml:37:25: spec.stages[1].select.percent: "half" is not a percentage (try 95%)
    c.yaml:1:4: invalid YAML: the bracket that opens here is not closed
    "##);
    assert_eq!(snapshot.objects.len(), 1);
}

#[test]
fn what_names_a_package_can_never_be_changed() {
    let (old, _) = parse(Path::new("old.yaml"), RELEASE);
    let changed = RELEASE
        .replace("version: V2.0\n", "version: V2.1\n")
        .replace("product: {id: meter}", "product: {id: meter2}")
        .replace("description: Fixes", "description: Also fixes");
    let (new, problems) = parse(Path::new("new.yaml"), &changed);
    assert_eq!(problems, []);
    let said: Vec<String> = check_update(&old[0].object, &new[0]).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r##"
    new.yaml:9:12: spec.product: cannot be changed: write a new OtaPackage for another product
    new.yaml:10:12: spec.version: cannot be changed: write a new OtaPackage for another version
    "##);
    assert_eq!(check_update(&old[1].object, &new[1]), []);
    assert_eq!(check_update(&old[0].object, &old[0]), []);
}

#[test]
fn a_list_holds_documents_and_comments_hold_none() {
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n  -{}",
        CLOUD
            .lines()
            .skip(1)
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
            .trim_start_matches("   ")
    );
    let (objects, problems) = parse(Path::new("list.yaml"), &list);
    assert_eq!(problems, []);
    assert_eq!(objects.len(), 1);
    assert_eq!((objects[0].place.line, objects[0].place.column), (4, 5));
    for text in ["", "\u{feff}", "# nothing\n", "---\n---\n", "kind: List\nitems: []\n"] {
        assert_eq!(parse(Path::new("empty.yaml"), text), (vec![], vec![]), "{text:?}");
    }
}

#[test]
fn half_a_file_yields_no_object() {
    let (objects, problems) = parse(Path::new("half.yaml"), &format!("{CLOUD}---\nkind: [\n"));
    assert_eq!(objects, []);
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_file_of_more_than_8_mib_is_refused() {
    let text = " ".repeat(manifest::MAX_BYTES + 1);
    let said = parse(Path::new("big.yaml"), &text).1[0].to_string();
    assert_eq!(said, "big.yaml:1:1: has 8388609 bytes, at most 8388608 (8 MiB) are allowed");
}

#[test]
fn every_object_names_its_file_and_is_otherwise_as_it_was_written() {
    for text in [CLOUD, RELEASE] {
        let (objects, problems) = parse(Path::new("dir/f.yaml"), text);
        assert_eq!(problems, []);
        let mut written = String::new();
        for sourced in &objects {
            let mut object = sourced.object.clone();
            let annotations = object.meta_mut().annotations.take().unwrap();
            assert_eq!(annotations[SOURCE_FILE_ANNOTATION], "dir/f.yaml");
            written.push_str(&format!("---\n{}\n", serde_json::to_string(&object).unwrap()));
        }
        let (again, problems) = parse(Path::new("dir/f.yaml"), &written);
        assert_eq!(problems, []);
        let plain = |objects: &[rollwave::source::Sourced]| -> Vec<Object> {
            objects.iter().map(|sourced| sourced.object.clone()).collect()
        };
        assert_eq!(plain(&again), plain(&objects));
    }
}

#[test]
fn the_committed_definitions_are_what_the_types_say() {
    for (folder, kind) in
        ["crds", "charts/rollwave/crds"].into_iter().flat_map(|f| Kind::ALL.map(|kind| (f, kind)))
    {
        let file = root().join(folder).join(api::definition_file(kind));
        let committed = std::fs::read_to_string(&file).unwrap();
        assert!(
            committed == api::definition_yaml(kind),
            "{} is not current: run `make crds`",
            file.display()
        );
        let read: serde_json::Value = serde_yaml::from_str(&committed).unwrap();
        assert_eq!(read, api::definition(kind));
    }
    for kind in Kind::ALL {
        let file = root().join("schemas").join(api::json_schema_file(kind));
        let committed = std::fs::read_to_string(&file).unwrap();
        assert!(
            committed == format!("{:#}\n", api::json_schema(kind)),
            "{}: run `make crds`",
            file.display()
        );
    }
}

#[test]
fn two_objects_for_one_package_of_a_cloud_are_refused() {
    let package = |name: &str| {
        format!(
            "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaPackage\nmetadata: {{name: {name}}}\nspec:\n  cloudRef: {{name: meters}}\n  \
             type: Firmware\n  product: {{id: meter}}\n  version: V2.0\n  artifact: {{sha256: {}, obs: {{region: r, bucket: fw1, key: a.bin}}}}\n",
            "a".repeat(64)
        )
    };
    let mut manifests = Manifests::default();
    manifests.add(Path::new("f.yaml"), &format!("{}---\n{}", package("one"), package("two")));
    let snapshot = gather(manifests);
    assert!(snapshot.objects.is_empty());
    let said: Vec<String> = snapshot.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @"f.yaml:18:12: spec.version: OtaPackage/two and OtaPackage/one (at f.yaml:1:1) are the same package of meters: a cloud has one per product, type and version; keep one of them");
}

#[test]
fn two_clouds_of_one_account_are_refused_by_place_and_the_first_stays() {
    let cloud = |name: &str, namespace: &str, endpoint: &str| {
        format!(
            "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  huaweiIotda: {{endpoint: \"{endpoint}\", \
             region: cn-north-4, projectId: p1, appId: a1}}\n  credentials: {{accessKey: \"env:A\", secretKey: \"env:B\"}}\n"
        )
    };
    let text = [
        cloud("site-a", "default", "https://iotda.example.com"),
        cloud("site-b", "default", "https://IOTDA.example.com:443/"),
        cloud("site-c", "fleet", "https://iotda.example.com"),
        cloud("site-d", "default", "https://other.example.com"),
    ];
    let mut manifests = Manifests::default();
    manifests.add(Path::new("f.yaml"), &text.join("---\n"));
    let snapshot = gather(manifests);
    let kept: Vec<&str> = snapshot.objects.keys().map(|key| key.name.as_str()).collect();
    assert_eq!(kept, ["site-a", "site-d"]);
    let said: Vec<String> = snapshot.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    f.yaml:12:16: spec.huaweiIotda: OtaCloud/site-b is the same account as OtaCloud/site-a (at f.yaml:5:16): huaweiIotda at iotda.example.com, project p1, resource space a1; keep one of them and use it in every cloudRef
    f.yaml:19:16: spec.huaweiIotda: OtaCloud/fleet/site-c is the same account as OtaCloud/site-a (at f.yaml:5:16): huaweiIotda at iotda.example.com, project p1, resource space a1; keep one of them and use it in every cloudRef
    ");
}
