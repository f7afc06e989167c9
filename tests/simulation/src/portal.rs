//! What people do in the portal of a cloud whose packages come by hand: they upload what a manifest asks for, maybe late,
//! maybe twice, maybe under another version, maybe never.

use super::clouds::{self, Account, StrangeDeed};
use super::dice::Dice;
use jiff::Timestamp;
use rollwave::cloud::PackageKind;
use rollwave::simulator::Simulator;
use serde_json::Value;

/// Something that is done in the portal.
#[derive(Clone, Debug)]
pub(super) enum Portal {
    /// A package is uploaded.
    Uploads(Account, Upload),
    /// Of several packages of this version all but the oldest are deleted.
    TidiesUp(Account, Upload),
}

/// What the form says.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) kind: PackageKind,
    pub(super) version: String,
    pub(super) file: u64,
}

/// The upload that the spec of a package asks for.
pub(super) fn upload_of(account: Account, spec: &Value) -> Portal {
    let kind = if spec["type"] == "Software" { PackageKind::Software } else { PackageKind::Firmware };
    let version = spec["version"].as_str().unwrap_or_default().to_owned();
    Portal::Uploads(account, Upload { kind, version, file: account.n * 16 })
}

/// A package of a manifest, and how long people may take for it. What they do, by the second; second 0 is before all else.
pub(super) fn plot(dice: &mut Dice, account: Account, upload: &Upload, seconds: u64) -> Vec<(u64, Portal)> {
    let uploads = |version: &str, more: u64| {
        let upload = Upload { version: version.to_owned(), file: upload.file + more, ..upload.clone() };
        Portal::Uploads(account, upload)
    };
    let wanted = upload.version.as_str();
    let later = dice.between(1, seconds.div_ceil(2));
    let last = dice.between(later, seconds);
    match dice.between(0, 99) {
        0..50 => vec![(0, uploads(wanted, 0))],
        50..70 => vec![(later, uploads(wanted, 0))],
        70..77 => vec![(0, uploads(wanted, 0)), (later, uploads(wanted, 100))],
        77..85 => {
            let tidies_up = Portal::TidiesUp(account, upload.clone());
            vec![(0, uploads(wanted, 0)), (later, uploads(wanted, 100)), (last, tidies_up)]
        }
        85..95 => vec![(0, uploads("V9", 100)), (later, uploads(wanted, 0))],
        _ => Vec::new(),
    }
}

/// Does it; what the portal said.
pub(super) fn act(simulator: &mut Simulator, portal: &Portal, now: Timestamp) -> String {
    match portal {
        Portal::Uploads(account, Upload { kind, version, file }) => {
            let deed = StrangeDeed::CreatePackage { kind: *kind, version: version.clone(), file: *file };
            account.side().act(simulator, account.n, &deed, now)
        }
        Portal::TidiesUp(account, upload) => {
            let name = account.name();
            let is_one = |package: &clouds::PackageTruth| {
                package.account == name && package.kind == upload.kind && package.version == upload.version
            };
            let several: Vec<_> = clouds::packages(simulator).into_iter().filter(is_one).skip(1).collect();
            let delete = |package: clouds::PackageTruth| {
                account.side().act(simulator, account.n, &StrangeDeed::DeletePackage { id: package.id }, now)
            };
            several.into_iter().map(delete).collect::<Vec<_>>().join("; ")
        }
    }
}
