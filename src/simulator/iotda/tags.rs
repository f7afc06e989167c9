//! Tags of devices: bind, unbind, query.

use super::{
    Account, Iotda, codes,
    paging::{PageQuery, Record},
    request::{Answer, DEVICE_ID, Fields, Handled, Refusal, Request, Rule, id_char, invalid, is_chinese},
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

const MOST_TAGS: usize = 10;
const KEY: Rule = Rule::new(64, tag_char);
const VALUE: Rule = Rule { min: 0, ..Rule::new(128, tag_char) };

const fn tag_char(c: char) -> bool {
    id_char(c) || c == '.' || is_chinese(c)
}

/// POST `/tags/bind-resource`: a tag that is there gets the new value.
///
/// # Errors
/// A field breaks its rule, unknown device, or more than 10 tags.
pub fn bind(iotda: &mut Iotda, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_object()?;
    let fields = Fields::new(&body);
    let account = iotda.account_mut(account)?;
    let record = resource(account, fields)?;
    let new = read_tags(fields)?;
    let keys: BTreeSet<&String> = new.iter().map(|(key, _)| key).collect();
    if keys.len() != new.len() {
        return Err(invalid("tags: a key is given twice."));
    }
    if let Some(key) = keys.iter().find(|key| key.starts_with("iot_")) {
        return Err(invalid(format!("tags: the prefix of {key} is reserved.")));
    }
    let mut tags = current(account, record);
    tags.extend(new);
    if tags.len() > MOST_TAGS {
        return Err(invalid(format!("a device has at most {MOST_TAGS} tags.")));
    }
    account.devices.set_tags(record, tags);
    Ok(Answer::empty(200))
}

/// POST `/tags/unbind-resource`.
///
/// # Errors
/// A field breaks its rule, unknown device, or a key that it does not have.
pub fn unbind(iotda: &mut Iotda, account: usize, request: &Request<'_>) -> Handled {
    let body = request.json_object()?;
    let fields = Fields::new(&body);
    let account = iotda.account_mut(account)?;
    let record = resource(account, fields)?;
    let keys =
        fields.texts("tag_keys", usize::MAX, &KEY)?.ok_or_else(|| invalid("tag_keys is mandatory."))?;
    let mut tags = current(account, record);
    for key in keys {
        tags.remove(&key).ok_or_else(|| invalid(format!("tag_keys: the device has no tag {key}.")))?;
    }
    account.devices.set_tags(record, tags);
    Ok(Answer::empty(200))
}

/// POST `/tags/query-resources`: devices that carry any of the tags.
///
/// # Errors
/// A field or parameter breaks its rule.
pub fn query(iotda: &mut Iotda, account: usize, request: &Request<'_>) -> Handled {
    let page = PageQuery::read(request)?;
    let body = request.json_object()?;
    let fields = Fields::new(&body);
    resource_type(fields)?;
    let tags = read_tags(fields)?;
    let account = iotda.account(account)?;
    let found = tags.iter().filter_map(|(key, value)| account.devices.tagged(key, value));
    let page = match found.clone().count() {
        0 => page.of(&BTreeSet::new(), None),
        1 => page.of(found.clone().next().unwrap_or(&BTreeSet::new()), None),
        _ => page.of(&found.flatten().copied().collect(), None),
    };
    let row = |record: &Record| Some(json!({"resource_id": account.devices.at(*record)?.id}));
    let shown: Vec<Value> = page.rows.iter().filter_map(row).collect();
    Ok(Answer::json(200, &json!({"resources": shown, "page": page.json()})))
}

fn resource_type(fields: Fields<'_>) -> Result<(), Refusal> {
    let kind = fields.one_of("resource_type", &["device"])?;
    kind.map(|_| ()).ok_or_else(|| invalid("resource_type is mandatory."))
}

fn resource(account: &Account, fields: Fields<'_>) -> Result<Record, Refusal> {
    resource_type(fields)?;
    let id = fields.required("resource_id", &DEVICE_ID)?;
    account.devices.record(id).ok_or_else(|| Refusal::new(&codes::NO_DEVICE, format!("resource_id {id}.")))
}

fn read_tags(fields: Fields<'_>) -> Result<Vec<(String, String)>, Refusal> {
    let tags = fields.get("tags").and_then(Value::as_array).filter(|tags| !tags.is_empty());
    let tags = tags.ok_or_else(|| invalid("tags must be a list that is not empty."))?;
    let read = |tag: &Value| {
        let none = Map::new();
        let tag = Fields { map: tag.as_object().unwrap_or(&none), path: "tags[]." };
        Ok((tag.required("tag_key", &KEY)?.to_owned(), tag.required("tag_value", &VALUE)?.to_owned()))
    };
    tags.iter().map(read).collect()
}

fn current(account: &Account, record: Record) -> BTreeMap<String, String> {
    account.devices.at(record).map(|device| device.tags.clone()).unwrap_or_default()
}
