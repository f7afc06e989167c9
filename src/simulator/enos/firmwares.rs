//! Firmware: create, get, search, delete, the versions of devices.

use super::{
    Account, Enos, codes,
    expression::{Allowed, Expression, Use},
    multipart,
    request::{Answer, Fields, Handled, PageQuery, Refusal, Request, invalid, millis},
};
use crate::simulator::{clock::Times, draw, fleet::Fleet, world::Policy};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A firmware.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// `firmwareId`: 24 hex digits.
    pub id: String,
    /// Product; none for firmware that belongs to no product (2.4.4 and later).
    pub product: Option<String>,
    /// `name.defaultValue`.
    pub name: String,
    /// Version.
    pub version: String,
    /// Whether it must be verified before an upgrade.
    pub needs_verification: bool,
    /// Whether it is.
    pub is_verified: bool,
    /// Most devices of a verification.
    pub most_to_verify: Option<i64>,
    /// Successes that a verification needs.
    pub least_verified: Option<i64>,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// When it was created.
    pub created: Times,
    shown: Map<String, Value>,
}

impl Firmware {
    /// `FirmwareInfo`.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut shown = self.shown.clone();
        shown.insert("isVerified".to_owned(), json!(self.is_verified));
        Value::Object(shown)
    }

    fn field(&self, name: &str) -> Option<String> {
        match name {
            "productKey" => self.product.clone(),
            "isVerified" => Some(self.is_verified.to_string()),
            _ => i18n(self.shown.get("name")?, name),
        }
    }
}

/// What a search for `name`, `name.default` or a language of it compares.
pub fn i18n(name: &Value, field: &str) -> Option<String> {
    let text = match field.split_once('.') {
        None | Some((_, "default" | "defaultValue")) => name.get("defaultValue"),
        Some((_, language)) => name.get("i18nValue")?.get(language),
    };
    text?.as_str().map(str::to_owned)
}

/// The firmware of an account, by its number: later ones have greater numbers.
pub type Firmwares = BTreeMap<u64, Firmware>;

impl Account {
    /// A firmware by its id.
    ///
    /// # Errors
    /// There is none.
    pub fn firmware(&self, id: &str) -> Result<&Firmware, Refusal> {
        let found = self.firmwares.values().find(|firmware| firmware.id == id);
        found.ok_or_else(|| Refusal::new(&codes::NO_FIRMWARE, ""))
    }
}

/// The two parts of an upload.
struct Upload<'a> {
    metadata: Map<String, Value>,
    file_name: String,
    bytes: &'a [u8],
}

fn read_form<'a>(request: &Request<'a>) -> Result<Upload<'a>, Refusal> {
    let mut metadata = None;
    let mut file = None;
    let parts = multipart::parse(request.content_type, request.body);
    for part in parts.ok_or_else(|| invalid("body", "is not multipart/form-data"))? {
        match part.name.as_str() {
            "metadata" => metadata = Some(part.bytes),
            "file" => file = Some(part),
            _ => {}
        }
    }
    let metadata = metadata.ok_or_else(|| invalid("metadata", "is missing"))?;
    let file = file.ok_or_else(|| invalid("file", "is missing"))?;
    let file_name = file.file_name.ok_or_else(|| invalid("file", "has no filename"))?;
    match serde_json::from_slice(metadata) {
        Ok(Value::Object(metadata)) => Ok(Upload { metadata, file_name, bytes: file.bytes }),
        _ => Err(invalid("metadata", "is not a JSON object")),
    }
}

/// POST `action=create`: the bytes come with the call.
///
/// # Errors
/// A field breaks its rule; name or version is taken.
pub fn create(enos: &mut Enos, account: usize, request: &Request<'_>) -> Handled {
    let Upload { metadata, file_name, bytes } = read_form(request)?;
    let fields = Fields { map: &metadata, path: "" };
    let product = request.param("productKey").map(str::to_owned);
    let mut firmware = read(fields, product, bytes, request.times)?;
    let method = fields.one_of("signMethod", &["md5", "sha256"])?;
    let method = fields.need("signMethod", method)?;
    let sign = fields.need("sign", fields.text("sign")?)?;
    let is_wrong = method == "sha256" && !sign.eq_ignore_ascii_case(&firmware.sha256);
    if is_wrong && enos.switches.wrong_digests == Policy::Reject {
        return Err(Refusal::new(&codes::WRONG_DIGEST, ""));
    }
    let number = enos.number();
    firmware.id = draw::hex_id(enos.seed, 24, &["enos firmware", &number.to_string()]);
    let holder = &mut enos.accounts[account];
    let same = |other: &&Firmware| other.product == firmware.product;
    if holder.firmwares.values().filter(same).any(|other| other.version == firmware.version) {
        return Err(Refusal::new(&codes::VERSION_EXISTS, ""));
    }
    if holder.firmwares.values().filter(same).any(|other| other.name == firmware.name) {
        return Err(Refusal::new(&codes::NAME_EXISTS, ""));
    }
    let ending = file_name.rsplit_once('.').map_or("bin", |(_, ending)| ending);
    let url = format!("enos-connect://{}.{ending}", draw::hex_id(enos.seed, 16, &["file", &firmware.id]));
    let copied = ["name", "version", "desc", "signMethod", "sign", "enableVerification", "firmwareTags"];
    let limits = ["maxAllowedForVerification", "minSuccessForVerified"];
    let copied = copied.into_iter().chain(limits);
    firmware.shown = copied.filter_map(|name| Some((name.to_owned(), fields.get(name)?.clone()))).collect();
    let added = [
        ("orgId", json!(holder.spec.org_id)),
        ("firmwareId", json!(firmware.id)),
        ("productKey", json!(firmware.product)),
        ("fileUrl", json!(url)),
        ("fileSize", json!(bytes.len())),
        ("createTime", millis(request.times.fleet)),
    ];
    firmware.shown.extend(added.map(|(name, value)| (name.to_owned(), value)));
    let data = json!({"firmwareId": firmware.id});
    holder.firmwares.insert(number, firmware);
    Ok(Answer::data(data))
}

fn read(
    fields: Fields<'_>,
    product: Option<String>,
    bytes: &[u8],
    times: Times,
) -> Result<Firmware, Refusal> {
    let name = fields.need("name", fields.name("name")?)?;
    let version = fields.need("version", fields.text("version")?)?;
    let needs_verification = fields.need("enableVerification", fields.boolean("enableVerification")?)?;
    fields.text("desc")?;
    if let Some(tags) = fields.object("firmwareTags")?
        && !tags.values().all(Value::is_string)
    {
        return Err(fields.wrong("firmwareTags", "must hold strings"));
    }
    let most_to_verify = fields.integer("maxAllowedForVerification", 1, i64::MAX)?;
    let least_verified = fields.integer("minSuccessForVerified", 1, most_to_verify.unwrap_or(i64::MAX))?;
    Ok(Firmware {
        id: String::new(),
        product,
        name: name.get("defaultValue").and_then(Value::as_str).unwrap_or_default().to_owned(),
        version: version.to_owned(),
        needs_verification,
        is_verified: false,
        most_to_verify,
        least_verified,
        sha256: hex::encode(Sha256::digest(bytes)),
        created: times,
        shown: Map::new(),
    })
}

/// GET `action=get`.
///
/// # Errors
/// No such firmware.
pub fn get(enos: &Enos, account: usize, request: &Request<'_>) -> Handled {
    let firmware = enos.accounts[account].firmware(request.required("firmwareId")?)?;
    Ok(Answer::data(firmware.json()))
}

const FIRMWARE_FIELDS: Allowed =
    &[("productKey", Use::In), ("isVerified", Use::Equal), ("name", Use::Like), ("name.", Use::Like)];

/// POST `action=search`: newest first.
///
/// # Errors
/// Expression or page break a rule.
pub fn search(enos: &Enos, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_or_empty()?;
    let fields = Fields { map: &body, path: "" };
    let page = PageQuery::read(fields)?;
    let expression = Expression::parse(fields.text("expression")?, FIRMWARE_FIELDS)?;
    let shown = |firmware: &&Firmware| {
        request.has_settled(enos.settle(), firmware.created) && expression.holds(&|name| firmware.field(name))
    };
    let rows = enos.accounts[account].firmwares.values().rev().filter(shown);
    let rows: Vec<_> = rows.map(|firmware| || firmware.json()).collect();
    Ok(page.answer(&rows))
}

/// POST `action=delete`.
///
/// # Errors
/// No such firmware, or a device has yet to be upgraded to it.
pub fn delete(enos: &mut Enos, account: usize, request: &Request<'_>) -> Handled {
    let holder = &mut enos.accounts[account];
    let id = holder.firmware(request.required("firmwareId")?)?.id.clone();
    if holder.jobs.iter().any(|job| !job.is_deleted && job.plan.firmware.id == id && job.has_open_tasks()) {
        return Err(Refusal::new(&codes::FIRMWARE_IN_USE, ""));
    }
    holder.firmwares.retain(|_, firmware| firmware.id != id);
    Ok(Answer::default())
}

/// GET `action=listVersion`: the versions that devices of a product report.
///
/// # Errors
/// `productKey` is missing.
pub fn versions(enos: &Enos, fleet: &Fleet, account: usize, request: &Request<'_>) -> Handled {
    let product = request.required("productKey")?;
    let devices = enos.accounts[account].devices.of_product(product).iter();
    let versions: BTreeSet<&str> =
        devices.filter_map(|key| fleet.devices.get(key)?.firmware.as_deref()).collect();
    Ok(Answer::data(json!(versions)))
}

const DEVICE_FIELDS: Allowed =
    &[("productKey", Use::In), ("firmwareVersion", Use::In), ("isUpgrading", Use::Equal)];

/// POST `action=searchDeviceUpgrade`: what devices run. *Assumed*: by device key; a device that has reported no version
/// has none in its row.
///
/// # Errors
/// Expression or page break a rule.
pub fn devices(enos: &Enos, fleet: &Fleet, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_or_empty()?;
    let fields = Fields { map: &body, path: "" };
    let page = PageQuery::read(fields)?;
    let expression = Expression::parse(fields.text("expression")?, DEVICE_FIELDS)?;
    let holder = &enos.accounts[account];
    let row = |key: &String| holder.device_firmware(fleet, key);
    let of_product = expression.only("productKey").map(|product| holder.devices.of_product(product));
    if let Some(keys) = of_product.filter(|_| expression.is_only("productKey") && request.lag.is_none()) {
        let rows = keys.iter().skip(page.skip()).take(page.size()).filter_map(row).collect();
        return Ok(page.answer_with(rows, keys.len()));
    }
    let field = |row: &Value, name: &str| {
        let value = row.get(name).filter(|value| !value.is_null())?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let shown = |key: &&String| {
        holder.devices.get(key).is_some_and(|device| request.has_settled(enos.settle(), device.created))
    };
    let keys: Box<dyn Iterator<Item = &String>> = match of_product {
        Some(keys) => Box::new(keys.iter()),
        None => Box::new(holder.devices.keys()),
    };
    let rows = keys.filter(shown).filter_map(row).filter(|row| expression.holds(&|name| field(row, name)));
    let rows: Vec<_> = rows.map(|row| move || row.clone()).collect();
    Ok(page.answer(&rows))
}
