//! The accounts of an example at the simulator's address, with their keys in files: an example never holds a secret.

use crate::simulator::world::Clouds;
use std::{io, path::Path};

/// Writes the manifest of accounts into the folder `fleet`, and the keys that it reads from variables into files of the same
/// names.
pub(super) fn write(dir: &Path, name: &str, manifest: &str, clouds: &Clouds, url: &str) -> io::Result<()> {
    let (fleet, keys) = (dir.join("fleet"), dir.join("keys"));
    fs_err::create_dir_all(&fleet)?;
    fs_err::create_dir_all(&keys)?;
    for (variable, secret) in secrets(clouds) {
        fs_err::write(keys.join(variable), secret)?;
    }
    let lines: Vec<String> = manifest.lines().map(|line| at_the_simulator(line, url)).collect();
    fs_err::write(fleet.join(name), lines.join("\n") + "\n")
}

fn secrets(clouds: &Clouds) -> Vec<(&'static str, &str)> {
    let iotda = clouds.huawei_iotda.iter().flat_map(|cloud| &cloud.accounts).flat_map(|account| {
        [("HUAWEICLOUD_SDK_AK", account.access_key.as_str()), ("HUAWEICLOUD_SDK_SK", &account.secret_key)]
    });
    let ocean_connect = clouds.ocean_connect.iter().flat_map(|cloud| &cloud.apps);
    let ocean_connect = ocean_connect.map(|app| ("OCEANCONNECT_SECRET", app.secret.as_str()));
    let aliyun = clouds.aliyun_iot.iter().flat_map(|cloud| &cloud.accounts).flat_map(|account| {
        [
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", account.access_key.as_str()),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &account.secret_key),
        ]
    });
    let enos = clouds.enos.iter().flat_map(|cloud| &cloud.accounts).flat_map(|account| {
        [("ENOS_APP_KEY", account.app_key.as_str()), ("ENOS_APP_SECRET", &account.app_secret)]
    });
    iotda.chain(ocean_connect).chain(aliyun).chain(enos).collect()
}

fn at_the_simulator(line: &str, url: &str) -> String {
    match line.split_once("endpoint: ") {
        Some((indent, _)) => format!("{indent}endpoint: {url}"),
        None => line.replace("env:", "file:../keys/"),
    }
}
