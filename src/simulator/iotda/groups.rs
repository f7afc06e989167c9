//! Device groups: static ones with members, dynamic ones with a rule.

use super::{
    Account, Iotda, codes,
    paging::{PageQuery, Record},
    request::{
        Answer, DEVICE_ID, Fields, GROUP_ID, Handled, ID, Refusal, Request, Rule, invalid, name_char,
        parse_time,
    },
    search::{self, Condition},
};
use crate::simulator::{draw, fleet::Fleet};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const NAME: Rule = Rule::new(64, name_char);
const DESCRIPTION: Rule = Rule { min: 0, ..NAME };

/// A device group.
#[derive(Clone, Debug)]
pub struct Group {
    /// `group_id`.
    pub id: String,
    /// Name; one of a kind in its resource space.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Parent group.
    pub parent: Option<String>,
    /// Rule of a dynamic group, as given and as understood.
    pub rule: Option<(String, Condition)>,
    /// Resource space.
    pub app: String,
    /// Members of a static group.
    pub members: BTreeSet<Record>,
    /// Last change of name, description or members, in fleet time.
    pub modified: Timestamp,
    /// Wall time of its creation.
    pub created_wall: Timestamp,
}

impl Group {
    /// An empty static group.
    #[must_use]
    pub const fn new(id: String, name: String, app: String, now: Timestamp, created_wall: Timestamp) -> Self {
        let members = BTreeSet::new();
        Self {
            id,
            name,
            description: None,
            parent: None,
            rule: None,
            app,
            members,
            modified: now,
            created_wall,
        }
    }

    const fn kind(&self) -> &'static str {
        if self.rule.is_some() { "dynamic" } else { "static" }
    }

    fn row(&self) -> Map<String, Value> {
        let fields = [
            ("group_id", Some(json!(self.id))),
            ("name", Some(json!(self.name))),
            ("description", self.description.as_ref().map(|text| json!(text))),
            ("super_group_id", self.parent.as_ref().map(|id| json!(id))),
            ("group_type", Some(json!(self.kind()))),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    fn whole(&self) -> Value {
        let mut shown = self.row();
        if let Some((text, _)) = &self.rule {
            shown.insert("dynamic_group_rule".to_owned(), json!(text));
        }
        Value::Object(shown)
    }
}

/// The groups of an account.
#[derive(Debug, Default)]
pub struct Groups {
    rows: BTreeMap<Record, Group>,
    by_id: BTreeMap<String, Record>,
}

impl Groups {
    /// A group by its id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Group> {
        self.rows.get(self.by_id.get(id)?)
    }

    /// A group by its id, to be changed.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.rows.get_mut(self.by_id.get(id)?)
    }

    /// Adds a group.
    pub fn insert(&mut self, record: Record, group: Group) {
        self.by_id.insert(group.id.clone(), record);
        self.rows.insert(record, group);
    }

    /// All groups, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.rows.values()
    }

    /// Takes a device out of all groups.
    pub fn forget(&mut self, device: Record) {
        for group in self.rows.values_mut() {
            group.members.remove(&device);
        }
    }
}

impl Account {
    /// Records of the devices of a group, now.
    #[must_use]
    pub fn group_members(&self, fleet: &Fleet, group: &Group, now: Timestamp) -> BTreeSet<Record> {
        match &group.rule {
            None => group.members.clone(),
            Some((_, rule)) => search::matching(self, fleet, rule, now),
        }
    }

    fn group(&self, id: &str) -> Result<&Group, Refusal> {
        GROUP_ID.check("group_id", id)?;
        self.groups.get(id).ok_or_else(|| Refusal::new(&codes::NO_GROUP, ""))
    }

    fn check_name(&self, app: &str, name: &str, own: Option<&str>) -> Result<(), Refusal> {
        let taken = self
            .groups
            .iter()
            .any(|group| group.app == app && group.name == name && own.is_none_or(|own| own != group.id));
        if taken {
            Err(Refusal::new(&codes::GROUP_CONFLICT, format!("The name {name} is taken.")))
        } else {
            Ok(())
        }
    }
}

/// POST `/device-group`.
///
/// # Errors
/// A field breaks its rule, the name is taken, or the parent is unknown.
pub fn create(iotda: &mut Iotda, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_object()?;
    let fields = Fields::new(&body);
    let name = fields.required("name", &NAME)?;
    let description = fields.text("description", &DESCRIPTION)?;
    let parent = fields.text("super_group_id", &GROUP_ID)?;
    let app = fields.text("app_id", &ID)?;
    let kind = fields.one_of("group_type", &["static", "dynamic"])?.unwrap_or("static");
    let rule = match (kind, fields.text("dynamic_group_rule", &Rule::any(400))?) {
        ("dynamic", Some(text)) => Some((text.to_owned(), search::parse_condition(text)?)),
        ("dynamic", None) => return Err(invalid("dynamic_group_rule is mandatory for dynamic groups.")),
        (_, Some(_)) => return Err(invalid("dynamic_group_rule is for dynamic groups only.")),
        (_, None) => None,
    };
    if rule.is_some() && parent.is_some() {
        return Err(invalid("super_group_id is for static groups only."));
    }
    let record = iotda.records.reserve(request.times.fleet, 1);
    let id = draw::hex_id(iotda.seed, 32, &["group", &record.to_string()]);
    let account = iotda.account_mut(account)?;
    account.check_app(app)?;
    let app = app.unwrap_or(&account.spec.app_id).to_owned();
    account.check_name(&app, name, None)?;
    if let Some(parent) = parent {
        account.group(parent)?;
    }
    let mut group = Group::new(id, name.to_owned(), app, request.times.fleet, request.times.wall);
    (group.description, group.parent, group.rule) =
        (description.map(str::to_owned), parent.map(str::to_owned), rule);
    let answer = Answer::json(201, &group.whole());
    account.groups.insert(record, group);
    Ok(answer)
}

/// GET `/device-group`.
///
/// # Errors
/// A parameter breaks its rule.
pub fn list(iotda: &mut Iotda, account: usize, request: &Request<'_>) -> Handled {
    let page = PageQuery::read(request)?;
    let app = request.checked_param("app_id", &ID)?;
    let name = request.checked_param("name", &NAME)?;
    let kind = request.param("group_type");
    let since =
        request.param("last_modified_time").map(|text| parse_time("last_modified_time", text)).transpose()?;
    let account = iotda.account(account)?;
    account.check_app(app)?;
    let keep = |group: &Group| {
        name.is_none_or(|name| group.name == name)
            && kind.is_none_or(|kind| group.kind() == kind)
            && since.is_none_or(|since| group.modified > since)
            && request.shows(group.created_wall)
    };
    let rows = &account.groups.rows;
    let count = rows.values().filter(|group| keep(group)).count();
    let below = rows.range(..page.marker).rev().filter(|(_, group)| keep(group)).map(|(record, _)| *record);
    let page = page.page(below, count);
    let shown: Vec<Value> =
        page.rows.iter().filter_map(|row| rows.get(row)).map(|group| Value::Object(group.row())).collect();
    Ok(Answer::json(200, &json!({"device_groups": shown, "page": page.json()})))
}

/// GET `/device-group/{group_id}`.
///
/// # Errors
/// No such group.
pub fn show(iotda: &mut Iotda, account: usize, id: &str) -> Handled {
    Ok(Answer::json(200, &iotda.account(account)?.group(id)?.whole()))
}

/// PUT `/device-group/{group_id}`.
///
/// # Errors
/// No such group, a field breaks its rule, or the name is taken.
pub fn update(iotda: &mut Iotda, account: usize, id: &str, request: &Request<'_>) -> Handled {
    let body = request.json_object()?;
    let fields = Fields::new(&body);
    let name = fields.text("name", &NAME)?;
    let description = fields.text("description", &DESCRIPTION)?;
    let account = iotda.account_mut(account)?;
    let app = account.group(id)?.app.clone();
    if let Some(name) = name {
        account.check_name(&app, name, Some(id))?;
    }
    let group = account.groups.get_mut(id).ok_or_else(|| Refusal::new(&codes::NO_GROUP, ""))?;
    group.name = name.unwrap_or(&group.name).to_owned();
    group.description = description.map(str::to_owned).or_else(|| group.description.take());
    group.modified = request.times.fleet;
    Ok(Answer::json(200, &group.whole()))
}

/// DELETE `/device-group/{group_id}`; its devices stay.
///
/// # Errors
/// No such group, or it has child groups.
pub fn delete(iotda: &mut Iotda, account: usize, id: &str) -> Handled {
    let account = iotda.account_mut(account)?;
    account.group(id)?;
    if account.groups.iter().any(|group| group.parent.as_deref() == Some(id)) {
        return Err(Refusal::new(&codes::GROUP_CONFLICT, "It has child groups."));
    }
    if let Some(record) = account.groups.by_id.remove(id) {
        account.groups.rows.remove(&record);
    }
    Ok(Answer::empty(204))
}

/// POST `/device-group/{group_id}/action`.
///
/// # Errors
/// No such group or device, a dynamic group, or an unknown action.
pub fn action(iotda: &mut Iotda, account: usize, id: &str, request: &Request<'_>) -> Handled {
    let action = request.param("action_id");
    let device = request.checked_param("device_id", &DEVICE_ID)?;
    let device = device.ok_or_else(|| invalid("device_id is mandatory."))?;
    let account = iotda.account_mut(account)?;
    if account.group(id)?.rule.is_some() {
        return Err(Refusal::new(&codes::GROUP_CONFLICT, "Members of a dynamic group follow its rule."));
    }
    let record = account.devices.record(device).ok_or_else(|| Refusal::new(&codes::NO_DEVICE, ""))?;
    let group = account.groups.get_mut(id).ok_or_else(|| Refusal::new(&codes::NO_GROUP, ""))?;
    match action {
        Some("addDevice") => group.members.insert(record),
        Some("removeDevice") => group.members.remove(&record),
        _ => return Err(invalid("action_id must be addDevice or removeDevice.")),
    };
    group.modified = request.times.fleet;
    Ok(Answer::empty(200))
}

/// GET `/device-group/{group_id}/devices`: without versions.
///
/// # Errors
/// No such group, or a parameter breaks its rule.
pub fn devices(iotda: &mut Iotda, fleet: &Fleet, account: usize, id: &str, request: &Request<'_>) -> Handled {
    let query = PageQuery::read(request)?;
    let account = iotda.account(account)?;
    let group = account.group(id)?;
    let page = match &group.rule {
        None => query.of(&group.members, None),
        Some(_) => query.of(&account.group_members(fleet, group, request.times.fleet), None),
    };
    let row = |record: &Record| {
        let device = account.devices.at(*record)?;
        Some(json!({
            "device_id": device.id,
            "node_id": device.node,
            "device_name": device.name,
            "product_id": device.product,
        }))
    };
    let shown: Vec<Value> = page.rows.iter().filter_map(row).collect();
    Ok(Answer::json(200, &json!({"devices": shown, "page": page.json()})))
}

/// GET `/devices/{device_id}/list-device-group`.
///
/// # Errors
/// No such device.
pub fn of_device(iotda: &mut Iotda, fleet: &Fleet, account: usize, id: &str, now: Timestamp) -> Handled {
    DEVICE_ID.check("device_id", id)?;
    let account = iotda.account(account)?;
    let record = account.devices.record(id).ok_or_else(|| Refusal::new(&codes::NO_DEVICE, ""))?;
    let has = |group: &&Group| account.group_members(fleet, group, now).contains(&record);
    let shown: Vec<Value> =
        account.groups.iter().filter(has).map(|group| Value::Object(group.row())).collect();
    Ok(Answer::json(200, &json!({"device_groups": shown})))
}
