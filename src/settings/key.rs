//! Key: the way to a setting through tables and lists, written as in a file. Knows no file and no settings.

use std::fmt;

/// The way to a setting, as `transport.proxies.via[0]` or `domains."example.org".rate`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key(Vec<KeyPart>);

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// Into a table.
    Name(String),
    /// Into a list.
    Index(usize),
}

impl Key {
    /// Makes a key of names with dots between them; none of the names has one itself.
    pub fn of(dotted: &str) -> Self {
        Self::default().and(dotted)
    }

    /// Goes on by names with dots between them.
    #[must_use]
    pub fn and(&self, dotted: &str) -> Self {
        dotted.split('.').filter(|name| !name.is_empty()).fold(self.clone(), |key, name| key.name(name))
    }

    /// Goes on by one name, whatever is in it.
    #[must_use]
    pub fn name(&self, name: &str) -> Self {
        self.with(KeyPart::Name(name.to_owned()))
    }

    /// Goes on by the place in a list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(KeyPart::Index(index))
    }

    /// Returns the steps.
    pub fn parts(&self) -> &[KeyPart] {
        &self.0
    }

    /// Tells whether the value may be a password, a token or the like.
    pub fn is_secret(&self) -> bool {
        let is_secret = |name: &str| ["credentials", "headers", "cookies"].contains(&name);
        self.0.iter().any(|part| matches!(part, KeyPart::Name(name) if is_secret(name)))
    }

    fn with(&self, part: KeyPart) -> Self {
        Self(self.0.iter().cloned().chain([part]).collect())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        for (place, part) in self.0.iter().enumerate() {
            let dot = if place == 0 { "" } else { "." };
            match part {
                KeyPart::Name(name) if is_bare(name) => write!(f, "{dot}{name}")?,
                KeyPart::Name(name) => write!(f, "{dot}{name:?}")?,
                KeyPart::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_in_a_file() {
        let proxies = Key::of("domains").name("e.org").and("proxies");
        assert_eq!(proxies.index(2).to_string(), "domains.\"e.org\".proxies[2]");
        assert!(Key::of("headers.all").name("x").is_secret() && !proxies.is_secret());
    }
}
