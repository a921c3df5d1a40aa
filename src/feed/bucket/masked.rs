//! Masked: errors of object stores without the secrets of the environment. Makes no requests.

use std::{env, error::Error};

/// Writes an error and its causes without secrets: stores may repeat keys in their responses.
pub(super) fn masked(error: &object_store::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    without(
        text,
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

/// Removes the values of variables that are secret by their names.
fn without(text: String, variables: impl Iterator<Item = (String, String)>) -> String {
    let is_secret = |name: &str| {
        ["AWS_", "AZURE_", "GOOGLE_"].iter().any(|prefix| name.starts_with(prefix))
            && ["KEY", "SECRET", "TOKEN", "SAS", "PASSWORD", "ACCOUNT"].iter().any(|word| name.contains(word))
    };
    variables
        .filter(|(name, value)| is_secret(name) && value.len() >= MIN_SECRET)
        .fold(text, |text, (_, value)| text.replace(&value, "***"))
}

/// Shorter values are no secrets, and replacing them would damage ordinary words.
const MIN_SECRET: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_repeats_of_a_secret_is_not_shown() {
        let variables =
            [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7"), ("AWS_REGION", "eu-central-1"), ("MY_KEY", "visible key")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let text = "<AWSAccessKeyId>AKIAIOSFODNN7</AWSAccessKeyId> eu-central-1 visible key".to_owned();
        assert_eq!(
            without(text, variables.into_iter()),
            "<AWSAccessKeyId>***</AWSAccessKeyId> eu-central-1 visible key"
        );
    }
}
