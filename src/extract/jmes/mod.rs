//! Jmes: JMESPath queries of JSON. The language is the crate `jmespath`'s; here it gets bounds, since it has none.

mod form;
mod functions;
#[cfg(feature = "derive")]
mod locate;

use std::rc::Rc;

use jmespath::{Rcvar, Variable, ast::Ast};
use serde_json::Value;

#[cfg(feature = "derive")]
pub use self::locate::Jmes;
use self::{
    form::{depth, growth},
    functions::RUNTIME,
};
use super::{compiled::Compiled, selector_error::SelectorError};

/// The longest query, in bytes.
const MAX_LENGTH: usize = 4_096;

/// The most signs by which the parser recurses.
const MAX_OPERATORS: usize = 128;

/// The most steps within each other. Each takes 10 kB of the stack while a query is run, in a program that is not
/// optimised.
const MAX_DEPTH: usize = 100;

/// How many times as large as its input a result may be by the form of a query: `[@, @]` doubles it.
const MAX_GROWTH: u64 = 10_000;

/// The most values of a result. Each takes up to a hundred bytes.
const MAX_VALUES: usize = 1_000_000;

/// The most compiled queries that a thread keeps, as of selectors.
const MAX_COMPILED: usize = 256;

thread_local! {
    static COMPILED: Compiled<Rc<JmesQuery>> = const { Compiled::new(MAX_COMPILED) };
}

type JmesQuery = jmespath::Expression<'static>;

/// Returns what a JMESPath query finds in a JSON value; `null` if nothing.
///
/// ```
/// use actix_crawler::extract::jmes;
/// use serde_json::json;
///
/// let shop = json!({"offers": [{"sku": "a", "price": 3}, {"sku": "b"}]});
/// assert_eq!(jmes(&shop, "offers[?price].{id: sku}")?, json!([{"id": "a"}]));
/// assert_eq!(jmes(&shop, "length(offers)")?, 2);
/// assert!(jmes(&shop, "owner.name")?.is_null());
///
/// let error = jmes(&shop, "offers[").unwrap_err().to_string();
/// assert!(error.ends_with("\n    offers[\n           ^"), "{error}");
/// # Ok::<(), actix_crawler::extract::SelectorError>(())
/// ```
/// # Errors
/// [`SelectorError::Jmes`]: it is no query, is longer than 4,096 bytes or has more than 128 operators or 100 steps within
/// each other, may make its input more than 10,000 times as large or finds more than a million values, or a function
/// does not take what it gets.
pub fn jmes(value: &Value, query: &str) -> Result<Value, SelectorError> {
    let compiled = compile(query)?;
    let refuse = |why: String| invalid(query, why, None);
    let found = compiled.search(value).map_err(|error| refuse(error.reason.to_string()))?;
    let mut room = MAX_VALUES;
    json_of(&found, &mut room).ok_or_else(|| refuse(format!("it finds more than {MAX_VALUES} values")))
}

/// Converts a result; `None` if it has more values than there is room for.
fn json_of(value: &Rcvar, room: &mut usize) -> Option<Value> {
    *room = room.checked_sub(1)?;
    Some(match &**value {
        Variable::Null | Variable::Expref(_) => Value::Null,
        Variable::String(text) => Value::String(text.clone()),
        Variable::Bool(truth) => Value::Bool(*truth),
        Variable::Number(number) => Value::Number(number.clone()),
        Variable::Array(values) => {
            Value::Array(values.iter().map(|value| json_of(value, room)).collect::<Option<_>>()?)
        }
        Variable::Object(fields) => {
            let field = |(name, value): (&String, &Rcvar)| Some((name.clone(), json_of(value, room)?));
            Value::Object(fields.iter().map(field).collect::<Option<_>>()?)
        }
    })
}

/// Compiles a query, or returns it from the cache.
fn compile(query: &str) -> Result<Rc<JmesQuery>, SelectorError> {
    COMPILED.with(|known| {
        known.get_or(query, || {
            check_size(query).map_err(|(why, at)| invalid(query, why, Some(at)))?;
            let refuse = |error: jmespath::JmespathError| invalid(query, error.reason.to_string(), Some(error.offset));
            let compiled = RUNTIME.compile(query).map_err(refuse)?;
            check_form(compiled.as_ast()).map_err(|why| invalid(query, why, None))?;
            Ok(Rc::new(compiled))
        })
    })
}

fn invalid(query: &str, why: String, at: Option<usize>) -> SelectorError {
    SelectorError::Jmes { query: query.to_owned(), why, at }
}

/// Checks what the parser and the evaluation recurse by.
fn check_size(query: &str) -> Result<(), (String, usize)> {
    if query.len() > MAX_LENGTH {
        return Err((format!("it is longer than {MAX_LENGTH} bytes"), MAX_LENGTH));
    }
    let is_operator = |c: char| matches!(c, '.' | '|' | '&' | '!' | '(' | '[' | '{' | '<' | '>' | '=');
    match query.char_indices().filter(|(_, c)| is_operator(*c)).nth(MAX_OPERATORS) {
        Some((at, _)) => Err((format!("it has more than {MAX_OPERATORS} operators"), at)),
        None => Ok(()),
    }
}

fn check_form(query: &Ast) -> Result<(), String> {
    if depth(query) > MAX_DEPTH {
        return Err(format!("it has more than {MAX_DEPTH} steps within each other"));
    }
    if growth(query) > MAX_GROWTH {
        return Err(format!("it may find {MAX_GROWTH} times as much as there is"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
