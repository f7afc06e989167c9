//! The same release on each of the four clouds.

use super::harness::Lab;
use rollwave::api::CloudKind;
use sha2::Digest as _;

const BYTES: &[u8] = b"the image of V2";

/// One account of a cloud with so many devices that run V1, and the manifest of the account.
pub fn lab(cloud: CloudKind, devices: u32) -> Lab {
    lab_with(cloud, devices, "")
}

/// Devices that have the tag `site: north`, and are in the group `a1b2`, where the cloud has them.
pub fn in_sets(cloud: CloudKind) -> &'static str {
    match cloud {
        CloudKind::HuaweiIotda | CloudKind::AliyunIot => ", tags: {site: north}, groups: [north]",
        CloudKind::OceanConnect => ", groups: [north]",
        CloudKind::Enos => ", tags: {site: north}, attributes: {model: x1}",
    }
}

/// How targets or a stage select them on this cloud.
pub fn by_sets(cloud: CloudKind) -> &'static [&'static str] {
    match cloud {
        CloudKind::HuaweiIotda | CloudKind::AliyunIot => &["{groups: [a1b2]}", "{tags: {site: [north]}}"],
        CloudKind::OceanConnect => &["{groups: [a1b2]}"],
        CloudKind::Enos => &["{tags: {site: [north]}}", "{attributes: {model: [x1]}}"],
    }
}

/// The same; `more` is what the world says of the account besides.
pub fn lab_with(cloud: CloudKind, devices: u32, more: &str) -> Lab {
    lab_of(cloud, &[&format!("count: {devices}, idPrefix: m-")], more)
}

/// The same with these series of devices.
pub fn lab_of(cloud: CloudKind, series: &[&str], more: &str) -> Lab {
    let keys = "accessKey: THE-ACCESS-KEY, secretKey: the-secret-key";
    let (served, product) = match cloud {
        CloudKind::HuaweiIotda => (
            format!(
                "huaweiIotda: {{accounts: [{{projectId: p1, appId: a1, region: cn-north-4, {keys}{more}}}]}}"
            ),
            "meter",
        ),
        CloudKind::OceanConnect => (
            format!(
                "oceanConnect: {{apps: [{{appId: a1, secret: the-secret-key, callsPerMinute: 0{more}, packages: \
                 [{{fileType: firmwarePackage, product: Acme/Meter/WM1, version: V2, sourceVersions: [V0, V1]}}]}}]}}"
            ),
            "Acme/Meter/WM1",
        ),
        CloudKind::AliyunIot => (
            format!("aliyunIot: {{throttled: false, accounts: [{{regionId: cn-shanghai, {keys}{more}}}]}}"),
            "meter",
        ),
        CloudKind::Enos => (
            format!(
                "enos: {{accounts: [{{orgId: o1, appKey: THE-ACCESS-KEY, appSecret: the-secret-key{more}}}]}}"
            ),
            "meter",
        ),
    };
    let series = series.iter().map(|devices| format!("- {{product: {product}, firmware: V1, {devices}}}\n"));
    let group = if cloud == CloudKind::Enos { "" } else { "groups: [{name: north, id: a1b2}]\n" };
    let lab = Lab::with_world(&format!(
        "seed: 11\ntimeFactor: 120\nclouds:\n  {served}\n{group}devices:\n{}behaviours: [{{version: V2, duration: {{min: 5s, max: 20s}}}}]\n",
        series.collect::<String>()
    ));
    lab.write("cloud.yaml", &account(cloud, &lab.url()));
    fs_err::write(lab.manifest("image.bin"), BYTES).unwrap();
    lab
}

/// The manifest of the account at an address.
pub fn account(cloud: CloudKind, url: &str) -> String {
    let keys = "{accessKey: env:LAB_AK, secretKey: env:LAB_SK}";
    let (section, keys) = match cloud {
        CloudKind::HuaweiIotda => ("region: cn-north-4, projectId: p1, appId: a1", keys),
        CloudKind::OceanConnect => ("appId: a1", "{appSecret: env:LAB_SK}"),
        CloudKind::AliyunIot => ("regionId: cn-shanghai", keys),
        CloudKind::Enos => ("orgId: o1", keys),
    };
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaCloud\nmetadata: {{name: lab}}\nspec:\n  \
         {cloud}: {{endpoint: {url:?}, {section}}}\n  credentials: {keys}\n  budget: {{requestsPerSecond: 100, burst: 100}}\n"
    )
}

/// V2, without a verification.
pub fn package(cloud: CloudKind) -> String {
    let sha256 = hex::encode(sha2::Sha256::digest(BYTES));
    let (product, artifact) = match cloud {
        CloudKind::HuaweiIotda => {
            ("{id: meter}", "obs: {region: cn-north-4, bucket: firmware, key: V2.bin}".to_owned())
        }
        CloudKind::OceanConnect => {
            ("{manufacturer: Acme, deviceType: Meter, model: WM1}", "portal: {}".to_owned())
        }
        CloudKind::AliyunIot => {
            let md5 = hex::encode(md5::Md5::digest(BYTES));
            ("{id: meter}", format!("file: image.bin, md5: {md5}"))
        }
        CloudKind::Enos => ("{id: meter}", "file: image.bin".to_owned()),
    };
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaPackage\nmetadata: {{name: v2}}\nspec:\n  \
         cloudRef: {{name: lab}}\n  type: Firmware\n  product: {product}\n  version: V2\n  \
         artifact: {{sha256: {sha256}, {artifact}}}\n"
    )
}

/// A canary of two, and the rest.
pub fn rollout(targets: &str) -> String {
    format!(
        "apiVersion: ota.rollwave.dev/v1alpha1\nkind: OtaRollout\nmetadata: {{name: v2}}\nspec:\n  packageRef: {{name: v2}}\n  \
         targets: {targets}\n  stages: [{{name: canary, select: {{count: 2}}}}, {{name: rest, select: {{rest: true}}}}]\n"
    )
}
