//! Packages: create, modify, list, query, delete.

use super::{
    Account, AliyunIot, DEFAULT_MODULE, codes,
    object_store::Object,
    request::{Handled, ID, MODULE, Paging, Refusal, Request, Rule, VERSION, invalid, is_letter, members},
};
use crate::simulator::{fleet::long_time, world::Policy};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const MOST_FILES: usize = 20;
const MOST_PACKAGES: usize = 500;
const NAME: Rule = Rule::new(40, |c| is_letter(c) || "-_()".contains(c));

/// One file of a package.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name; none for the one file of a package that is not made of several.
    pub name: Option<String>,
    /// Its address in the object store.
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// MD5, in lower-case hex, unless the create named another sign.
    pub sign: String,
    /// MD5 of the bytes.
    pub md5: String,
}

/// A package.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// `FirmwareId`.
    pub id: String,
    /// `FirmwareName`.
    pub name: String,
    /// `ProductKey`.
    pub product: String,
    /// `DestVersion`.
    pub version: String,
    /// `SrcVersion`.
    pub src_version: Option<String>,
    /// `ModuleName`.
    pub module: String,
    /// `Type`: 0 full, 1 delta.
    pub kind: i64,
    /// `FirmwareDesc`.
    pub description: Option<String>,
    /// `Udi`.
    pub udi: Option<String>,
    /// Its files; at least one.
    pub files: Vec<File>,
    /// `Status`: -1 needs no verification, 0 unverified, 1 verified, 2 verifying, 3 verification failed.
    pub status: i64,
    /// When it was created, in fleet time.
    pub created: Timestamp,
    /// When it was created, in wall time.
    pub created_wall: Timestamp,
    /// When it changed last.
    pub modified: Timestamp,
}

impl Firmware {
    fn row(&self, product_name: &str) -> Map<String, Value> {
        let mut row = members([
            ("FirmwareId", json!(self.id)),
            ("FirmwareName", json!(self.name)),
            ("SignMethod", json!("MD5")),
            ("DestVersion", json!(self.version)),
            ("ModuleName", json!(self.module)),
            ("ProductKey", json!(self.product)),
            ("ProductName", json!(product_name)),
            ("Status", json!(self.status)),
            ("Type", json!(self.kind)),
            ("UtcCreate", json!(long_time(self.created))),
            ("UtcModified", json!(long_time(self.modified))),
        ]);
        let optional = [("FirmwareDesc", &self.description), ("SrcVersion", &self.src_version)];
        for (name, value) in optional {
            if let Some(value) = value {
                row.insert(name.to_owned(), json!(value));
            }
        }
        if let [File { name: None, sign, size, .. }] = self.files.as_slice() {
            row.extend(members([("FirmwareSign", json!(sign)), ("FirmwareSize", json!(size))]));
        }
        row
    }

    fn whole(&self, product_name: &str, progress: u64) -> Map<String, Value> {
        let mut whole = self.row(product_name);
        whole.insert("VerifyProgress".to_owned(), json!(progress));
        if let Some(udi) = &self.udi {
            whole.insert("Udi".to_owned(), json!(udi));
        }
        match self.files.as_slice() {
            [File { name: None, url, .. }] => {
                let signed = format!("{url}?Expires=86400&OSSAccessKeyId=SIMULATED&Signature=simulated");
                whole.insert("FirmwareUrl".to_owned(), json!(signed));
            }
            files => {
                let file = |file: &File| {
                    json!({"Name": file.name, "Url": file.url, "Size": file.size,
                           "SignValue": file.sign, "FileMd5": file.md5})
                };
                let files: Vec<Value> = files.iter().map(file).collect();
                whole.insert("MultiFiles".to_owned(), json!(files));
            }
        }
        whole
    }
}

impl Account {
    /// A package by its id.
    ///
    /// # Errors
    /// There is none.
    pub fn firmware(&self, id: &str) -> Result<&Firmware, Refusal> {
        let found = self.firmwares.values().find(|firmware| firmware.id == id);
        found.ok_or_else(|| Refusal::new(&codes::NO_FIRMWARE, ""))
    }

    fn object(&self, url: &str, now: Timestamp) -> Result<&Object, Refusal> {
        let found = self.objects.values().find(|object| object.url == url && object.lives(now));
        found.ok_or_else(|| Refusal::new(&codes::NO_OBJECT, url))
    }
}

/// CreateOTAFirmware.
///
/// # Errors
/// A parameter breaks its rule, the name is taken, or a file was not uploaded.
pub fn create(cloud: &mut AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let name = request.required("FirmwareName", &NAME)?.to_owned();
    if !name.starts_with(is_letter) {
        return Err(invalid("FirmwareName must begin with a letter or a digit."));
    }
    let version = request.required("DestVersion", &VERSION)?.to_owned();
    let product = request.required("ProductKey", &ID)?.to_owned();
    cloud.check_product(&product)?;
    let module = request.text("ModuleName", &MODULE)?.unwrap_or(DEFAULT_MODULE).to_owned();
    let kind = request.integer_of("Type", &[0, 1])?.unwrap_or(0);
    let src_version = request.text("SrcVersion", &VERSION)?.map(str::to_owned);
    if src_version.as_ref() == Some(&version) {
        return Err(invalid("SrcVersion must differ from DestVersion."));
    }
    if kind == 1 && src_version.is_none() {
        return Err(invalid("SrcVersion is mandatory for a delta package (Type 1)."));
    }
    request.one_of("SignMethod", &["MD5"])?;
    let verified = request.boolean("NeedToVerify")?.unwrap_or(true);
    let duplicates = cloud.switches.duplicate_versions;
    let seed = cloud.seed;
    let record = cloud.next();
    let account = cloud.account_mut(index)?;
    account.check_module(&product, &module)?;
    if account.firmwares.values().any(|firmware| firmware.name == name) {
        return Err(Refusal::new(&codes::TAKEN, format!("FirmwareName {name} is used in this account.")));
    }
    let same = |row: &Firmware| (&row.product, &row.module, &row.version) == (&product, &module, &version);
    if duplicates == Policy::Reject && account.firmwares.values().any(same) {
        return Err(Refusal::new(&codes::TAKEN, format!("DestVersion {version} is there already.")));
    }
    if account.firmwares.len() >= MOST_PACKAGES {
        return Err(Refusal::new(&codes::QUOTA, format!("{MOST_PACKAGES} packages are the most.")));
    }
    let firmware = Firmware {
        id: super::opaque_id(seed, &["firmware", &record.to_string()]),
        files: read_files(account, request)?,
        name,
        product,
        version,
        src_version,
        module,
        kind,
        description: request.text("FirmwareDesc", &Rule::any(100))?.map(str::to_owned),
        udi: request.text("Udi", &Rule::any(4096))?.map(str::to_owned),
        status: if verified { 0 } else { -1 },
        created: request.times.fleet,
        created_wall: request.times.wall,
        modified: request.times.fleet,
    };
    let data = json!({"FirmwareId": firmware.id, "UtcCreate": long_time(firmware.created)});
    account.firmwares.insert(record, firmware);
    Ok(members([("Data", data)]))
}

/// One file by `FirmwareUrl`, or several by `MultiFiles`; what is not given for them is that of the object.
fn read_files(account: &mut Account, request: &Request<'_>) -> Result<Vec<File>, Refusal> {
    let now = request.times.fleet;
    let several = request.structs("MultiFiles");
    let single = ["FirmwareUrl", "FirmwareSign", "FirmwareSize"];
    let files = if several.is_empty() {
        let url = request.required("FirmwareUrl", &Rule::any(2048))?;
        let object = account.object(url, now)?;
        let size = request.integer("FirmwareSize", 1, i64::MAX)?;
        vec![File {
            name: None,
            url: url.to_owned(),
            size: size.and_then(|size| u64::try_from(size).ok()).unwrap_or(object.size),
            sign: request.text("FirmwareSign", &Rule::any(128))?.unwrap_or(&object.md5).to_owned(),
            md5: object.md5.clone(),
        }]
    } else {
        if let Some(name) = single.iter().find(|name| request.get(name).is_some()) {
            return Err(invalid(format!("{name} and MultiFiles exclude each other.")));
        }
        if several.len() > MOST_FILES {
            return Err(invalid(format!("MultiFiles: {} files are more than {MOST_FILES}.", several.len())));
        }
        several.iter().map(|file| read_file(account, file, now)).collect::<Result<_, _>>()?
    };
    let names: BTreeSet<_> = files.iter().map(|file| &file.name).collect();
    if names.len() != files.len() {
        return Err(invalid("MultiFiles: a Name is given twice."));
    }
    for file in &files {
        if let Some(object) = account.objects.values_mut().find(|object| object.url == file.url) {
            object.is_used = true;
        }
    }
    Ok(files)
}

fn read_file(account: &Account, file: &BTreeMap<String, String>, now: Timestamp) -> Result<File, Refusal> {
    let needed = |name: &str| {
        let value = file.get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Refusal::missing(&format!("MultiFiles.{name}")))
    };
    let name = needed("Name")?;
    Rule::any(32).check("MultiFiles.Name", name)?;
    let object = account.object(needed("Url")?, now)?;
    let size = match file.get("Size").map(|size| size.parse()) {
        None => object.size,
        Some(Ok(size)) => size,
        Some(Err(_)) => return Err(Refusal::unreadable("MultiFiles.Size", "an integer is wanted")),
    };
    let given = |name: &str| file.get(name).cloned().unwrap_or_else(|| object.md5.clone());
    Ok(File {
        name: Some(name.clone()),
        url: object.url.clone(),
        size,
        sign: given("SignValue"),
        md5: given("FileMd5"),
    })
}

/// ModifyOTAFirmware.
///
/// # Errors
/// Unknown package, or a parameter breaks its rule.
pub fn modify(cloud: &mut AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    request.required("ProductKey", &ID)?;
    let id = request.required("FirmwareId", &ID)?;
    let name = request.text("FirmwareName", &NAME)?;
    let description = request.text("FirmwareDesc", &Rule::any(100))?;
    let udi = request.text("FirmwareUdi", &Rule::any(4096))?;
    let account = cloud.account_mut(index)?;
    if account.firmwares.values().any(|other| Some(other.name.as_str()) == name && other.id != id) {
        return Err(Refusal::new(&codes::TAKEN, "FirmwareName is used in this account."));
    }
    let firmware = account.firmwares.values_mut().find(|firmware| firmware.id == id);
    let firmware = firmware.ok_or_else(|| Refusal::new(&codes::NO_FIRMWARE, ""))?;
    if let Some(name) = name {
        name.clone_into(&mut firmware.name);
    }
    if let Some(text) = description {
        firmware.description = Some(text.to_owned());
    }
    if let Some(text) = udi {
        firmware.udi = Some(text.to_owned());
    }
    firmware.modified = request.times.fleet;
    Ok(Map::new())
}

/// ListOTAFirmware: newest first (*assumed*).
///
/// # Errors
/// A parameter breaks its rule.
pub fn list(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let paging = Paging::read(request, 10, 100)?;
    let product = request.text("ProductKey", &ID)?;
    let version = request.text("DestVersion", &VERSION)?;
    let account = cloud.account(index)?;
    let fits = |firmware: &&Firmware| {
        product.is_none_or(|product| firmware.product == product)
            && version.is_none_or(|version| firmware.version == version)
            && request.shows(firmware.created_wall)
    };
    let rows: Vec<&Firmware> = account.firmwares.values().rev().filter(fits).collect();
    let (rows, mut answer) = paging.of(rows, "CurrentPage");
    let rows: Vec<_> = rows.iter().map(|row| row.row(cloud.product_name(&row.product))).collect();
    answer.insert("FirmwareInfo".to_owned(), json!({"SimpleFirmwareInfo": rows}));
    Ok(answer)
}

/// QueryOTAFirmware.
///
/// # Errors
/// Unknown package.
pub fn query(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let account = cloud.account(index)?;
    let firmware = account.firmware(request.required("FirmwareId", &ID)?)?;
    let whole = firmware.whole(cloud.product_name(&firmware.product), progress(account, firmware));
    Ok(members([("FirmwareInfo", json!(whole))]))
}

/// Share of the devices of the latest verification that are done, in percent.
fn progress(account: &Account, firmware: &Firmware) -> u64 {
    let mut jobs = account.jobs.values().rev();
    let latest = jobs.find(|job| job.firmware == firmware.id && job.purpose == super::Purpose::Verify);
    let tasks = latest.map(|job| job.tasks.as_slice()).unwrap_or_default();
    let done = tasks.iter().filter(|task| task.status.is_final()).count();
    (done * 100).checked_div(tasks.len()).map_or(0, |percent| percent as u64)
}

/// DeleteOTAFirmware.
///
/// # Errors
/// Unknown package, or (when the world file rejects that) a job that is not over needs it.
pub fn delete(cloud: &mut AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let id = request.required("FirmwareId", &ID)?;
    let policy = cloud.switches.delete_package_in_use;
    let account = cloud.account_mut(index)?;
    account.firmware(id)?;
    let in_use = account.jobs.values().any(|job| job.firmware == id && !job.status.is_final());
    if in_use && policy == Policy::Reject {
        return Err(Refusal::new(&codes::STATE, "A job that is not over needs the package."));
    }
    account.firmwares.retain(|_, firmware| firmware.id != id);
    Ok(Map::new())
}
