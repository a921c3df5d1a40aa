//! Control: the inputs, selects, text areas and buttons of a form with their values, and what can be chosen in them.
//! Knows no page, and not how a form is sent.

use super::{
    file::FormFile,
    value::{TextType, ValueRange},
};
use crate::extract::walk::NodeId;

/// One control of a form.
#[derive(Clone, Debug)]
pub(super) struct FormControl {
    /// Its node in the tree.
    pub node: NodeId,
    pub name: String,
    pub kind: ControlKind,
    /// Its value; for a checkbox, a radio button or a button, the value that is sent if it is chosen.
    pub value: String,
    pub is_disabled: bool,
    pub direction: Option<Direction>,
    /// For a button: the attributes that change how the form is sent.
    pub overrides: SubmitterOverrides,
}

/// The value of the attribute `dirname`.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    pub name: String,
    pub of: Dir,
}

/// The direction of a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dir {
    LeftToRight,
    RightToLeft,
    /// That of its first letter.
    ByContent,
}

impl Dir {
    /// Returns the word that is sent of a control with this value (HTML §3.2.6.4).
    pub fn of(self, value: &str) -> &'static str {
        let is_right_to_left = match self {
            Self::LeftToRight => false,
            Self::RightToLeft => true,
            Self::ByContent => value.chars().find(|c| c.is_alphabetic()).is_some_and(is_written_to_the_left),
        };
        if is_right_to_left { "rtl" } else { "ltr" }
    }
}

/// Tells whether a letter is of a script that is written to the left, as Hebrew and Arabic (the blocks that Unicode's
/// `DerivedBidiClass.txt` has for them).
fn is_written_to_the_left(letter: char) -> bool {
    matches!(
        letter,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}'
    )
}

/// `formaction`, `formmethod` and `formenctype`.
#[derive(Clone, Debug, Default)]
pub(super) struct SubmitterOverrides {
    pub action: Option<String>,
    pub method: Option<String>,
    pub enctype: Option<String>,
}

/// The kind of a control.
#[derive(Clone, Debug)]
pub(super) enum ControlKind {
    Text {
        of: TextType,
        bounds: ValueRange,
        is_hidden: bool,
    },
    Textarea {
        /// With `wrap=hard`, the most characters of a line that is sent.
        wraps_at: Option<usize>,
    },
    Checkbox {
        is_checked: bool,
    },
    Radio {
        is_checked: bool,
    },
    Select {
        options: Vec<SelectOption>,
        is_multiple: bool,
    },
    File {
        files: Vec<FormFile>,
        is_multiple: bool,
    },
    Submit,
    Image,
    /// A button that sends nothing.
    OtherButton,
}

/// An `<option>`.
#[derive(Clone, Debug)]
pub(super) struct SelectOption {
    pub value: String,
    pub text: String,
    pub is_selected: bool,
    pub is_disabled: bool,
}

impl FormControl {
    /// Tells whether a click on it submits the form.
    pub fn is_submit(&self) -> bool {
        matches!(self.kind, ControlKind::Submit | ControlKind::Image)
    }

    /// Tells whether it is a select, a radio button or a checkbox.
    pub fn is_choice(&self) -> bool {
        matches!(self.kind, ControlKind::Select { .. } | ControlKind::Radio { .. } | ControlKind::Checkbox { .. })
    }

    /// Tells whether `value` can be chosen here.
    pub fn offers(&self, value: &str) -> bool {
        match &self.kind {
            ControlKind::Select { options, .. } => options.iter().any(|option| option.is(value)),
            ControlKind::Checkbox { .. } | ControlKind::Radio { .. } => self.value == value,
            _ => false,
        }
    }

    /// Returns the values that can be chosen here.
    pub fn choices(&self) -> Vec<String> {
        match &self.kind {
            ControlKind::Select { options, .. } => options.iter().map(|option| option.value.clone()).collect(),
            _ => vec![self.value.clone()],
        }
    }

    /// Chooses this value; in a select with `multiple` beside others.
    pub fn choose(&mut self, value: &str) {
        match &mut self.kind {
            ControlKind::Checkbox { is_checked } | ControlKind::Radio { is_checked } => *is_checked = true,
            ControlKind::Select { options, is_multiple } => {
                // A value has priority over a text.
                let chosen = options.iter().position(|option| option.value == value && !option.is_disabled);
                let chosen = chosen.or_else(|| options.iter().position(|option| option.is(value)));
                for (at, option) in options.iter_mut().enumerate() {
                    option.is_selected = Some(at) == chosen || (*is_multiple && option.is_selected);
                }
            }
            _ => {}
        }
    }

    /// Chooses nothing.
    pub fn clear(&mut self) {
        match &mut self.kind {
            ControlKind::Checkbox { is_checked } | ControlKind::Radio { is_checked } => *is_checked = false,
            ControlKind::Select { options, .. } => options.iter_mut().for_each(|option| option.is_selected = false),
            _ => {}
        }
    }
}

impl SelectOption {
    /// Tells whether `value` refers to this option, and it can be chosen.
    fn is(&self, value: &str) -> bool {
        !self.is_disabled && (self.value == value || self.text == value)
    }
}
