//! Row: an item as names and cells, by way of serde. Knows no files and no quoting.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};

/// An item as a record.
#[derive(Debug)]
pub(super) enum Row {
    /// The fields of a struct or a map, in their order.
    Named(Vec<(String, Cell)>),
    /// The elements of a tuple or a list; one for a plain value.
    Unnamed(Vec<Cell>),
}

/// The content of a cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    text: String,
    /// Numbers are never escaped as formulas.
    is_text: bool,
}

/// Why an item cannot be a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error("the item cannot be written as CSV: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`{0}` has fields of its own, and a cell takes a plain value or a list of them")]
    Nested(String),
}

impl Row {
    /// Converts an item.
    ///
    /// # Errors
    /// It cannot be serialized, or is nested more than one level deep.
    pub fn of(item: &impl Serialize) -> Result<Self, RowError> {
        // By way of JSON: it keeps the order of fields, and formats numbers in the shortest form that can be parsed
        // back.
        match serde_json::from_str(&serde_json::to_string(item)?)? {
            Node::Table(mut fields) => {
                // An enum variant that contains one struct.
                if let [(_, Node::Table(_))] = fields.as_slice()
                    && let Some((_, Node::Table(inner))) = fields.pop()
                {
                    fields = inner;
                }
                fields
                    .into_iter()
                    .map(|(name, node)| Ok((name.clone(), Cell::of(name, node)?)))
                    .collect::<Result<_, _>>()
                    .map(Self::Named)
            }
            Node::List(elements) => {
                let cell = |(index, node)| Cell::of(format!("element {index}"), node);
                elements.into_iter().enumerate().map(cell).collect::<Result<_, _>>().map(Self::Unnamed)
            }
            plain => Ok(Self::Unnamed(vec![Cell::of("item".to_owned(), plain)?])),
        }
    }
}

/// Separates the values of a list in one cell.
const BETWEEN: &str = " | ";

impl Cell {
    fn of(name: String, node: Node) -> Result<Self, RowError> {
        match node {
            Node::Plain(text) => Ok(Self { text, is_text: false }),
            Node::Text(text) => Ok(Self { text, is_text: true }),
            Node::List(nodes) => {
                let texts = nodes.into_iter().map(|node| Ok(Self::of(name.clone(), node)?.text));
                Ok(Self { text: texts.collect::<Result<Vec<_>, RowError>>()?.join(BETWEEN), is_text: true })
            }
            Node::Table(_) => Err(RowError::Nested(name)),
        }
    }

    /// Returns the text, with `'` before it if it looks like a formula and must be escaped.
    pub fn text(&self, escape_formulas: bool) -> Cow<'_, str> {
        if escape_formulas && self.is_text && self.text.starts_with(BEGIN_FORMULAS) {
            return Cow::Owned(format!("'{}", self.text));
        }
        Cow::Borrowed(&self.text)
    }
}

/// The first characters that make a spreadsheet evaluate a cell as a formula (OWASP, CSV injection), and their
/// full-width forms.
const BEGIN_FORMULAS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// JSON that keeps the order of fields.
#[derive(Debug)]
enum Node {
    /// Null, a boolean or a number, as written.
    Plain(String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(String::new()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(format!("{value:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = elements.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = entries.next_entry()? {
            fields.push(field);
        }
        Ok(Node::Table(fields))
    }
}
