//! Modules: parts of a device that are upgraded separately and report their own versions.
//!
//! The calls that list devices return the version of the module `default` only, which is the whole device. Those of other modules
//! are read device by device (ListOTAModuleVersionsByDevice). QueryDeviceBySQL would return them in pages, but only on some
//! instances of some regions, not beyond 10,000 devices, and in an undocumented order.
//!
//! The owner of the device creates a module: devices report under its name, it cannot be changed, and a product has at most ten
//! (CreateOTAModule). So a missing one is reported, and never created.

use super::{
    cursor::{self, DevicesPlace, NamesAt},
    limits,
    render::{Action, query_device},
    reply::device_names,
    wire,
};
use crate::cloud::answer::{Unintelligible, json};
use crate::cloud::{Call, CallError, Cursor, Device, DeviceScope, ErrorClass, PackageKey, Page, Reply};

/// The module that is the whole device.
const DEFAULT: &str = "default";

/// A module as packages name it: none for the whole device.
pub fn of_wire(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.is_empty() && name != DEFAULT)
}

/// Lists the modules of a package's product.
pub fn list(package: &PackageKey) -> Action {
    Action::get("ListOTAModuleByProduct").with("ProductKey", &package.product)
}

/// Checks that a package's product has the package's module. Names are unique regardless of case, and returned exactly.
///
/// # Errors
/// [`ErrorClass::Invalid`] with the existing modules; or the answer cannot be read.
pub fn check(call: &Call, package: &PackageKey, body: &[u8]) -> Result<(), CallError> {
    let wrong = |class, what: String| CallError::new(class, call.operation(), what);
    let list = json::<wire::ModuleList>(body).map_err(|why| wrong(ErrorClass::Unintelligible, why))?;
    let names: Vec<String> = list.data.unwrap_or_default().into_iter().map(|row| row.module_name).collect();
    let wanted = package.module.as_deref().unwrap_or(DEFAULT);
    if names.iter().any(|name| name == wanted) {
        return Ok(());
    }
    let message = format!(
        "spec.module: product {} has no module {wanted:?}; it has {}",
        package.product,
        names.join(", ")
    );
    Err(wrong(ErrorClass::Invalid, message)
        .next_step("use one of these, or add the module to the product in the console"))
}

/// Reads the versions of the modules of a device.
pub fn versions_of(scope: &DeviceScope, id: &str) -> Action {
    let action = Action::new("ListOTAModuleVersionsByDevice");
    let action = action.with("ProductKey", &scope.product).with("DeviceName", id);
    action.page(cursor::PageNumber::default(), limits::MODULE_PAGE)
}

/// Reads a page of names, or the versions of the first device whose name is known.
pub fn list_devices(scope: &DeviceScope, place: &DevicesPlace) -> Action {
    match (place.names.first(), &place.names_at) {
        (None, Some(names_at)) => query_device(&scope.product, names_at),
        (name, _) => versions_of(scope, name.map(String::as_str).unwrap_or_default()),
    }
}

/// The result of a page of [`list_devices`]; no body: the device was deleted since its name was read.
///
/// # Errors
/// The answer cannot be read, or is about another device.
pub fn devices(scope: &DeviceScope, body: Option<&[u8]>, cursor: &Cursor) -> Result<Reply, Unintelligible> {
    let DevicesPlace { mut names, names_at } = cursor::place(cursor)?;
    let reply = |items, total, next| Reply::Devices(Page { items, total, next });
    if let (true, Some(NamesAt { page, token })) = (names.is_empty(), &names_at) {
        let read = device_names(body.unwrap_or_default(), *page, token.as_ref())?;
        let (total, place) = (read.total, DevicesPlace { names: read.names, names_at: read.next });
        let next = (!place.is_end()).then(|| cursor::next(cursor, &place, 0)).transpose()?;
        return Ok(reply(Vec::new(), total, next));
    }
    let name = if names.is_empty() { String::new() } else { names.remove(0) };
    let found = body.map(|body| device(scope, &name, body)).transpose()?;
    let place = DevicesPlace { names, names_at };
    let next = (!place.is_end()).then(|| cursor::within_page(cursor, &place)).transpose()?;
    Ok(reply(found.into_iter().collect(), None, next))
}

/// A device with the version of its module; without one when it has not reported any.
///
/// # Errors
/// The answer cannot be read, or is about another device.
pub fn device(scope: &DeviceScope, id: &str, body: &[u8]) -> Result<Device, Unintelligible> {
    let list: wire::ModuleVersions = json(body)?;
    let rows = list.data.and_then(|data| data.rows).unwrap_or_default();
    if let Some(row) = rows.iter().find(|row| row.device_name != id || row.product_key != scope.product) {
        return Err(format!("device {id} was requested, the response is about {}", row.device_name));
    }
    if list.page.page_count.is_some_and(|pages| pages > 1) {
        return Err(format!("device {id} has more modules than a product can have"));
    }
    let module = rows.into_iter().find(|row| Some(&row.module_name) == scope.module.as_ref());
    Ok(Device {
        id: id.to_owned(),
        product: scope.product.clone(),
        firmware: module.and_then(|row| row.module_version).filter(|version| !version.is_empty()),
        software: None,
        online: None,
        upgrading: None,
    })
}

/// The result of a refusal which only means that one device of a list no longer exists.
pub fn without_deleted_device(call: &Call, error: &CallError) -> Option<Reply> {
    let Call::ListDevices { scope, cursor } = call else { return None };
    let place: DevicesPlace = cursor::place(cursor).ok()?;
    let is_deleted = error.class == ErrorClass::NotFound && scope.module.is_some() && !place.names.is_empty();
    is_deleted.then(|| devices(scope, None, cursor).ok()).flatten()
}
