//! Device groups and their members.

use super::{
    OceanConnect, codes,
    request::{Answer, Handled, Refusal, Request, invalid, text, texts},
};
use crate::simulator::draw;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const PAGE: (usize, usize) = (10, 250);

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// `id`
    pub id: String,
    /// `name`: what upgrade tasks name it by.
    pub name: String,
    /// Device ids.
    pub members: BTreeSet<String>,
    description: String,
    most: usize,
}

impl Group {
    /// A group without members or limit.
    #[must_use]
    pub const fn new(id: String, name: String) -> Self {
        Self { id, name, members: BTreeSet::new(), description: String::new(), most: 0 }
    }

    fn json(&self, app_id: &str, with_members: bool) -> Value {
        let mut shown = json!({
            "name": self.name,
            "description": self.description,
            "id": self.id,
            "appId": app_id,
            "maxDevNum": self.most,
            "curDevNum": self.members.len(),
        });
        if with_members {
            shown["deviceIds"] = json!(self.members);
        }
        shown
    }

    fn add(&mut self, ids: Vec<String>) -> Result<(), Refusal> {
        let members: BTreeSet<String> = self.members.iter().cloned().chain(ids).collect();
        if self.most > 0 && members.len() > self.most {
            return Err(Refusal::new(&codes::GROUP_CONFLICT, format!("maxDevNum is {}.", self.most)));
        }
        self.members = members;
        Ok(())
    }

    fn change(&mut self, body: &Map<String, Value>) -> Result<(), Refusal> {
        if let Some(name) = text(body, "name") {
            let fits = (1..=50).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
            if !fits {
                return Err(invalid("name must be 1 to 50 letters and digits."));
            }
            name.clone_into(&mut self.name);
        }
        if let Some(description) = text(body, "description") {
            if description.chars().count() > 1024 {
                return Err(invalid("description must have at most 1024 characters."));
            }
            description.clone_into(&mut self.description);
        }
        match body.get("maxDevNum") {
            None | Some(Value::Null) => {}
            Some(most) => {
                let most = most.as_u64().and_then(|most| usize::try_from(most).ok());
                self.most = most.ok_or_else(|| invalid("maxDevNum must be a number from 0."))?;
            }
        }
        Ok(())
    }
}

/// POST `/devGroups`.
///
/// # Errors
/// A field breaks its rule, or the name is taken.
pub fn create(cloud: &mut OceanConnect, app: usize, request: &Request<'_>) -> Handled {
    let body = request.json_or(&codes::BAD_INPUT)?;
    cloud.check_app(app, text(&body, "appId"))?;
    let name = text(&body, "name").ok_or_else(|| invalid("name is mandatory."))?.to_owned();
    let id = draw::hex_id(cloud.seed, 24, &["group", &cloud.number().to_string()]);
    let mut group = Group::new(id, name);
    group.change(&body)?;
    let app = cloud.app_mut(app)?;
    if app.groups.iter().any(|other| other.name == group.name) {
        return Err(Refusal::new(&codes::GROUP_CONFLICT, format!("name {} is taken.", group.name)));
    }
    let ids = texts(&body, "deviceIds", &codes::BAD_INPUT)?.unwrap_or_default();
    app.check_devices(&ids)?;
    group.add(ids)?;
    let answer = group.json(&app.spec.app_id, true);
    app.groups.push(group);
    Ok(Answer::json(200, &answer))
}

/// GET `/devGroups`.
///
/// # Errors
/// A parameter breaks its rule.
pub fn list(cloud: &OceanConnect, app: usize, request: &Request<'_>) -> Handled {
    cloud.check_app(app, request.param("accessAppId"))?;
    let page = request.page(PAGE.0, PAGE.1, &codes::BAD_INPUT)?;
    let name = request.param("name");
    let app = cloud.app(app)?;
    let groups = app.groups.iter().filter(|group| name.is_none_or(|name| group.name == name));
    let (rows, total) = page.of(groups.map(|group| group.json(&app.spec.app_id, false)));
    Ok(Answer::json(
        200,
        &json!({
            "totalCount": total, "pageNo": page.number, "pageSize": page.size, "list": rows,
        }),
    ))
}

/// GET `/devGroups/{id}`.
///
/// # Errors
/// No such group.
pub fn show(cloud: &OceanConnect, app: usize, id: &str, request: &Request<'_>) -> Handled {
    cloud.check_app(app, request.param("accessAppId"))?;
    let app = cloud.app(app)?;
    let group = app.groups.iter().find(|group| group.id == id).ok_or(&codes::NO_GROUP)?;
    Ok(Answer::json(200, &group.json(&app.spec.app_id, false)))
}

/// PUT `/devGroups/{id}`.
///
/// # Errors
/// No such group, or a field breaks its rule.
pub fn update(cloud: &mut OceanConnect, app: usize, id: &str, request: &Request<'_>) -> Handled {
    let body = request.json_or(&codes::BAD_INPUT)?;
    cloud.check_app(app, request.param("accessAppId"))?;
    let app = cloud.app_mut(app)?;
    let place = app.groups.iter().position(|group| group.id == id).ok_or(&codes::NO_GROUP)?;
    let taken = app.groups.iter().any(|other| other.id != id && text(&body, "name") == Some(&other.name));
    if taken {
        return Err(Refusal::new(&codes::GROUP_CONFLICT, "name is taken."));
    }
    let app_id = app.spec.app_id.clone();
    let group = app.groups.get_mut(place).ok_or(&codes::NO_GROUP)?;
    group.change(&body)?;
    Ok(Answer::json(200, &group.json(&app_id, false)))
}

/// DELETE `/devGroups/{id}`.
///
/// # Errors
/// No such group.
pub fn delete(cloud: &mut OceanConnect, app: usize, id: &str, request: &Request<'_>) -> Handled {
    cloud.check_app(app, request.param("accessAppId"))?;
    let groups = &mut cloud.app_mut(app)?.groups;
    let place = groups.iter().position(|group| group.id == id).ok_or(&codes::NO_GROUP)?;
    groups.remove(place);
    Ok(Answer::empty(200))
}

/// GET `/devices/ids`: the ids of a group's devices.
///
/// # Errors
/// No such group, or a parameter breaks its rule.
pub fn members(cloud: &OceanConnect, app: usize, request: &Request<'_>) -> Handled {
    cloud.check_app(app, request.param("accessAppId"))?;
    let page = request.page(PAGE.0, PAGE.1, &codes::BAD_INPUT)?;
    let id = request.param("devGroupId").ok_or_else(|| invalid("devGroupId is mandatory."))?;
    let group = cloud.app(app)?.groups.iter().find(|group| group.id == id).ok_or(&codes::NO_GROUP)?;
    let (rows, total) = page.of(group.members.iter());
    Ok(Answer::json(
        200,
        &json!({
            "totalCount": total, "pageNo": page.number, "pageSize": page.size, "deviceIds": rows,
        }),
    ))
}

/// POST `/devices/addDevGroupTagToDevices` and `/devices/deleteDevGroupTagFromDevices`.
///
/// # Errors
/// No such group or device, or the group is full.
pub fn change_members(cloud: &mut OceanConnect, app: usize, add: bool, request: &Request<'_>) -> Handled {
    let body = request.json_or(&codes::BAD_INPUT)?;
    cloud.check_app(app, request.param("accessAppId"))?;
    let id = text(&body, "devGroupId").ok_or_else(|| invalid("devGroupId is mandatory."))?;
    let ids = texts(&body, "deviceIds", &codes::BAD_INPUT)?;
    let ids = ids.ok_or_else(|| invalid("deviceIds is mandatory."))?;
    let app = cloud.app_mut(app)?;
    app.check_devices(&ids)?;
    let group = app.groups.iter_mut().find(|group| group.id == id).ok_or(&codes::NO_GROUP)?;
    let answer = json!({"devGroupId": id, "deviceIds": ids});
    if add {
        group.add(ids)?;
    } else {
        group.members.retain(|member| !ids.contains(member));
    }
    Ok(Answer::json(200, &answer))
}
