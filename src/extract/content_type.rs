//! tmp
/// tmp
pub struct ContentType {
    /// e
    pub essence: String,
}
impl ContentType {
    /// of
    pub fn of(value: Option<&str>, _body: &[u8]) -> Self {
        Self { essence: value.unwrap_or("text/html").split(';').next().unwrap_or("").trim().to_ascii_lowercase() }
    }
    /// html
    pub fn is_html(&self) -> bool {
        self.essence == "text/html" || self.essence == "application/xhtml+xml"
    }
}
