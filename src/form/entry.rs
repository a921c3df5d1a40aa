//! Entry: the names and values that a form sends ("constructing the entry list", HTML §4.10.22.4). Knows no bytes.

use bytes::Bytes;
use encoding_rs::Encoding;

use super::{
    control::{ControlKind, FormControl},
    lines::wrapped,
};

/// One name with its value.
#[derive(Clone, Debug)]
pub(super) struct FormEntry {
    pub name: String,
    pub value: Value,
}

/// The value of an entry.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    File(FormFile),
}

impl Value {
    /// Returns the text, or the name of the file, which is all that other encodings than multipart send.
    pub fn as_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::File(file) => file.name(),
        }
    }
}

/// A file to send with a form.
///
/// ```
/// use actix_crawler::form::FormFile;
///
/// let file = FormFile::new("notes.txt", "text/plain", "first line\n");
/// assert_eq!((file.name(), file.content().len()), ("notes.txt", 11));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormFile {
    name: String,
    content_type: String,
    content: Bytes,
}

impl FormFile {
    /// Creates a file with the name and the media type for the server. Line ends in the type are removed, since they
    /// would end its header.
    pub fn new(name: impl Into<String>, content_type: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let content_type = content_type.into().replace(['\r', '\n'], "");
        Self { name: name.into(), content_type, content: content.into() }
    }

    /// The value that a browser sends if no file was chosen.
    fn none() -> Self {
        Self::new("", "application/octet-stream", Bytes::new())
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the media type; `application/octet-stream` if none was given.
    pub fn content_type(&self) -> &str {
        if self.content_type.is_empty() { "application/octet-stream" } else { &self.content_type }
    }

    /// Returns the content.
    pub fn content(&self) -> &Bytes {
        &self.content
    }
}

/// The button that submits the form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Submitter {
    /// Its index among the controls.
    pub at: usize,
    /// Where an image was clicked.
    pub point: (u32, u32),
}

/// Returns the entries to send. Controls in a `<datalist>` are included, as in Chromium but not in the standard.
pub(super) fn entry_list(
    controls: &[FormControl],
    submitter: Option<Submitter>,
    encoding: &'static Encoding,
) -> Vec<FormEntry> {
    let mut entries = Vec::new();
    for (at, control) in controls.iter().enumerate() {
        let point = submitter.filter(|submitter| submitter.at == at).map(|submitter| submitter.point);
        if !control.is_disabled {
            add(control, point, encoding, &mut entries);
        }
    }
    entries
}

/// Adds the entries of one control; `point` is given for the button that submits the form.
fn add(control: &FormControl, point: Option<(u32, u32)>, encoding: &'static Encoding, entries: &mut Vec<FormEntry>) {
    let name = &control.name;
    let mut push = |name: &str, value: Value| entries.push(FormEntry { name: name.to_owned(), value });
    if let ControlKind::Image = control.kind {
        let Some((x, y)) = point else { return };
        let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
        push(&format!("{prefix}x"), Value::Text(x.to_string()));
        push(&format!("{prefix}y"), Value::Text(y.to_string()));
        return;
    }
    if name.is_empty() {
        return;
    }
    match &control.kind {
        ControlKind::Image | ControlKind::OtherButton => {}
        ControlKind::Submit => {
            if point.is_some() {
                push(name, Value::Text(control.value.clone()));
            }
        }
        ControlKind::Checkbox { is_checked } | ControlKind::Radio { is_checked } => {
            if *is_checked {
                push(name, Value::Text(control.value.clone()));
            }
        }
        ControlKind::Select { options, .. } => {
            for option in options.iter().filter(|option| option.is_selected && !option.is_disabled) {
                push(name, Value::Text(option.value.clone()));
            }
        }
        ControlKind::File { files, .. } => {
            if files.is_empty() {
                push(name, Value::File(FormFile::none()));
            }
            for file in files {
                push(name, Value::File(file.clone()));
            }
        }
        ControlKind::Text { is_hidden: true, .. } if name.eq_ignore_ascii_case("_charset_") => {
            push(name, Value::Text(encoding.name().to_owned()));
        }
        ControlKind::Textarea { wraps_at: Some(columns) } => push(name, Value::Text(wrapped(&control.value, *columns))),
        ControlKind::Text { .. } | ControlKind::Textarea { wraps_at: None } => {
            push(name, Value::Text(control.value.clone()));
        }
    }
    if let Some(direction) = &control.direction {
        push(&direction.name, Value::Text(direction.of.of(&control.value).to_owned()));
    }
}
