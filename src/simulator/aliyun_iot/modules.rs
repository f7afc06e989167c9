//! Modules of a product: create, update, delete, list.

use super::{
    Account, AliyunIot, DEFAULT_MODULE, codes,
    request::{Handled, ID, MODULE, Refusal, Request, Rule, members},
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value, json};

/// Modules of a product beside `default`.
const MOST: usize = 10;

/// A module of a product.
#[derive(Clone, Debug)]
pub struct Module {
    /// `ModuleName`.
    pub name: String,
    /// `AliasName`.
    pub alias: Option<String>,
    /// `Desc`.
    pub description: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it changed last.
    pub modified: Timestamp,
}

/// A time of the list of modules, which has no seconds: `2020-10-13T09:46Z`.
fn minutes(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%MZ").to_string()
}

impl Module {
    fn row(&self, product: &str) -> Value {
        json!({"ModuleName": self.name, "AliasName": self.alias, "Desc": self.description, "ProductKey": product,
               "GmtCreate": minutes(self.created), "GmtModified": minutes(self.modified)})
    }
}

impl Account {
    /// Gives a product a module that the world file names.
    pub fn ensure_module(&mut self, product: &str, name: &str, now: Timestamp) {
        let module =
            || Module { name: name.to_owned(), alias: None, description: None, created: now, modified: now };
        self.modules.entry((product.to_owned(), name.to_lowercase())).or_insert_with(module);
    }

    /// # Errors
    /// The product has no such module; `default` is the whole device and always there.
    pub fn check_module(&self, product: &str, name: &str) -> Result<(), Refusal> {
        let key = (product.to_owned(), name.to_lowercase());
        let is_there = self.modules.get(&key).is_some_and(|module| module.name == name);
        if name == DEFAULT_MODULE || is_there { Ok(()) } else { Err(Refusal::new(&codes::NO_MODULE, name)) }
    }
}

fn named(request: &Request<'_>) -> Result<(String, String), Refusal> {
    let product = request.required("ProductKey", &ID)?.to_owned();
    Ok((product, request.required("ModuleName", &MODULE)?.to_owned()))
}

/// CreateOTAModule: names are unique in a product, ignoring case.
///
/// # Errors
/// A parameter breaks its rule, the name is taken, or there are ten.
pub fn create(cloud: &mut AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let (product, name) = named(request)?;
    let alias = request.text("AliasName", &MODULE)?.map(str::to_owned);
    let description = request.text("Desc", &Rule::any(100))?.map(str::to_owned);
    cloud.check_product(&product)?;
    let account = cloud.account_mut(index)?;
    let key = (product, name.to_lowercase());
    if key.1 == DEFAULT_MODULE || account.modules.contains_key(&key) {
        return Err(Refusal::new(&codes::TAKEN, format!("ModuleName {name} is used in this product.")));
    }
    if account.modules.keys().filter(|(product, _)| *product == key.0).count() >= MOST {
        return Err(Refusal::new(&codes::QUOTA, format!("{MOST} modules are the most.")));
    }
    let now = request.times.fleet;
    account.modules.insert(key, Module { name, alias, description, created: now, modified: now });
    Ok(Map::new())
}

/// UpdateOTAModule.
///
/// # Errors
/// Unknown module, or a parameter breaks its rule.
pub fn update(cloud: &mut AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let (product, name) = named(request)?;
    let alias = request.text("AliasName", &MODULE)?.map(str::to_owned);
    let description = request.text("Desc", &Rule::any(100))?.map(str::to_owned);
    let account = cloud.account_mut(index)?;
    let module = account.modules.get_mut(&(product, name.to_lowercase()));
    let module = module.ok_or_else(|| Refusal::new(&codes::NO_MODULE, &name))?;
    module.alias = alias.or_else(|| module.alias.take());
    module.description = description.or_else(|| module.description.take());
    module.modified = request.times.fleet;
    Ok(Map::new())
}

/// DeleteOTAModule: not `default`, and not while a package uses it.
///
/// # Errors
/// Unknown module, or it may not be deleted.
pub fn delete(cloud: &mut AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let (product, name) = named(request)?;
    let account = cloud.account_mut(index)?;
    account.check_module(&product, &name)?;
    let used = account.firmwares.values().any(|row| row.product == product && row.module == name);
    if name == DEFAULT_MODULE || used {
        return Err(Refusal::new(&codes::STATE, format!("ModuleName {name} is in use.")));
    }
    account.modules.remove(&(product, name.to_lowercase()));
    Ok(Map::new())
}

/// ListOTAModuleByProduct: `Data` is a bare list, with `default` first.
///
/// # Errors
/// Unknown product.
pub fn list(cloud: &AliyunIot, index: usize, request: &Request<'_>) -> Handled {
    let product = request.required("ProductKey", &ID)?;
    cloud.check_product(product)?;
    let mine = cloud.account(index)?.modules.iter().filter(|((of, _), _)| of == product);
    let first = json!({"ModuleName": DEFAULT_MODULE, "AliasName": DEFAULT_MODULE, "ProductKey": product});
    let rows: Vec<Value> =
        std::iter::once(first).chain(mine.map(|(_, module)| module.row(product))).collect();
    Ok(members([("Data", json!(rows))]))
}
