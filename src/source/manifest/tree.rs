//! A YAML document as a tree whose nodes have a line and a column.

use serde_json::{Map, Number, Value as Json};
use std::fmt;

/// A position in the text. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A value and its position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub mark: Mark,
    pub value: Value,
}

/// Content of a node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A number, and its notation: `2.0` and `2` are the same number, but not the same version.
    Number(Number, String),
    Text(String),
    List(Vec<Node>),
    /// Fields in the order of the text; a key may occur twice here, which validation refuses.
    Map(Vec<Entry>),
}

/// A field: key and value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub key: String,
    pub mark: Mark,
    pub node: Node,
}

impl Node {
    /// The value of a field; the first one of a duplicate key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The fields of a map; none otherwise.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none otherwise.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if the node is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The node at a path such as `spec.stages[0].select`, or the innermost node on the way there that exists.
    pub fn nearest(&self, path: &str) -> &Self {
        let mut node = self;
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let index = step.parse::<usize>().ok();
            let next = node.get(step).or_else(|| node.items().get(index?));
            let Some(next) = next else { break };
            node = next;
        }
        node
    }

    /// The tree without positions.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Number(number, _) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    map.entry(&entry.key).or_insert_with(|| entry.node.to_json());
                }
                Json::Object(map)
            }
        }
    }

    /// Number of nodes in the tree.
    pub fn size(&self) -> usize {
        let children: usize = self.items().iter().map(Self::size).sum();
        let fields: usize = self.entries().iter().map(|entry| entry.node.size()).sum();
        1 + children + fields
    }

    /// Depth of the tree: 1 for a scalar.
    pub fn depth(&self) -> usize {
        let items = self.items().iter().map(Self::depth).max().unwrap_or(0);
        let fields = self.entries().iter().map(|entry| entry.node.depth()).max().unwrap_or(0);
        1 + items.max(fields)
    }
}
