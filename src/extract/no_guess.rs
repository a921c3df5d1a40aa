//! NoGuess: stands in for `guess` in a build without the feature `language`.

/// Returns no language.
pub(super) fn guess(_: &str) -> Option<&'static str> {
    None
}
