//! Form error: why a form cannot be filled in or sent. Names what the form has instead.

use thiserror::Error as ThisError;

use crate::{error::Error, extract::SelectorError};

/// Why a form cannot be filled in as asked, or sent.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum FormError {
    /// The selector is wrong, or no element matches it.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// The element is no form and stands in none.
    #[error("`{css}` matches <{element}>, which is no form and stands in none")]
    NoForm {
        /// The selector.
        css: String,
        /// The name of the element that matches.
        element: String,
    },
    /// The form has no control of that name, or none that can be filled in so.
    #[error("the form has no {wanted} named `{name}`; its names are {}", .names.join(", "))]
    NoControl {
        /// The name.
        name: String,
        /// What was looked for, such as `file input`.
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
        /// The values that it offers, at most 20.
        values: Vec<String>,
    },
    /// The control cannot hold such a value: an `<input type=date>` only a date, for instance.
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
    /// The element is no button of this form that sends it, or a disabled one.
    #[error("`{css}` matches no enabled button that sends this form")]
    NoButton {
        /// The selector.
        css: String,
    },
    /// The form has `method=dialog`: a browser closes a dialog and sends nothing.
    #[error("the form closes a dialog and sends nothing")]
    Dialog,
    /// The form's action is no URL that a crawler can ask for.
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
