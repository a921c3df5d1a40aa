//! FieldValue: what the field of a struct can be.

use std::any::Any;

use serde_json::Value;

use super::{Checked, Piece};
use crate::extract::FromText;
use crate::extract::selector_error::SelectorError;

/// What a field of a struct that derives [`Extract`](super::Extract) can be: a type that implements [`FromText`], a
/// JSON value, or a struct that derives `Extract` itself. Nothing else implements it.
///
/// ```
/// use actix_crawler::prelude::*;
/// use serde_json::Value;
///
/// #[derive(Extract)]
/// struct Page {
///     #[extract(json = "/count")]
///     count: u32,
///     #[extract(json = "/extra")]
///     extra: Value,
///     #[extract(json = "/items")]
///     items: Vec<Item>,
/// }
///
/// #[derive(Extract)]
/// struct Item {
///     #[extract(json = "/name")]
///     name: String,
/// }
///
/// let page = Response::json_text("https://e.org/api", r#"{"count": 1, "extra": [], "items": [{"name": "tea"}]}"#);
/// let page = Page::extract(&page)?;
/// assert_eq!((page.count, page.extra, page.items[0].name.as_str()), (1, Value::Array(vec![]), "tea"));
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the field of a struct that derives `Extract`",
    label = "cannot be read from a page",
    note = "give the field a function: `parse = {Self}::from_str`, a `fn(&str) -> Result<{Self}, impl Display>`",
    note = "or implement `actix_crawler::extract::FromText` for `{Self}`, or derive `Extract` if it is a struct of your own",
    note = "an `Option` or a `Vec` is written without type aliases, and holds one value each"
)]
pub trait FieldValue: Sized {
    /// Reads it from what was found; `None` if that lacks what is wanted.
    #[doc(hidden)]
    fn of_piece(piece: &Piece<'_>) -> Result<Option<Self>, SelectorError>;

    /// Checks its selectors.
    #[doc(hidden)]
    fn check_in(checked: &mut Checked) -> Result<(), SelectorError> {
        let _ = checked;
        Ok(())
    }

    /// Shows each file in it.
    #[doc(hidden)]
    fn files_in(&mut self, see: &mut dyn FnMut(&mut dyn Any)) {
        let _ = see;
    }
}

impl<T: FromText> FieldValue for T {
    fn files_in(&mut self, see: &mut dyn FnMut(&mut dyn Any)) {
        if let Some(file) = self.as_file() {
            see(file);
        }
    }

    fn of_piece(piece: &Piece<'_>) -> Result<Option<Self>, SelectorError> {
        if let Some(value @ (Value::Number(_) | Value::Bool(_))) = piece.json() {
            return piece.accept(&value.to_string(), T::from_json(value)).map(Some);
        }
        let Some(text) = piece.text()? else { return Ok(None) };
        piece.accept(&text, T::from_text(&text)).map(Some)
    }
}

impl FieldValue for Value {
    fn of_piece(piece: &Piece<'_>) -> Result<Option<Self>, SelectorError> {
        match piece.json() {
            Some(value) => Ok(Some(value.clone())),
            None => Ok(piece.text()?.map(Value::String)),
        }
    }
}
