//! Validation: the options of `crawl` about what its fields must be like. Knows no pages.

use actix_crawler::{
    settings::Pattern,
    validation::{FieldRules, Schema, Share},
};
use clap::Args;

use super::{exit::Failure, values};

/// What fields must be like.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "What fields must be like")]
pub struct ValidationOptions {
    /// Leave out items without this field, or with an empty one, and count them; may be repeated, as all of these
    #[arg(long, value_name = "NAME")]
    pub require: Vec<String>,
    /// Leave out items in which this field is no number, or a lesser one, as price=0.01
    #[arg(long, value_name = "NAME=NUMBER", value_parser = |text: &str| of_field(text, values::number))]
    pub min: Vec<(String, f64)>,
    /// Leave out items in which this field is no number, or a greater one
    #[arg(long, value_name = "NAME=NUMBER", value_parser = |text: &str| of_field(text, values::number))]
    pub max: Vec<(String, f64)>,
    /// Leave out items in which this field does not match a regular expression, as sku=^\d{8}$
    #[arg(long, value_name = "NAME=RE", value_parser = |text: &str| of_field(text, values::pattern))]
    pub pattern: Vec<(String, Pattern)>,
    /// Warn, and end with exit code 5, if fewer of the items have this field, as price=95%
    #[arg(long, value_name = "NAME=SHARE", value_parser = |text: &str| of_field(text, values::share))]
    pub expect: Vec<(String, Share)>,
    /// Write the items that these options leave out too; they are counted all the same
    #[arg(long)]
    pub keep_invalid: bool,
}

impl ValidationOptions {
    /// Adds the options to the rules of a file; of a rule that both have, the option's holds.
    ///
    /// # Errors
    /// A rule is about a field that pages do not have.
    pub fn over(self, mut schema: Schema, columns: &[String]) -> Result<Schema, Failure> {
        let mut rules = |name: String, set: &dyn Fn(&mut FieldRules)| set(schema.fields.entry(name).or_default());
        self.require.into_iter().for_each(|name| rules(name, &|rules| rules.required = true));
        self.min.into_iter().for_each(|(name, min)| rules(name, &|rules| rules.min = Some(min)));
        self.max.into_iter().for_each(|(name, max)| rules(name, &|rules| rules.max = Some(max)));
        for (name, pattern) in self.pattern {
            rules(name, &|rules| rules.pattern = Some(pattern.clone()));
        }
        self.expect.into_iter().for_each(|(name, share)| rules(name, &|rules| rules.expected = Some(share)));
        schema.keep_invalid |= self.keep_invalid;
        match schema.fields.keys().find(|name| !columns.contains(name)) {
            Some(name) => Err(Failure::usage(format!(
                "there is no field `{name}` to validate; add --select {name}=CSS, or name one of {}",
                columns.join(", ")
            ))),
            None => Ok(schema),
        }
    }
}

/// Reads `NAME=VALUE`.
fn of_field<T>(text: &str, value: impl Fn(&str) -> Result<T, String>) -> Result<(String, T), String> {
    let (name, given) =
        text.split_once('=').ok_or_else(|| format!("`{text}` names no field; write it like price=…"))?;
    Ok((name.trim().to_owned(), value(given.trim())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_added_to_the_file_and_only_fields_that_there_are_can_be_judged() {
        let file = Schema::new().at_least("price", 1.0).required("title");
        let options = || ValidationOptions {
            min: vec![("price".into(), 2.0)],
            expect: vec![("price".into(), Share::of(0.9))],
            ..ValidationOptions::default()
        };
        let columns = ["title", "price"].map(str::to_owned);
        let schema = options().over(file.clone(), &columns).unwrap();
        let rules = &schema.fields["price"];
        assert_eq!((rules.min, rules.expected), (Some(2.0), Some(Share::of(0.9))));
        assert!(schema.fields["title"].required && !schema.keep_invalid);
        assert!(options().over(file, &columns[..1]).is_err());
    }

    #[test]
    fn a_wrong_rule_says_how_to_write_it() {
        assert!(of_field("price", values::number).unwrap_err().contains("price=…"));
        for text in ["title=x", "title=nan"] {
            assert!(of_field(text, values::number).unwrap_err().contains("is no number; write it like 0.01"));
        }
        assert!(of_field("price=95", values::share).unwrap_err().contains("95%"));
        assert_eq!(of_field("price=95%", values::share).unwrap().1, Share::of(0.95));
    }
}
