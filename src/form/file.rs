//! FormFile: a file that is sent with a form. Knows no form.

use bytes::Bytes;

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
    pub(super) fn none() -> Self {
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
