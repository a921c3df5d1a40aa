//! Entry: the names and values that a form sends ("constructing the entry list", HTML §4.10.22.4). Knows no bytes.

use encoding_rs::Encoding;

use super::{
    control::{ControlKind, FormControl},
    file::FormFile,
    lines::wrapped,
};

/// One name with its value.
#[derive(Clone, Debug)]
pub(super) struct FormEntry {
    pub name: String,
    pub value: EntryValue,
}

/// The value of an entry.
#[derive(Clone, Debug)]
pub(super) enum EntryValue {
    Text(String),
    File(FormFile),
}

impl EntryValue {
    /// Returns the text, or the name of the file, which is all that other encodings than multipart send.
    pub fn as_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::File(file) => file.name(),
        }
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
    let mut push = |name: &str, value: EntryValue| entries.push(FormEntry { name: name.to_owned(), value });
    if let ControlKind::Image = control.kind {
        let Some((x, y)) = point else { return };
        let prefix = if name.is_empty() { String::new() } else { format!("{name}.") };
        push(&format!("{prefix}x"), EntryValue::Text(x.to_string()));
        push(&format!("{prefix}y"), EntryValue::Text(y.to_string()));
        return;
    }
    if name.is_empty() {
        return;
    }
    match &control.kind {
        ControlKind::Image | ControlKind::OtherButton => {}
        ControlKind::Submit => {
            if point.is_some() {
                push(name, EntryValue::Text(control.value.clone()));
            }
        }
        ControlKind::Checkbox { is_checked } | ControlKind::Radio { is_checked } => {
            if *is_checked {
                push(name, EntryValue::Text(control.value.clone()));
            }
        }
        ControlKind::Select { options, .. } => {
            for option in options.iter().filter(|option| option.is_selected && !option.is_disabled) {
                push(name, EntryValue::Text(option.value.clone()));
            }
        }
        ControlKind::File { files, .. } => {
            if files.is_empty() {
                push(name, EntryValue::File(FormFile::none()));
            }
            for file in files {
                push(name, EntryValue::File(file.clone()));
            }
        }
        ControlKind::Text { is_hidden: true, .. } if name.eq_ignore_ascii_case("_charset_") => {
            push(name, EntryValue::Text(encoding.name().to_owned()));
        }
        ControlKind::Textarea { wraps_at: Some(columns) } => {
            push(name, EntryValue::Text(wrapped(&control.value, *columns)));
        }
        ControlKind::Text { .. } | ControlKind::Textarea { wraps_at: None } => {
            push(name, EntryValue::Text(control.value.clone()));
        }
    }
    if let Some(direction) = &control.direction {
        push(&direction.name, EntryValue::Text(direction.of.of(&control.value).to_owned()));
    }
}
