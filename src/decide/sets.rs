//! Sets of devices that the cloud keeps, and that targets or stages select by name: which of them a manifest names, and which
//! devices it selects with them.

use crate::api::{Select, Targets};
use crate::cloud::DeviceSet;
use std::collections::{BTreeMap, BTreeSet};

/// What was read of the sets that a rollout names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sets<'a> {
    /// Ids of the devices of each set that was read.
    pub read: BTreeMap<DeviceSet, &'a BTreeSet<String>>,
    /// Why each of the others could not be read.
    pub unread: BTreeMap<DeviceSet, String>,
}

impl<'a> Sets<'a> {
    /// The devices of a set; none while it is unknown. The values of a tag may have been read one by one.
    fn ids(&self, set: &DeviceSet) -> Option<BTreeSet<&'a str>> {
        let of = |set: &DeviceSet| self.read.get(set).map(|ids| ids.iter().map(String::as_str));
        match set {
            DeviceSet::Tag { key, values } if !self.read.contains_key(set) && values.len() > 1 => {
                let one =
                    |value: &String| of(&DeviceSet::Tag { key: key.clone(), values: vec![value.clone()] });
                let each: Option<Vec<_>> = values.iter().map(one).collect();
                Some(each?.into_iter().flatten().collect())
            }
            set => Some(of(set)?.collect()),
        }
    }
}

/// Devices that a part of a manifest selects by sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen<'s> {
    /// Those of any of these groups.
    Groups(&'s [String]),
    /// Those that have, for every key, one of its values as a tag.
    Tags(&'s Labels),
    /// Those that have, for every name, one of its values as an attribute.
    Attributes(&'s Labels),
}

type Labels = BTreeMap<String, Vec<String>>;

impl<'s> Chosen<'s> {
    /// What targets select by sets; none when they select in another way.
    #[must_use]
    pub fn by_targets(targets: &'s Targets) -> Option<Self> {
        Self::new(targets.groups.as_deref(), targets.tags.as_ref(), targets.attributes.as_ref())
    }

    /// What a stage selects by sets; none when it selects in another way.
    #[must_use]
    pub fn by_stage(select: &'s Select) -> Option<Self> {
        Self::new(select.groups.as_deref(), select.tags.as_ref(), select.attributes.as_ref())
    }

    fn new(
        groups: Option<&'s [String]>,
        tags: Option<&'s Labels>,
        attributes: Option<&'s Labels>,
    ) -> Option<Self> {
        groups.map(Self::Groups).or(tags.map(Self::Tags)).or(attributes.map(Self::Attributes))
    }

    /// The sets that it names.
    #[must_use]
    pub fn sets(self) -> Vec<DeviceSet> {
        match self {
            Self::Groups(groups) => groups.iter().cloned().map(DeviceSet::Group).collect(),
            Self::Tags(tags) => tags.iter().map(|(key, values)| tag(key, values)).collect(),
            Self::Attributes(attributes) => {
                let set = |(name, values): (&String, &Vec<String>)| DeviceSet::Attribute {
                    name: name.clone(),
                    values: sorted(values),
                };
                attributes.iter().map(set).collect()
            }
        }
    }

    /// The devices that it selects; none while one of its sets is unknown.
    #[must_use]
    pub fn members<'a>(self, sets: &Sets<'a>) -> Option<BTreeSet<&'a str>> {
        let found: Option<Vec<BTreeSet<&'a str>>> = self.sets().iter().map(|set| sets.ids(set)).collect();
        let mut found = found?.into_iter();
        let first = found.next().unwrap_or_default();
        Some(match self {
            Self::Groups(_) => found.fold(first, |all, more| &all | &more),
            Self::Tags(_) | Self::Attributes(_) => found.fold(first, |all, more| &all & &more),
        })
    }

    /// Those of its sets that were read and have no devices.
    pub fn empty<'c>(self, sets: &'c Sets<'_>) -> impl Iterator<Item = DeviceSet> + 'c
    where
        's: 'c,
    {
        self.sets().into_iter().filter(|set| sets.ids(set).is_some_and(|ids| ids.is_empty()))
    }

    /// Those of its sets that could not be read, with the cause of each.
    pub fn unread<'c>(self, sets: &'c Sets<'_>) -> impl Iterator<Item = (DeviceSet, &'c str)>
    where
        's: 'c,
    {
        let why = |set: DeviceSet| Some((sets.unread.get(&set)?.as_str(), set));
        self.sets().into_iter().filter_map(why).map(|(why, set)| (set, why))
    }
}

fn tag(key: &str, values: &[String]) -> DeviceSet {
    DeviceSet::Tag { key: key.to_owned(), values: sorted(values) }
}

fn sorted(values: &[String]) -> Vec<String> {
    let values: BTreeSet<&String> = values.iter().collect();
    values.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn members(select: Value, read: &[(DeviceSet, &[&str])]) -> Option<Vec<String>> {
        let select: Select = serde_json::from_value(select).unwrap();
        let ids: Vec<BTreeSet<String>> =
            read.iter().map(|(_, ids)| ids.iter().map(|id| (*id).to_owned()).collect()).collect();
        let read = read.iter().map(|(set, _)| set.clone()).zip(&ids).collect();
        let sets = Sets { read, unread: BTreeMap::new() };
        let chosen = Chosen::by_stage(&select)?;
        Some(chosen.members(&sets)?.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn groups_are_united_tags_are_intersected_and_what_is_unread_is_unknown() {
        let group = |name: &str| DeviceSet::Group(name.into());
        let north = tag("site", &["north".into(), "east".into()]);
        let line = tag("line", &["b".into()]);
        let attribute =
            |name: &str, value: &str| DeviceSet::Attribute { name: name.into(), values: vec![value.into()] };
        let all: [(DeviceSet, &[&str]); 6] = [
            (group("g"), &["1", "2"]),
            (group("h"), &["2", "3"]),
            (north, &["1", "2", "4"]),
            (line, &["2", "5"]),
            (attribute("model", "x1"), &["4", "5"]),
            (attribute("line", "b"), &["5", "6"]),
        ];
        for (select, expected) in [
            (json!({"groups": ["g", "h"]}), Some(vec!["1", "2", "3"])),
            (json!({"tags": {"site": ["north", "east", "north"], "line": ["b"]}}), Some(vec!["2"])),
            (json!({"tags": {"site": ["east", "north"]}}), Some(vec!["1", "2", "4"])),
            (json!({"attributes": {"model": ["x1"], "line": ["b"]}}), Some(vec!["5"])),
            (json!({"attributes": {"line": ["c"]}}), None),
            (json!({"groups": ["g", "none"]}), None),
            (json!({"tags": {"line": ["b"], "site": ["south"]}}), None),
            (json!({"count": 3}), None),
            (json!({"groups": []}), Some(vec![])),
            (json!({"tags": {}}), Some(vec![])),
        ] {
            let expected = expected.map(|ids| ids.into_iter().map(str::to_owned).collect());
            assert_eq!(members(select.clone(), &all), expected, "{select}");
        }
    }
}
