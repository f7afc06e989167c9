//! Parses text into trees, one per YAML document.
//!
//! Uses the event parser of `serde_yaml` rather than its deserializer, which stops at the first error and has no position for a
//! duplicate key.

use super::scalar;
use super::tree::{Entry, Mark, Node, Value};
use serde_yaml::granit_parser::{
    ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag, options,
};
use std::collections::BTreeMap;

/// Maximum nesting depth; a manifest has eight levels.
const MAX_DEPTH: usize = 64;
/// Maximum number of nodes that all aliases of a file may expand to, so that a few lines never become gigabytes.
const MAX_ALIASED: usize = 100_000;

/// Why the text cannot be read as YAML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub mark: Mark,
    pub message: String,
}

/// The documents of a text without empty ones, and the problem of the rest of the text if it could not be read to its end.
pub(super) fn read(text: &str) -> (Vec<Node>, Option<Broken>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let step =
            event.map_err(|error| broken(&error, text)).and_then(|(event, span)| builder.take(event, span));
        if let Err(broken) = step {
            return (builder.documents, Some(broken));
        }
    }
    (builder.documents, None)
}

fn broken(error: &ScanError, text: &str) -> Broken {
    let mark = mark_of(error.marker());
    let cause = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => {
            let message = "invalid YAML: a tab is used for indentation: use spaces".to_owned();
            return Broken { mark: first_tab(text, mark), message };
        }
        ErrorKind::UnclosedQuotedScalar => "the quote that opens here is not closed".to_owned(),
        ErrorKind::UnclosedFlowCollection { .. } => "the bracket that opens here is not closed".to_owned(),
        ErrorKind::MappingValueNotAllowed => {
            "unexpected `:`: quote the text, or check the indentation".to_owned()
        }
        _ => error.info(),
    };
    Broken { mark, message: format!("invalid YAML: {cause}") }
}

/// The parser reports the position at which the text before the tab began.
fn first_tab(text: &str, from: Mark) -> Mark {
    let lines = text.lines().enumerate().skip(from.line.saturating_sub(1));
    let tabs = lines.filter_map(|(line, text)| {
        let column = text.chars().position(|c| c == '\t')? + 1;
        Some(Mark { line: line + 1, column })
    });
    tabs.into_iter().find(|mark| *mark >= from).unwrap_or(from)
}

fn mark_of(marker: &Marker) -> Mark {
    Mark { line: marker.line().max(1), column: marker.col() + 1 }
}

/// A list or map whose end has not been read yet.
struct Open {
    mark: Mark,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merged: Vec<Node>, key: Option<Key> },
}

enum Key {
    Field(String, Mark),
    /// `<<`: the fields of another map, unless this one has them.
    Merge,
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    aliased: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Broken> {
        let mark = mark_of(&span.start);
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let key = self.at_key() && style == ScalarStyle::Plain && text == "<<";
                if key {
                    self.set_key(Key::Merge);
                    return Ok(());
                }
                let value = scalar_value(&text, style, tag.as_deref(), mark)?;
                return self.finish(Node { mark, value }, anchor, Some(&text));
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", mark)?;
                self.begin(mark, anchor, OpenKind::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "map", mark)?;
                let map = OpenKind::Map { entries: Vec::new(), merged: Vec::new(), key: None };
                self.begin(mark, anchor, map)?;
            }
            Event::SequenceEnd | Event::MappingEnd => return self.end(),
            Event::Alias(anchor) => return self.alias(anchor, mark),
            _ => {}
        }
        Ok(())
    }

    /// True where the next node is the key of a field.
    fn at_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: OpenKind::Map { key: None, .. }, .. }))
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Open { kind: OpenKind::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(new);
        }
    }

    fn begin(&mut self, mark: Mark, anchor: usize, kind: OpenKind) -> Result<(), Broken> {
        if self.at_key() {
            return Err(Broken {
                mark,
                message: "the key of a field must be text, not a list or a map".to_owned(),
            });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(mark));
        }
        self.open.push(Open { mark, anchor, kind });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Broken> {
        let Some(Open { mark, anchor, kind }) = self.open.pop() else { return Ok(()) };
        let value = match kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map { mut entries, merged, .. } => {
                for map in &merged {
                    merge(&mut entries, map);
                }
                Value::Map(entries)
            }
        };
        self.finish(Node { mark, value }, anchor, None)
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Broken> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Broken { mark, message: "the alias is inside of its own anchor".to_owned() });
        };
        self.aliased += node.size();
        if self.aliased > MAX_ALIASED {
            return Err(Broken {
                mark,
                message: format!("aliases expand to more than {MAX_ALIASED} values"),
            });
        }
        if self.open.len() + node.depth() > MAX_DEPTH {
            return Err(too_deep(mark));
        }
        let text = node.text().map(str::to_owned);
        self.finish(node, 0, text.as_deref())
    }

    /// Puts a node into its parent. `text` is the notation of a scalar: a key is text whatever it looks like.
    fn finish(&mut self, node: Node, anchor: usize, text: Option<&str>) -> Result<(), Broken> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            if node.value != Value::Null {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, merged, key } => match (key.take(), text) {
                (Some(Key::Field(key, mark)), _) => entries.push(Entry { key, mark, node }),
                (Some(Key::Merge), _) => add_merge(merged, node)?,
                (None, Some(text)) => {
                    // A map begins at its first key; the parser reports the position of its `:`.
                    if entries.is_empty() && merged.is_empty() {
                        open.mark = open.mark.min(node.mark);
                    }
                    *key = Some(Key::Field(text.to_owned(), node.mark));
                }
                (None, None) => {
                    let message = "the key of a field must be text, not a list or a map".to_owned();
                    return Err(Broken { mark: node.mark, message });
                }
            },
        }
        Ok(())
    }
}

fn too_deep(mark: Mark) -> Broken {
    Broken { mark, message: format!("nested deeper than {MAX_DEPTH} levels") }
}

fn add_merge(merged: &mut Vec<Node>, node: Node) -> Result<(), Broken> {
    match node.value {
        Value::Map(_) => merged.push(node),
        Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
            merged.extend(items);
        }
        _ => {
            let message = "<< requires a map, or a list of maps".to_owned();
            return Err(Broken { mark: node.mark, message });
        }
    }
    Ok(())
}

fn merge(entries: &mut Vec<Entry>, map: &Node) {
    for entry in map.entries() {
        if entries.iter().all(|known| known.key != entry.key) {
            entries.push(entry.clone());
        }
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>, mark: Mark) -> Result<Value, Broken> {
    let plain = style == ScalarStyle::Plain;
    match tag.map(Tag::core_suffix) {
        None if plain => Ok(scalar::plain(text)),
        None | Some(Some("str")) => Ok(Value::Text(text.to_owned())),
        Some(Some("int" | "float" | "bool" | "null")) => Ok(scalar::plain(text)),
        Some(_) => Err(unknown_tag(mark)),
    }
}

fn collection_tag(tag: Option<&Tag>, wanted: &str, mark: Mark) -> Result<(), Broken> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(wanted) => Err(unknown_tag(mark)),
        _ => Ok(()),
    }
}

/// The message does not repeat the tag: YAML parses a password that begins with `!` as one.
fn unknown_tag(mark: Mark) -> Broken {
    Broken { mark, message: "tags (`!…`) are not supported: quote text that begins with !".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(text: &str) -> Node {
        let (documents, broken) = read(text);
        assert_eq!(broken, None, "{text}");
        documents.into_iter().next().unwrap()
    }

    #[test]
    fn every_node_knows_its_place() {
        let node = one("# first\na:\n  - x: 1\n    Ü: \"zwei\"\n  - [p, {q: r}]\n");
        let at = |path| {
            let mark = node.nearest(path).mark;
            (mark.line, mark.column)
        };
        assert_eq!(at(""), (2, 1));
        assert_eq!(at("a"), (3, 3));
        assert_eq!(at("a[0]"), (3, 5));
        assert_eq!(at("a[0].Ü"), (4, 8));
        assert_eq!(at("a[1][1].q"), (5, 13));
        assert_eq!(node.get("a").unwrap().items()[0].entries()[1].mark, Mark { line: 4, column: 5 });
    }

    #[test]
    fn byte_order_mark_and_carriage_returns_move_no_place() {
        let node = one("\u{feff}a: 1\r\nb:\r\n  c: 2\r\n");
        assert_eq!(node.to_json(), json!({"a": 1, "b": {"c": 2}}));
        assert_eq!(node.get("a").unwrap().mark, Mark { line: 1, column: 4 });
        assert_eq!(node.nearest("b.c").mark, Mark { line: 3, column: 6 });
    }

    #[test]
    fn documents_that_say_nothing_are_left_out() {
        for text in ["", "# only a comment\n", "---\n---\n# nothing\n", "---\n~\n...\n"] {
            assert_eq!(read(text), (vec![], None), "{text:?}");
        }
        assert_eq!(read("---\na: 1\n---\n---\nb: 2\n").0.len(), 2);
    }

    #[test]
    fn json_with_tabs_is_yaml() {
        assert_eq!(one("{\n\t\"a\": [1,\n\t\ttrue]\n}\n").to_json(), json!({"a": [1, true]}));
    }

    #[test]
    fn aliases_and_merge_keys_stand_for_what_they_name() {
        let node = one("base: &b {x: 1, y: 2}\nall: {<<: *b, y: 3}\nlist: [*b]\n");
        assert_eq!(node.to_json()["all"], json!({"y": 3, "x": 1}));
        assert_eq!(node.to_json()["list"], json!([{"x": 1, "y": 2}]));
    }

    #[test]
    fn tags_of_the_core_schema_are_honoured_and_others_refused() {
        assert_eq!(one("v: !!str 2.0").to_json(), json!({"v": "2.0"}));
        let broken = read("v: !secret abc").1.unwrap();
        assert!(!broken.message.contains("secret") && !broken.message.contains("abc"), "{}", broken.message);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", ")));
        }
        let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
        let cases = [
            ("a: &a [*a]\n", 1, 8, "the alias is inside of its own anchor"),
            ("? [1, 2]\n: x\n", 1, 3, "the key of a field must be text, not a list or a map"),
            ("a: {<<: 5}\n", 1, 9, "<< requires a map, or a list of maps"),
            (bomb.as_str(), 5, 45, "aliases expand to more than 100000 values"),
            (deep.as_str(), 1, 65, "invalid YAML: recursion limit exceeded"),
            ("a: 1\n\tb: 2\n", 2, 1, "invalid YAML: a tab is used for indentation: use spaces"),
            ("a: [1, 2\nb: 3\n", 2, 2, "invalid YAML: illegal placement of ':' indicator"),
            ("a: \"open\n", 1, 4, "invalid YAML: the quote that opens here is not closed"),
            ("a: [1, 2\n", 1, 4, "invalid YAML: the bracket that opens here is not closed"),
            ("a: b: c\n", 1, 5, "invalid YAML: unexpected `:`: quote the text, or check the indentation"),
        ];
        let seen: Vec<_> = cases
            .iter()
            .map(|(text, ..)| read(text).1.map(|b| (b.mark.line, b.mark.column, b.message)).unwrap())
            .collect();
        let wanted: Vec<_> =
            cases.iter().map(|(_, line, column, message)| (*line, *column, (*message).to_owned())).collect();
        assert_eq!(seen, wanted);
    }
}
