//! XPath: XPath 1.0 on the tree of a page. The language is the crate `xpath-eval`'s; here it gets the tree, and bounds,
//! since it has none: it recurses into expressions, and its sibling axes are quadratic.

mod node;
#[cfg(feature = "derive")]
mod locate;
mod value;

use std::rc::Rc;

use xpath_eval::{EvaluationContext, Expr};

#[cfg(feature = "derive")]
pub use self::locate::XPath;
use self::node::{Evaluation, QueryNode};
pub use self::value::XPathValue;
use super::{
    compiled::Compiled,
    node_order::NodeOrder,
    page_facts::PageFacts,
    select::{Document, Element},
    selector_error::SelectorError,
};

/// The most steps of one expression: nodes visited, and every 16 bytes of text read. That takes some tenths of a
/// second, and at most 100 MB for a moment. `//a` takes two steps for each node of a page.
const MAX_STEPS: u64 = 5_000_000;

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 4_096;

/// How deep brackets nest. Each level takes some kilobytes of the stack.
const MAX_NESTED: usize = 32;

/// The most operators of an expression. Each takes some hundred bytes of the stack.
const MAX_OPERATORS: usize = 256;

/// The most compiled expressions that a thread keeps, as of selectors.
const MAX_COMPILED: usize = 256;

thread_local! {
    static COMPILED: Compiled<Rc<Expr>> = const { Compiled::new(MAX_COMPILED) };
}

impl<'a> Element<'a> {
    /// Evaluates an XPath 1.0 expression with this element as its context: `.//td` searches within it, `//td` in the
    /// whole page. For what it finds see [`XPathValue`].
    ///
    /// Names are those of HTML, in lower case and without a namespace, also in SVG. The parser adds what is left out in
    /// the source, as browsers do: `//table/tr` finds nothing, since rows are in a `tbody`. `id()` finds by the
    /// attribute `id`. There are no variables and no functions beside those of XPath 1.0; for regular expressions see
    /// [`re`](Element::re).
    ///
    /// ```
    /// use actix_crawler::extract::Document;
    ///
    /// let page = Document::parse("<dl><dt>EAN</dt><dd>4006</dd><dt>Weight</dt><dd>2 kg</dd></dl>");
    /// let list = page.first("dl")?;
    /// assert_eq!(list.xpath("dt[.='Weight']/following-sibling::dd[1]")?.text().as_deref(), Some("2 kg"));
    /// assert_eq!(list.xpath("count(dt)")?.number(), 2.0);
    /// # Ok::<(), actix_crawler::extract::SelectorError>(())
    /// ```
    /// # Errors
    /// [`SelectorError::XPath`]: it is no expression, is longer than 4,096 bytes, nests deeper than 32 brackets, has more than
    /// 256 operators, or takes more than five million steps on this page, as expressions do that look through the page
    /// for each of its elements.
    pub fn xpath(&self, expression: &str) -> Result<XPathValue<'a>, SelectorError> {
        self.xpath_within(expression, MAX_STEPS)
    }

    /// Calls `f` with where each node of the page stands. That is found out once for a page.
    fn with_order<R>(&self, f: impl FnOnce(&NodeOrder) -> R) -> R {
        let page = self.page();
        if std::ptr::eq(page, PageFacts::unknown()) {
            return f(&NodeOrder::of(*self.node()));
        }
        f(page.order.get_or_init(|| NodeOrder::of(*self.node())))
    }

    fn xpath_within(&self, expression: &str, steps: u64) -> Result<XPathValue<'a>, SelectorError> {
        let compiled = compile(expression)?;
        let refuse = |why: String| invalid(expression, why, None);
        self.with_order(|order| {
            let Some(at) = order.place_of(self.node().id()) else {
                return Err(refuse("the element is not in its page".to_owned()));
            };
            let query = Evaluation::new(order, *self.node(), steps);
            let context = EvaluationContext::new(QueryNode::new(&query, at));
            let value = xpath_eval::evaluate(&compiled, &context).map_err(|error| refuse(error.to_string()))?;
            if query.is_spent() {
                return Err(refuse(format!("it takes more than {steps} steps on this page")));
            }
            Ok(XPathValue::of(value, *self))
        })
    }
}

impl Document {
    /// Evaluates an XPath 1.0 expression on the page; see [`Element::xpath`].
    ///
    /// # Errors
    /// As [`Element::xpath`].
    pub fn xpath(&self, expression: &str) -> Result<XPathValue<'_>, SelectorError> {
        self.root().xpath(expression)
    }
}

/// Compiles an expression, or returns it from the cache.
fn compile(expression: &str) -> Result<Rc<Expr>, SelectorError> {
    COMPILED.with(|known| {
        known.get_or(expression, || {
            check_size(expression).map_err(|(why, at)| invalid(expression, why, Some(at)))?;
            let parsed = xpath_eval::parse(expression);
            parsed.map(Rc::new).map_err(|error| invalid(expression, error.message, Some(error.position)))
        })
    })
}

fn invalid(expression: &str, why: String, at: Option<usize>) -> SelectorError {
    SelectorError::XPath { expression: expression.to_owned(), why, at }
}

/// Checks what the parser and the evaluation recurse by.
fn check_size(expression: &str) -> Result<(), (String, usize)> {
    if expression.len() > MAX_LENGTH {
        return Err((format!("it is longer than {MAX_LENGTH} bytes"), MAX_LENGTH));
    }
    let mut depth = 0;
    let mut operators = 0;
    let mut quote = None;
    let mut word_from = 0;
    for (at, c) in expression.char_indices() {
        if let Some(end) = quote {
            quote = Some(end).filter(|end| *end != c);
            continue;
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '+' | '-' | '|' | '=' | '<' | '>' | '*' => operators += 1,
            _ => {}
        }
        if !c.is_alphanumeric() {
            let word = expression.get(word_from..at).unwrap_or_default();
            operators += usize::from(matches!(word, "and" | "or" | "div" | "mod"));
            word_from = at + c.len_utf8();
        }
        if depth > i64::try_from(MAX_NESTED).unwrap_or_default() {
            return Err((format!("it nests deeper than {MAX_NESTED} brackets"), at));
        }
        if operators > MAX_OPERATORS {
            return Err((format!("it has more than {MAX_OPERATORS} operators"), at));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
