//! The search language of POST `/search/query-devices`: what it selects and in which order.

use super::{
    Account, Iotda, codes,
    paging::Record,
    query_sql::{self, Columns, Order},
    request::{Answer, Fields, Handled, Refusal, Request, Rule},
};
use crate::simulator::{
    draw,
    fleet::{Fleet, compact_time},
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub use query_sql::{Condition, parse_condition};

/// A device as the search sees it.
pub struct Candidate<'a> {
    account: &'a Account,
    fleet: &'a Fleet,
    record: Record,
    now: Timestamp,
}

impl Candidate<'_> {
    /// Values of a field other than a tag; several for groups.
    #[must_use]
    pub fn values(&self, field: &str) -> Vec<String> {
        let Some(device) = self.account.devices.at(self.record) else { return Vec::new() };
        let running = self.fleet.devices.get(&device.id);
        let one = match field {
            "app_id" => Some(device.app.clone()),
            "device_id" => Some(device.id.clone()),
            "gateway_id" => Some(device.gateway.clone()),
            "product_id" => Some(device.product.clone()),
            "device_name" => Some(device.name.clone()),
            "node_id" => Some(device.node.clone()),
            "node_type" => Some(device.node_type().to_owned()),
            "status" => running.map(|running| super::devices::status(running, self.now).to_owned()),
            "sw_version" => running.and_then(|running| running.software.clone()),
            "fw_version" => running.and_then(|running| running.firmware.clone()),
            "create_time" => Some(compact_time(device.created)),
            "marker" => Some(self.record.to_string()),
            "group_id" => return self.groups(),
            _ => None,
        };
        one.into_iter().collect()
    }

    /// Tags: key and value.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        let device = self.account.devices.at(self.record);
        device.into_iter().flat_map(|device| &device.tags).map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Static groups only: a dynamic group that selects by groups would contain itself.
    fn groups(&self) -> Vec<String> {
        let with = self.account.groups.iter().filter(|group| group.members.contains(&self.record));
        with.map(|group| group.id.clone()).collect()
    }
}

/// Records of the devices that a condition selects.
#[must_use]
pub fn matching(account: &Account, fleet: &Fleet, condition: &Condition, now: Timestamp) -> BTreeSet<Record> {
    let fits = |record: &Record| condition.holds(&Candidate { account, fleet, record: *record, now });
    account.devices.iter().map(|(record, _)| record).filter(fits).collect()
}

/// POST `/search/query-devices`.
///
/// # Errors
/// The statement breaks a rule, or the account searches more often than it may.
pub fn query(iotda: &mut Iotda, fleet: &Fleet, account: usize, request: &Request<'_>) -> Handled {
    let passes = iotda
        .account_mut(account)?
        .searches
        .as_mut()
        .is_none_or(|searches| searches.take(request.times.wall));
    if !passes {
        return Err(Refusal::new(&codes::THROTTLED, super::throttle_detail(1.0)));
    }
    let body = request.json_object()?;
    let statement = query_sql::parse(Fields::new(&body).required("sql", &Rule::new(400, |_| true))?)?;
    let seed = iotda.seed;
    let holder = iotda.account(account)?;
    let mut found: Vec<Record> = match &statement.condition {
        Some(condition) => matching(holder, fleet, condition, request.times.fleet).into_iter().collect(),
        None => holder.devices.iter().map(|(record, _)| record).collect(),
    };
    if statement.columns == Columns::Count {
        return Ok(Answer::json(200, &json!({"count": found.len()})));
    }
    match statement.order {
        Some(Order::Ascending) => {}
        Some(Order::Descending) => found.reverse(),
        // Documented: without an order the order is random.
        None => found.sort_by_cached_key(|record| draw::number(seed, &["search", &record.to_string()])),
    }
    let page = found.into_iter().skip(statement.offset).take(statement.limit);
    let shown: Vec<Value> = page
        .map(|record| row(iotda, &Candidate { account: holder, fleet, record, now: request.times.fleet }))
        .collect();
    Ok(Answer::json(200, &json!({"devices": shown})))
}

const SHOWN: [&str; 11] = [
    "app_id",
    "device_id",
    "node_id",
    "gateway_id",
    "device_name",
    "node_type",
    "fw_version",
    "sw_version",
    "product_id",
    "status",
    "marker",
];

fn row(iotda: &Iotda, candidate: &Candidate<'_>) -> Value {
    let mut row = Map::new();
    for field in SHOWN {
        if let Some(value) = candidate.values(field).pop() {
            row.insert(field.to_owned(), json!(value));
        }
    }
    if let Some(name) = candidate.values("product_id").pop().and_then(|product| iotda.products.get(&product))
    {
        row.insert("product_name".to_owned(), json!(name));
    }
    let tags: Vec<Value> =
        candidate.tags().map(|(key, value)| json!({"tag_key": key, "tag_value": value})).collect();
    row.insert("tags".to_owned(), json!(tags));
    row.insert("groups".to_owned(), json!(candidate.groups()));
    Value::Object(row)
}
