//! Form error: why a form cannot be filled in or sent. The message says what the form offers instead.

use thiserror::Error as ThisError;

use crate::{error::Error, extract::SelectorError};

/// Why a form cannot be filled in or sent.
///
/// ```
/// use actix_crawler::{form::FormError, prelude::*};
///
/// let page = Response::html("https://e.org/", "<p id=text>No form here</p>");
/// let error = page.form("#text").unwrap_err();
/// assert!(matches!(error, FormError::NoForm { .. }), "{error}");
/// ```
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum FormError {
    /// The selector is invalid, or no element matches it.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// The element is not a form, and not within one.
    #[error("`{css}` matches <{element}>, which is no form and stands in none")]
    NoForm {
        /// The selector.
        css: String,
        /// The name of the element that matches.
        element: String,
    },
    /// The form has no suitable control of that name.
    #[error("the form has no {wanted} named `{name}`; its names are {}", .names.join(", "))]
    NoControl {
        /// The name.
        name: String,
        /// The wanted kind, such as `file input`.
        wanted: &'static str,
        /// The names of the form's controls, at most 20.
        names: Vec<String>,
    },
    /// The control offers no such value.
    #[error("`{name}` offers no `{value}`; it offers {}", .values.join(", "))]
    NoChoice {
        /// The name of the control.
        name: String,
        /// The value.
        value: String,
        /// The offered values, at most 20.
        values: Vec<String>,
    },
    /// The control cannot have this value: an `<input type=date>` accepts only dates, for instance.
    #[error("`{name}` is an input of type {kind}, which cannot hold `{value}`")]
    NoValue {
        /// The name of the control.
        name: String,
        /// The type of the input.
        kind: &'static str,
        /// The value.
        value: String,
    },
    /// All controls of that name are disabled, so that a browser would not send them: see
    /// [`Form::enable`](super::Form::enable).
    #[error("`{name}` is disabled; enable it as the page's script would")]
    Disabled {
        /// The name of the control.
        name: String,
    },
    /// The element is not an enabled submit button of this form.
    #[error("`{css}` matches no enabled button that sends this form")]
    NoButton {
        /// The selector.
        css: String,
    },
    /// The form has `method=dialog`: a browser closes a dialog and sends nothing.
    #[error("the form closes a dialog and sends nothing")]
    Dialog,
    /// The form's action is not an `http` or `https` URL.
    #[error("the form's action `{action}` is no http or https URL")]
    Action {
        /// The action.
        action: String,
    },
}

impl From<FormError> for Error {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Selector(error) => Self::Selector(error),
            other => Self::spider(other),
        }
    }
}
