//! Grammar of the search: `select *|count(*)|count(1) from device [where …] [order by marker asc|desc] [limit [o,]n]`.
//!
//! Documented limits: 400 characters, 5 conditions, no nesting, a table of which operator fits which field. `and`
//! binds before `or` (assumed).

use super::{
    request::{Refusal, invalid},
    search::Candidate,
};

const FIELDS: [&str; 15] = [
    "app_id",
    "device_id",
    "gateway_id",
    "product_id",
    "device_name",
    "node_id",
    "status",
    "node_type",
    "tag_key",
    "tag_value",
    "sw_version",
    "fw_version",
    "group_id",
    "create_time",
    "marker",
];
const MOST_CONDITIONS: usize = 5;

/// What a statement shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// `*`
    All,
    /// `count(*)` or `count(1)`
    Count,
}

/// `order by marker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `asc`
    Ascending,
    /// `desc`
    Descending,
}

/// A whole statement.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it shows.
    pub columns: Columns,
    /// `where`.
    pub condition: Option<Condition>,
    /// `order by`.
    pub order: Option<Order>,
    /// First number of `limit`.
    pub offset: usize,
    /// Rows; 10 when absent.
    pub limit: usize,
}

/// Alternatives of conjunctions of comparisons.
#[derive(Clone, Debug)]
pub struct Condition(Vec<Vec<Comparison>>);

#[derive(Clone, Debug)]
struct Comparison {
    field: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    Like,
    In,
    NotIn,
}

impl Condition {
    /// Whether it selects a device.
    #[must_use]
    pub fn holds(&self, candidate: &Candidate<'_>) -> bool {
        self.0.iter().any(|all| {
            let (tags, plain): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.field.starts_with("tag_"));
            let tag_fits = |(key, value): (&str, &str)| {
                tags.iter().all(|one| one.holds(if one.field == "tag_key" { key } else { value }))
            };
            // Key and value are those of the same tag.
            plain.iter().all(|one| one.holds_any(&candidate.values(&one.field)))
                && (tags.is_empty() || candidate.tags().any(tag_fits))
        })
    }
}

impl Comparison {
    fn holds_any(&self, values: &[String]) -> bool {
        match self.operator {
            Operator::NotEqual | Operator::NotIn => values.iter().all(|value| self.holds(value)),
            _ => values.iter().any(|value| self.holds(value)),
        }
    }

    fn holds(&self, value: &str) -> bool {
        let first = self.values.first().map_or("", String::as_str);
        match self.operator {
            Operator::Equal => value == first,
            Operator::NotEqual => value != first,
            Operator::Greater => value > first,
            Operator::Less => value < first,
            Operator::Like => value.starts_with(first.trim_end_matches('%')),
            Operator::In => self.values.iter().any(|one| one == value),
            Operator::NotIn => self.values.iter().all(|one| one != value),
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        let field = self.field.as_str();
        let tag = field.starts_with("tag_");
        let allowed = match self.operator {
            Operator::Equal | Operator::NotEqual => true,
            Operator::Greater | Operator::Less => matches!(field, "create_time" | "marker"),
            Operator::Like => tag || matches!(field, "device_name" | "node_id"),
            Operator::In | Operator::NotIn => !tag,
        };
        if !allowed {
            return Err(invalid(format!("sql: the operator does not fit {field}.")));
        }
        if self.operator == Operator::Like {
            let prefix = self.values.first().and_then(|value| value.strip_suffix('%')).unwrap_or_default();
            if prefix.chars().count() < 4 || prefix.contains('%') {
                return Err(invalid("sql: like needs at least 4 characters and then one % at the end."));
            }
        }
        let long = matches!(field, "sw_version" | "fw_version");
        if long && self.values.iter().any(|value| value.chars().count() > 64) {
            return Err(invalid(format!("sql: a value of {field} has at most 64 characters.")));
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

fn tokens(sql: &str) -> Result<Vec<Token>, Refusal> {
    const SIGNS: [&str; 8] = ["!=", "=", ">", "<", "(", ")", ",", "*"];
    let mut found = Vec::new();
    let mut rest = sql.trim();
    while !rest.is_empty() {
        if let Some(text) = rest.strip_prefix('\'') {
            let (text, after) =
                text.split_once('\'').ok_or_else(|| invalid("sql: a quote is not closed."))?;
            found.push(Token::Text(text.to_owned()));
            rest = after.trim_start();
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            found.push(Token::Sign(sign));
            rest = rest.strip_prefix(sign).unwrap_or_default().trim_start();
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word.is_empty() {
                return Err(invalid(format!("sql: {:?} is not understood.", rest.chars().next())));
            }
            found.push(Token::Word(word.to_owned()));
            rest = after.trim_start();
        }
    }
    Ok(found)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

/// Reads a statement.
///
/// # Errors
/// It breaks a rule.
pub fn parse(sql: &str) -> Result<Statement, Refusal> {
    let mut parser = Parser { tokens: tokens(sql)?.into_iter().peekable() };
    parser.expect("select")?;
    let columns = parser.columns()?;
    parser.expect("from")?;
    parser.expect("device")?;
    let condition = if parser.take("where") { Some(parser.condition()?) } else { None };
    let order = parser.order()?;
    let (offset, limit) = parser.limit()?;
    parser.end()?;
    Ok(Statement { columns, condition, order, offset, limit })
}

/// Reads a where-clause without `where`: the rule of a dynamic group.
///
/// # Errors
/// It breaks a rule.
pub fn parse_condition(text: &str) -> Result<Condition, Refusal> {
    let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable() };
    let condition = parser.condition()?;
    parser.end()?;
    Ok(condition)
}

impl Parser {
    fn take(&mut self, keyword: &str) -> bool {
        let is_it = |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(keyword));
        self.tokens.next_if(is_it).is_some()
    }

    fn take_sign(&mut self, sign: &'static str) -> bool {
        self.tokens.next_if_eq(&Token::Sign(sign)).is_some()
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Refusal> {
        if self.take(keyword) { Ok(()) } else { Err(invalid(format!("sql: {keyword} is expected."))) }
    }

    fn expect_sign(&mut self, sign: &'static str) -> Result<(), Refusal> {
        if self.take_sign(sign) { Ok(()) } else { Err(invalid(format!("sql: {sign} is expected."))) }
    }

    fn end(&mut self) -> Result<(), Refusal> {
        if self.tokens.next().is_none() {
            Ok(())
        } else {
            Err(invalid("sql: something follows the statement."))
        }
    }

    fn columns(&mut self) -> Result<Columns, Refusal> {
        if self.take_sign("*") {
            return Ok(Columns::All);
        }
        self.expect("count")?;
        self.expect_sign("(")?;
        if !self.take_sign("*") {
            self.expect("1")?;
        }
        self.expect_sign(")")?;
        Ok(Columns::Count)
    }

    fn condition(&mut self) -> Result<Condition, Refusal> {
        let mut alternatives = vec![vec![self.comparison()?]];
        let mut count = 1;
        loop {
            if self.take("or") {
                alternatives.push(vec![self.comparison()?]);
            } else if self.take("and") {
                let next = self.comparison()?;
                if let Some(all) = alternatives.last_mut() {
                    all.push(next);
                }
            } else {
                return Ok(Condition(alternatives));
            }
            count += 1;
            if count > MOST_CONDITIONS {
                return Err(invalid(format!("sql: at most {MOST_CONDITIONS} conditions.")));
            }
        }
    }

    fn comparison(&mut self) -> Result<Comparison, Refusal> {
        let field = match self.tokens.next() {
            Some(Token::Word(word)) if FIELDS.contains(&word.as_str()) => word,
            Some(Token::Sign("(")) => return Err(invalid("sql: conditions cannot be nested.")),
            other => return Err(invalid(format!("sql: {other:?} is not a field that can be searched."))),
        };
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.value()?],
        };
        let comparison = Comparison { field, operator, values };
        comparison.check()?;
        Ok(comparison)
    }

    fn operator(&mut self) -> Result<Operator, Refusal> {
        let signs = [
            ("=", Operator::Equal),
            ("!=", Operator::NotEqual),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        if let Some((_, operator)) = signs.into_iter().find(|(sign, _)| self.take_sign(sign)) {
            return Ok(operator);
        }
        if self.take("not") {
            self.expect("in")?;
            return Ok(Operator::NotIn);
        }
        match (self.take("like"), self.take("in")) {
            (true, _) => Ok(Operator::Like),
            (_, true) => Ok(Operator::In),
            _ => Err(invalid("sql: an operator is expected (=, !=, >, <, like, in, not in).")),
        }
    }

    fn value(&mut self) -> Result<String, Refusal> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(text),
            _ => Err(invalid("sql: a value in single quotes is expected.")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, Refusal> {
        self.expect_sign("(")?;
        let mut values = vec![self.value()?];
        while self.take_sign(",") {
            values.push(self.value()?);
        }
        self.expect_sign(")")?;
        Ok(values)
    }

    fn order(&mut self) -> Result<Option<Order>, Refusal> {
        if !self.take("order") {
            return Ok(None);
        }
        self.expect("by")?;
        self.expect("marker")?;
        if self.take("desc") {
            return Ok(Some(Order::Descending));
        }
        self.take("asc");
        Ok(Some(Order::Ascending))
    }

    fn limit(&mut self) -> Result<(usize, usize), Refusal> {
        if !self.take("limit") {
            return Ok((0, 10));
        }
        let first = self.number()?;
        let (offset, limit) = if self.take_sign(",") { (first, self.number()?) } else { (0, first) };
        if offset > 500 || !(1..=50).contains(&limit) {
            return Err(invalid("sql: limit takes an offset up to 500 and 1 to 50 rows."));
        }
        Ok((offset, limit))
    }

    fn number(&mut self) -> Result<usize, Refusal> {
        let number = match self.tokens.next() {
            Some(Token::Word(word)) => word.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| invalid("sql: limit needs a number."))
    }
}
