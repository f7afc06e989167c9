//! Software and firmware packages: uploaded in the portal only; list, show, delete.

use super::{
    OceanConnect, codes,
    request::{Answer, Handled, Refusal, Request},
    spec::{FileType, Product, UploadSpec},
};
use crate::simulator::{
    clock::Times,
    draw,
    fleet::{Part, compact_time},
    service::Service as _,
    world::{Policy, WorldError},
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Largest page of upgrade lists, and the default.
pub const PAGE: (usize, usize) = (10, 100);

/// A package.
#[derive(Clone, Debug)]
pub struct Package {
    /// `fileId`.
    pub id: String,
    /// What it is for.
    pub file_type: FileType,
    /// Product.
    pub product: Product,
    /// Version.
    pub version: String,
    /// Versions that it may be installed on. The API never shows them.
    pub sources: Vec<String>,
    uploaded_wall: Timestamp,
    shown: Value,
}

impl Package {
    /// What it upgrades.
    #[must_use]
    pub const fn part(&self) -> Part {
        match self.file_type {
            FileType::FirmwarePackage => Part::Firmware,
            FileType::SoftwarePackage => Part::Software,
        }
    }
}

impl OceanConnect {
    /// Uploads a package as the portal does; gives its `fileId`.
    ///
    /// # Errors
    /// No such application, or no source version.
    pub fn upload(&mut self, spec: &UploadSpec, times: Times) -> Result<String, WorldError> {
        let unknown =
            || WorldError(format!("app {}: no such application", spec.app.as_deref().unwrap_or("")));
        let index = self.account(spec.app.as_deref()).ok_or_else(unknown)?;
        if spec.source_versions.is_empty() {
            return Err(WorldError("sourceVersions: the portal insists on at least one".to_owned()));
        }
        let id = draw::hex_id(self.seed, 24, &["file", &self.number().to_string()]);
        let name = spec.name.clone().unwrap_or_else(|| format!("{}_{}", spec.product.model, spec.version));
        let time = compact_time(times.fleet);
        let shown = json!({
            "fileId": id,
            "name": name,
            "version": spec.version,
            "fileType": spec.file_type.as_str(),
            "deviceType": spec.product.device_type,
            "model": spec.product.model,
            "manufacturerName": spec.product.manufacturer,
            "protocolType": "CoAP",
            "description": spec.description,
            "date": time.get(..8),
            "uploadTime": time,
        });
        let package = Package {
            id: id.clone(),
            file_type: spec.file_type,
            product: spec.product.clone(),
            version: spec.version.clone(),
            sources: spec.source_versions.clone(),
            uploaded_wall: times.wall,
            shown,
        };
        self.apps.get_mut(index).ok_or_else(unknown)?.packages.push(package);
        Ok(id)
    }
}

/// GET `/category`.
///
/// # Errors
/// A parameter breaks its rule.
pub fn list(cloud: &OceanConnect, app: usize, request: &Request<'_>) -> Handled {
    let page = request.page(PAGE.0, PAGE.1, &codes::BAD_PAGE)?;
    let kind = request.choice("fileType", &["firmwarePackage", "softwarePackage"], &codes::BAD_REQUEST)?;
    // The English page spells the parameter in two ways.
    let manufacturer = request.param("manufacturerName").or_else(|| request.param("manufactureName"));
    let (device_type, model) = (request.param("deviceType"), request.param("model"));
    let version = request.param("version");
    let packages = &cloud.app(app)?.packages;
    let rows = packages.iter().rev().filter(|package| {
        let product = &package.product;
        kind.is_none_or(|kind| package.file_type.as_str() == kind)
            && manufacturer.is_none_or(|name| product.manufacturer == name)
            && device_type.is_none_or(|name| product.device_type == name)
            && model.is_none_or(|name| product.model == name)
            && version.is_none_or(|version| package.version == version)
            && request.shows(package.uploaded_wall)
    });
    let (rows, total) = page.of(rows.map(|package| package.shown.clone()));
    Ok(Answer::json(200, &super::listed(&rows, page, total)))
}

/// GET `/category/{fileId}`.
///
/// # Errors
/// No such package.
pub fn show(cloud: &OceanConnect, app: usize, id: &str) -> Handled {
    let package = cloud.app(app)?.packages.iter().find(|package| package.id == id);
    Ok(Answer::json(200, &package.ok_or(&codes::NO_FILE)?.shown.clone()))
}

/// DELETE `/category/{fileId}`: 200 without a body.
///
/// # Errors
/// No such package, or a running task needs it and the world file rejects that.
pub fn delete(cloud: &mut OceanConnect, app: usize, id: &str) -> Handled {
    let policy = cloud.switches.delete_package_in_use;
    let app = cloud.app_mut(app)?;
    let place = app.packages.iter().position(|package| package.id == id).ok_or(&codes::NO_FILE)?;
    let mut running = app.tasks.iter().filter(|task| !task.status().is_final());
    if policy == Policy::Reject
        && let Some(task) = running.find(|task| task.package.id == id)
    {
        return Err(Refusal::new(&codes::FILE_IN_USE, format!("Task {} is running.", task.id)));
    }
    app.packages.remove(place);
    Ok(Answer::empty(200))
}
