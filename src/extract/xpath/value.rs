//! XPathValue: what an expression has found: nodes, or a text, a number or a truth.

use xpath_eval::Value;

use super::node::QueryNode;
use crate::extract::{room::TextRoom, select::Element, selector_error::SelectorError, text::collapsed};

/// What an XPath expression is: nodes of the page in their order, or a text, a number or a truth.
///
/// ```
/// use actix_crawler::extract::Document;
///
/// let page = Document::parse("<ul><li class=a>One<li>Two <b>!</b></ul><p title=x>Three");
/// assert_eq!(page.xpath("//li")?.texts()?, ["One", "Two !"]);
/// assert_eq!(page.xpath("//li[2]")?.elements()[0].html(), "<li>Two <b>!</b></li>");
/// assert_eq!(page.xpath("//li/@class | //@title")?.texts()?, ["a", "x"]);
/// assert_eq!(page.xpath("//ol")?.text(), None);
/// assert_eq!(page.xpath("concat(//b, ' ', count(//li))")?.text().as_deref(), Some("! 2"));
/// assert!(page.xpath("//p = 'Three'")?.is_true());
/// # Ok::<(), actix_crawler::extract::SelectorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct XPathValue<'a>(ValueKind<'a>);

#[derive(Clone, Debug)]
enum ValueKind<'a> {
    Nodes(Vec<FoundNode<'a>>),
    Text(String),
    Number(f64),
    Truth(bool),
}

/// A node that was found.
#[derive(Clone, Debug)]
enum FoundNode<'a> {
    Element(Element<'a>),
    /// An attribute, a text or a comment.
    Text(String),
}

impl<'a> XPathValue<'a> {
    /// Takes the result of a query over the page of an element.
    pub(super) fn of(value: Value<QueryNode<'_>>, of: Element<'a>) -> Self {
        Self(match value {
            Value::NodeSet(mut nodes) => {
                nodes.sort_by(|a, b| xpath_eval::Node::document_order(*a, *b));
                ValueKind::Nodes(nodes.into_iter().filter_map(|node| FoundNode::of(node, of)).collect())
            }
            Value::Boolean(truth) => ValueKind::Truth(truth),
            Value::Number(number) => ValueKind::Number(number),
            Value::String(text) => ValueKind::Text(text),
        })
    }

    /// Returns the elements among the nodes.
    pub fn elements(&self) -> Vec<Element<'a>> {
        self.nodes()
            .iter()
            .filter_map(|node| if let FoundNode::Element(element) = node { Some(*element) } else { None })
            .collect()
    }

    /// Returns the first element among the nodes.
    pub fn element(&self) -> Option<Element<'a>> {
        self.elements().first().copied()
    }

    /// Returns the text of each node: of an element as [`Element::text`], of an attribute its value, of a text itself
    /// on one line. A text, a number or a truth is one text.
    ///
    /// # Errors
    /// [`SelectorError::Nested`]: elements are within each other, and their texts 16 times as long as the page.
    pub fn texts(&self) -> Result<Vec<String>, SelectorError> {
        let ValueKind::Nodes(nodes) = &self.0 else { return Ok(self.text().into_iter().collect()) };
        let room = self.element().map_or_else(|| TextRoom::of_page(usize::MAX), |element| element.room());
        nodes.iter().map(|node| room.take(node.text())).collect()
    }

    /// Returns the first of the [`texts`](Self::texts); `None` if there are no nodes.
    pub fn text(&self) -> Option<String> {
        match &self.0 {
            ValueKind::Nodes(nodes) => nodes.first().map(FoundNode::text),
            ValueKind::Text(text) => Some(text.clone()),
            ValueKind::Number(number) if number.is_infinite() => Some(format!("{}Infinity", sign_of(*number))),
            // Zero has no sign.
            ValueKind::Number(number) => Some((number + 0.0).to_string()),
            ValueKind::Truth(truth) => Some(truth.to_string()),
        }
    }

    /// Returns the number that it is, by the rules of XPath: that of the first node's text, which is NaN if that is
    /// none. For numbers as people write them there is [`number_in`](crate::extract::number_in).
    pub fn number(&self) -> f64 {
        match &self.0 {
            ValueKind::Number(number) => *number,
            ValueKind::Truth(truth) => f64::from(u8::from(*truth)),
            ValueKind::Nodes(_) | ValueKind::Text(_) => self.text().map_or(f64::NAN, |text| number_of(&text)),
        }
    }

    /// Tells whether it is true, by the rules of XPath: whether there are nodes, or a text that is not empty, or a
    /// number other than 0.
    pub fn is_true(&self) -> bool {
        match &self.0 {
            ValueKind::Nodes(nodes) => !nodes.is_empty(),
            ValueKind::Text(text) => !text.is_empty(),
            ValueKind::Number(number) => *number != 0.0 && !number.is_nan(),
            ValueKind::Truth(truth) => *truth,
        }
    }

    fn nodes(&self) -> &[FoundNode<'a>] {
        if let ValueKind::Nodes(nodes) = &self.0 { nodes } else { &[] }
    }

    /// Returns each node, or the text, for the field of a struct.
    #[cfg(feature = "derive")]
    pub(super) fn into_found(self) -> Vec<crate::extract::derived::FoundValue<'a>> {
        use crate::extract::derived::FoundValue;
        match self.0 {
            ValueKind::Nodes(nodes) => nodes
                .into_iter()
                .map(|node| match node {
                    FoundNode::Element(element) => FoundValue::Element(element),
                    FoundNode::Text(text) => FoundValue::Text(text),
                })
                .collect(),
            _ => self.text().into_iter().map(FoundValue::Text).collect(),
        }
    }
}

fn sign_of(number: f64) -> &'static str {
    if number < 0.0 { "-" } else { "" }
}

/// Reads a number as XPath writes it (§4.4): digits, a point and a minus sign, and neither an exponent nor a plus.
fn number_of(text: &str) -> f64 {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_number { text.parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

impl<'a> FoundNode<'a> {
    fn of(node: QueryNode<'_>, of: Element<'a>) -> Option<Self> {
        if let Some((_, value)) = node.attribute() {
            return Some(Self::Text(value.to_owned()));
        }
        let node = of.node().tree().get(node.node()?.id())?;
        Some(match of.of_page(node) {
            Some(element) => Self::Element(element),
            None => Self::Text(match node.value() {
                scraper::Node::Text(text) => collapsed(text),
                scraper::Node::Comment(comment) => collapsed(comment),
                _ => String::new(),
            }),
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Element(element) => element.text(),
            Self::Text(text) => text.clone(),
        }
    }
}
