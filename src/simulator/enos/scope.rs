//! Which devices a job is for: `upgradeScope`.

use super::{
    devices::{Devices, Registered},
    job::Kind,
    request::{Fields, Refusal},
};
use crate::simulator::fleet::Fleet;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Most asset trees of a scope.
const MOST_TREES: usize = 5;

/// `upgradeScope`.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Versions that devices must run.
    pub versions: BTreeSet<String>,
    /// Which of those devices.
    pub filter: Filter,
}

/// Which devices of a product.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All.
    Total,
    /// These.
    Keys(BTreeSet<String>),
    /// Those whose every attribute named here has one of the values.
    Attributes(BTreeMap<String, BTreeSet<String>>),
    /// Those whose every tag named here has one of the values.
    Tags(BTreeMap<String, BTreeSet<String>>),
    /// Those below one of these nodes; below any node of the tree when none are named.
    Trees(Vec<(String, BTreeSet<String>)>),
}

impl Scope {
    /// Reads a scope. *Assumed*: `total` takes no filter beside it, and `partial` exactly one.
    ///
    /// # Errors
    /// A field breaks its rule.
    pub fn read(fields: Fields<'_>, kind: Kind, target: &str) -> Result<Self, Refusal> {
        let map = fields.need("upgradeScope", fields.object("upgradeScope")?)?;
        let fields = Fields { map, path: "upgradeScope." };
        let extent = fields.need("type", fields.one_of("type", &["total", "partial"])?)?;
        if kind == Kind::Verify && extent == "total" {
            return Err(Refusal::new(&super::codes::TOTAL_NOT_ALLOWED, ""));
        }
        let versions = fields.need("versionNumbers", fields.texts("versionNumbers")?)?;
        if versions.is_empty() {
            return Err(fields.wrong("versionNumbers", "is missing"));
        }
        if versions.iter().any(|version| version == target) {
            return Err(fields.wrong("versionNumbers", "must not hold the version of the firmware"));
        }
        let mut filters: Vec<Filter> = [
            fields.texts("deviceKeys")?.map(|keys| Filter::Keys(keys.into_iter().collect())),
            pairs(fields, "attributes")?.map(Filter::Attributes),
            pairs(fields, "tags")?.map(Filter::Tags),
            trees(fields)?.map(Filter::Trees),
        ]
        .into_iter()
        .flatten()
        .collect();
        let filter = match (extent, filters.pop(), filters.is_empty()) {
            ("total", None, _) => Filter::Total,
            ("partial", Some(filter), true) => filter,
            ("total", ..) => return Err(fields.wrong("type", "total takes no filter")),
            _ => {
                return Err(
                    fields.wrong("type", "partial takes one of deviceKeys, attributes, tags, assetTrees")
                );
            }
        };
        match (&filter, kind) {
            (Filter::Keys(keys), _) if keys.is_empty() => Err(fields.wrong("deviceKeys", "is empty")),
            (Filter::Keys(_), _) | (_, Kind::Upgrade) => {
                Ok(Self { versions: versions.into_iter().collect(), filter })
            }
            (_, Kind::Verify) => Err(fields.wrong("deviceKeys", "is missing")),
        }
    }

    fn takes(&self, key: &str, device: &Registered) -> bool {
        let all = |wanted: &BTreeMap<String, BTreeSet<String>>, given: &BTreeMap<String, String>| {
            wanted.iter().all(|(name, values)| given.get(name).is_some_and(|value| values.contains(value)))
        };
        match &self.filter {
            Filter::Total => true,
            Filter::Keys(keys) => keys.contains(key),
            Filter::Attributes(wanted) => all(wanted, &device.attributes),
            Filter::Tags(wanted) => all(wanted, &device.tags),
            Filter::Trees(trees) => trees.iter().any(|(tree, nodes)| {
                let below = device.trees.get(tree);
                below.is_some_and(|below| nodes.is_empty() || !below.is_disjoint(nodes))
            }),
        }
    }

    /// Keys of the devices that fit now: of the product, of the scope, and running one of its versions.
    #[must_use]
    pub fn devices(&self, registered: &Devices, fleet: &Fleet, product: Option<&str>) -> Vec<String> {
        let runs = |key: &str| fleet.devices.get(key)?.firmware.clone();
        let fits = |key: &&String| {
            registered.get(key).is_some_and(|device| {
                product.is_none_or(|product| device.product == product) && self.takes(key, device)
            }) && runs(key).is_some_and(|version| self.versions.contains(&version))
        };
        match (&self.filter, product) {
            (Filter::Keys(keys), _) => keys.iter().filter(fits).cloned().collect(),
            (_, Some(product)) => registered.of_product(product).iter().filter(fits).cloned().collect(),
            (_, None) => registered.keys().filter(fits).cloned().collect(),
        }
    }
}

type Pairs = BTreeMap<String, BTreeSet<String>>;

fn pairs(fields: Fields<'_>, name: &str) -> Result<Option<Pairs>, Refusal> {
    let Some(map) = fields.object(name)? else { return Ok(None) };
    let inner = Fields { map, path: &format!("{}{name}.", fields.path) };
    let read = |key: &String| {
        let values = inner.need(key, inner.texts(key)?)?;
        Ok((key.clone(), values.into_iter().collect()))
    };
    let pairs: Pairs = map.keys().map(read).collect::<Result<_, Refusal>>()?;
    if pairs.is_empty() { Err(fields.wrong(name, "is empty")) } else { Ok(Some(pairs)) }
}

type Trees = Vec<(String, BTreeSet<String>)>;

fn trees(fields: Fields<'_>) -> Result<Option<Trees>, Refusal> {
    let Some(value) = fields.get("assetTrees") else { return Ok(None) };
    let items = value.as_array().ok_or_else(|| fields.wrong("assetTrees", "must be a list"))?;
    if items.is_empty() || items.len() > MOST_TREES {
        return Err(fields.wrong("assetTrees", &format!("must have 1 to {MOST_TREES} items")));
    }
    let read = |item: &Value| {
        let map = item.as_object().ok_or_else(|| fields.wrong("assetTrees", "must hold objects"))?;
        let tree = Fields { map, path: "upgradeScope.assetTrees." };
        let id = tree.need("treeId", tree.text("treeId")?)?.to_owned();
        // The document has `includedNodes`, an official sample sends `includedNotes`.
        let nodes = match tree.texts("includedNodes")? {
            Some(nodes) => Some(nodes),
            None => tree.texts("includedNotes")?,
        };
        Ok((id, nodes.unwrap_or_default().into_iter().collect()))
    };
    items.iter().map(read).collect::<Result<_, _>>().map(Some)
}
