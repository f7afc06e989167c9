//! OTA packages: create, list, show, delete.

use super::{
    Account, Iotda, codes,
    paging::{PageQuery, Record},
    request::{Answer, Fields, Handled, ID, Refusal, Request, Rule, VERSION, id_char, invalid, version_char},
};
use crate::simulator::{
    draw,
    fleet::{Part, compact_time},
    world::Policy,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const KINDS: [&str; 3] = ["softwarePackage", "firmwarePackage", "modulePackage"];

/// Endings of objects that the create-package document lists.
const ENDINGS: [&str; 13] = [
    ".bin", ".dav", ".tar", ".gz", ".zip", ".gzip", ".apk", ".tar.gz", ".tar.xz", ".pack", ".exe", ".bat",
    ".img",
];

/// A package.
#[derive(Clone, Debug)]
pub struct Package {
    /// `package_id`: 32 hex digits.
    pub id: String,
    /// Resource space.
    pub app: String,
    /// `firmwarePackage`, …
    pub kind: String,
    /// Product id.
    pub product: String,
    /// Version.
    pub version: String,
    /// Versions that it may be installed on; all when empty.
    pub sources: Vec<String>,
    created_wall: Timestamp,
    shown: Map<String, Value>,
    location: Value,
}

impl Package {
    /// Where the index has it: by type, by product, by version.
    fn keys(&self) -> [Key; 3] {
        let (product, version) = (Some(self.product.clone()), Some(self.version.clone()));
        [
            (self.kind.clone(), None, None),
            (self.kind.clone(), product.clone(), None),
            (self.kind.clone(), product, version),
        ]
    }

    /// What it upgrades; none for modules.
    #[must_use]
    pub fn part(&self) -> Option<Part> {
        match self.kind.as_str() {
            "firmwarePackage" => Some(Part::Firmware),
            "softwarePackage" => Some(Part::Software),
            _ => None,
        }
    }

    /// As lists show it: without `file_location`.
    #[must_use]
    pub fn row(&self) -> Value {
        Value::Object(self.shown.clone())
    }

    /// As create and show answer it.
    #[must_use]
    pub fn whole(&self) -> Value {
        let mut shown = self.shown.clone();
        shown.insert("file_location".to_owned(), self.location.clone());
        Value::Object(shown)
    }
}

/// Type, product and version; the last ones are `None` in the index of all products or all versions.
type Key = (String, Option<String>, Option<String>);

/// The packages of an account.
#[derive(Debug, Default)]
pub struct Packages {
    rows: BTreeMap<Record, Package>,
    by_id: BTreeMap<String, Record>,
    index: BTreeMap<Key, BTreeSet<Record>>,
}

impl Packages {
    /// A package by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Package> {
        self.rows.get(self.by_id.get(id)?)
    }

    /// All packages, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Package> {
        self.rows.values()
    }

    fn insert(&mut self, record: Record, package: Package) {
        self.by_id.insert(package.id.clone(), record);
        for key in package.keys() {
            self.index.entry(key).or_default().insert(record);
        }
        self.rows.insert(record, package);
    }

    fn remove(&mut self, id: &str) {
        let Some(record) = self.by_id.remove(id) else { return };
        let Some(package) = self.rows.remove(&record) else { return };
        for key in package.keys() {
            if let Some(rows) = self.index.get_mut(&key) {
                rows.remove(&record);
            }
        }
    }

    fn holds(&self, new: &Package) -> bool {
        let [.., key] = new.keys();
        let mut same = self.index.get(&key).into_iter().flatten().filter_map(|record| self.rows.get(record));
        same.any(|package| package.app == new.app)
    }
}

/// POST `/ota-upgrades/packages`.
///
/// # Errors
/// A field breaks its rule, or the package exists and the world file rejects that.
pub fn create(iotda: &mut Iotda, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_object()?;
    let mut package = read(Fields::new(&body), request)?;
    let record = iotda.records.reserve(request.times.fleet, 1);
    package.id = draw::hex_id(iotda.seed, 32, &["package", &record.to_string()]);
    let product_name = iotda.products.get(&package.product).cloned();
    if product_name.is_none() && !iotda.allows_product(&package.product) {
        return Err(Refusal::new(&codes::NO_PRODUCT, format!("product_id {}.", package.product)));
    }
    package.shown.insert("package_id".to_owned(), json!(package.id));
    if let Some(name) = product_name {
        package.shown.insert("product_name".to_owned(), json!(name));
    }
    let duplicates = iotda.switches.duplicate_packages;
    let account = iotda.account_mut(account)?;
    account.check_app(Some(&package.app))?;
    if duplicates == Policy::Reject && account.packages.holds(&package) {
        return Err(Refusal::new(&codes::PACKAGE_EXISTS, format!("{} {}.", package.kind, package.version)));
    }
    let answer = Answer::json(201, &package.whole());
    account.packages.insert(record, package);
    Ok(answer)
}

fn read(fields: Fields<'_>, request: &Request<'_>) -> Result<Package, Refusal> {
    let app = fields.required("app_id", &ID)?;
    let kind = fields.one_of("package_type", &KINDS)?.ok_or_else(|| invalid("package_type is mandatory."))?;
    let product = fields.required("product_id", &ID)?;
    let version = fields.required("version", &VERSION)?;
    let module = fields.text("module_name", &Rule::new(64, version_char))?;
    if module.is_some() && kind != "modulePackage" {
        return Err(invalid("module_name is for modulePackage only."));
    }
    let sources = fields.texts("support_source_versions", 20, &VERSION)?;
    let description = fields.text("description", &Rule::any(1024))?;
    let custom_info = fields.text("custom_info", &Rule::any(4096))?;
    let location = read_location(fields)?;
    let mut shown = Map::new();
    let texts = [
        ("app_id", Some(app)),
        ("package_type", Some(kind)),
        ("product_id", Some(product)),
        ("module_name", module),
        ("version", Some(version)),
        ("description", description),
        ("custom_info", custom_info),
        ("create_time", Some(compact_time(request.times.fleet).as_str())),
    ]
    .map(|(name, text)| (name, text.map(|text| json!(text))));
    let sources_shown = [("support_source_versions", sources.as_ref().map(|versions| json!(versions)))];
    for (name, value) in texts.into_iter().chain(sources_shown) {
        if let Some(value) = value {
            shown.insert(name.to_owned(), value);
        }
    }
    Ok(Package {
        id: String::new(),
        app: app.to_owned(),
        kind: kind.to_owned(),
        product: product.to_owned(),
        version: version.to_owned(),
        sources: sources.unwrap_or_default(),
        created_wall: request.times.wall,
        shown,
        location,
    })
}

/// `file_location`: only the object-storage form is documented.
fn read_location(fields: Fields<'_>) -> Result<Value, Refusal> {
    let file = fields.object("file_location")?.ok_or_else(|| invalid("file_location is mandatory."))?;
    let file = Fields { map: file, path: "file_location." };
    let obs =
        file.object("obs_location")?.ok_or_else(|| invalid("file_location.obs_location is mandatory."))?;
    let obs = Fields { map: obs, path: "file_location.obs_location." };
    let region_rule = Rule::new(256, |c| c.is_ascii_alphanumeric() || c == '-');
    let bucket_rule = Rule {
        min: 3,
        max: 63,
        allowed: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c),
    };
    let mut location = Map::new();
    location.insert("region_name".to_owned(), json!(obs.required("region_name", &region_rule)?));
    location.insert("bucket_name".to_owned(), json!(obs.required("bucket_name", &bucket_rule)?));
    let key = obs.required("object_key", &Rule { min: 1, ..Rule::any(1024) })?;
    if !ENDINGS.iter().any(|ending| key.to_ascii_lowercase().ends_with(ending)) {
        return Err(invalid(format!(
            "file_location.obs_location.object_key must end in one of {}.",
            ENDINGS.join(" ")
        )));
    }
    location.insert("object_key".to_owned(), json!(key));
    let sign_rule = Rule { min: 64, max: 64, allowed: |c| c.is_ascii_hexdigit() };
    if let Some(sign) = obs.text("sign", &sign_rule)? {
        location.insert("sign".to_owned(), json!(sign));
    }
    if let Some(method) = obs.one_of("sign_method", &["SHA256"])? {
        location.insert("sign_method".to_owned(), json!(method));
    }
    Ok(json!({"obs_location": location}))
}

/// GET `/ota-upgrades/packages`.
///
/// # Errors
/// A parameter breaks its rule; `package_type` is mandatory.
pub fn list(iotda: &mut Iotda, account: usize, request: &Request<'_>) -> Handled {
    let page = PageQuery::read(request)?;
    let app = request.checked_param("app_id", &ID)?;
    let product = request.checked_param("product_id", &ID)?;
    let version = request.checked_param("version", &VERSION)?;
    let kind = request.param("package_type").filter(|kind| KINDS.contains(kind));
    let kind = kind.ok_or_else(|| invalid(format!("package_type must be one of {}.", KINDS.join(", "))))?;
    let account = iotda.account(account)?;
    account.check_app(app)?;
    let packages = &account.packages;
    let none = BTreeSet::new();
    let of_product = version.filter(|_| product.is_some());
    let rows =
        packages.index.get(&(kind.to_owned(), product.map(str::to_owned), of_product.map(str::to_owned)));
    let keep = |record: Record| {
        packages.rows.get(&record).is_some_and(|package| {
            version.is_none_or(|version| package.version == version) && request.shows(package.created_wall)
        })
    };
    let filtered = version != of_product || request.lag.is_some();
    let page = page.of(rows.unwrap_or(&none), filtered.then_some(&keep));
    let shown: Vec<Value> =
        page.rows.iter().filter_map(|row| packages.rows.get(row)).map(Package::row).collect();
    Ok(Answer::json(200, &json!({"packages": shown, "page": page.json()})))
}

/// GET `/ota-upgrades/packages/{package_id}`.
///
/// # Errors
/// No such package.
pub fn show(iotda: &mut Iotda, account: usize, id: &str) -> Handled {
    let package = iotda.account(account)?.packages.get(check_id(id)?);
    package
        .map(|package| Answer::json(200, &package.whole()))
        .ok_or_else(|| Refusal::new(&codes::NO_PACKAGE, ""))
}

/// DELETE `/ota-upgrades/packages/{package_id}`.
///
/// # Errors
/// No such package, or a task that is not final needs it and the world file rejects that.
pub fn delete(iotda: &mut Iotda, account: usize, id: &str) -> Handled {
    let policy = iotda.switches.delete_package_in_use;
    let account = iotda.account_mut(account)?;
    account.packages.get(check_id(id)?).ok_or_else(|| Refusal::new(&codes::NO_PACKAGE, ""))?;
    if policy == Policy::Reject
        && let Some(task) = user_of(account, id)
    {
        return Err(Refusal::new(&codes::PACKAGE_IN_USE, format!("Task {task} is not finished.")));
    }
    account.packages.remove(id);
    Ok(Answer::empty(204))
}

fn user_of<'a>(account: &'a Account, package: &str) -> Option<&'a str> {
    let mut open = account.tasks.iter().filter(|task| !task.status.is_final());
    open.find(|task| task.packages.iter().any(|used| used.id == package)).map(|task| task.id.as_str())
}

fn check_id(id: &str) -> Result<&str, Refusal> {
    Rule::new(36, |c| id_char(c) && c != '_').check("package_id", id).map(|()| id)
}
