//! Schema: what the fields of an item must be like. Reads items as JSON; knows no crawl.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Findings, Share, Validate};
use crate::{extract::number_in, scope::Pattern};

/// What is asked of the fields of items. A field is named as in the item's JSON; `offer.price` is a field of a field,
/// and of each element where `offer` is a list.
///
/// A field is present if it is there and not empty: `null`, blank text, and lists of nothing else are not. Only what is
/// required must be; the other rules hold for what is present, and for each element of a list. Numbers may be written
/// in texts, as [`number_in`](crate::extract::number_in) reads them.
///
/// ```
/// use actix_crawler::{settings::Pattern, validation::{Findings, Schema, Validate}};
/// use serde_json::json;
///
/// let schema = Schema::new()
///     .required("name")
///     .at_least("price", 0.01)
///     .at_most("price", 10_000.0)
///     .pattern("sku", r"^\d{8}$".parse::<Pattern>()?);
/// let is_valid = |item| {
///     let mut findings = Findings::default();
///     schema.validate(&item, &mut findings);
///     findings.is_valid()
/// };
/// assert!(is_valid(json!({ "name": "Tea", "price": "1.234,50 €", "sku": "00012345" })));
/// assert!(is_valid(json!({ "name": "Tea" })));
/// assert!(!is_valid(json!({ "name": " ", "price": 3 })));
/// assert!(!is_valid(json!({ "name": "Tea", "price": -3 })));
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Schema {
    /// The rules for each field.
    pub fields: BTreeMap<String, FieldRules>,
    /// Whether invalid items go to the pipelines all the same; by default they are left out. They count in either case.
    pub keep_invalid: bool,
}

/// What is asked of one field.
///
/// ```
/// use actix_crawler::validation::{FieldRules, Share};
///
/// let rules = FieldRules { required: true, min: Some(0.0), expected: Some(Share::of(0.95)), ..FieldRules::default() };
/// assert!(rules.pattern.is_none());
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldRules {
    /// Whether every item must have it.
    pub required: bool,
    /// The least number that it may be.
    pub min: Option<f64>,
    /// The greatest number that it may be.
    pub max: Option<f64>,
    /// What its text must match.
    pub pattern: Option<Pattern>,
    /// In which share of the items it is to be; the report warns of less, and the command line ends with exit code 5.
    pub expected: Option<Share>,
}

impl Schema {
    /// Creates a schema that asks for nothing. It counts in how many items each field is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every item must have this field.
    #[must_use]
    pub fn required(self, field: impl Into<String>) -> Self {
        self.with(field, |rules| rules.required = true)
    }

    /// This field is a number, and not less.
    #[must_use]
    pub fn at_least(self, field: impl Into<String>, min: f64) -> Self {
        self.with(field, |rules| rules.min = Some(min))
    }

    /// This field is a number, and not greater.
    #[must_use]
    pub fn at_most(self, field: impl Into<String>, max: f64) -> Self {
        self.with(field, |rules| rules.max = Some(max))
    }

    /// This field is a text, and some part of it matches; with `^` and `$`, all of it.
    #[must_use]
    pub fn pattern(self, field: impl Into<String>, pattern: Pattern) -> Self {
        self.with(field, |rules| rules.pattern = Some(pattern))
    }

    /// At least this share of the items has this field: `0.95`.
    #[must_use]
    pub fn expected(self, field: impl Into<String>, share: impl Into<Share>) -> Self {
        let share = share.into();
        self.with(field, |rules| rules.expected = Some(share))
    }

    /// Sends invalid items to the pipelines too.
    #[must_use]
    pub fn keep_invalid(self) -> Self {
        Self { keep_invalid: true, ..self }
    }

    fn with(mut self, field: impl Into<String>, set: impl FnOnce(&mut FieldRules)) -> Self {
        set(self.fields.entry(field.into()).or_default());
        self
    }
}

impl<I: Serialize> Validate<I> for Schema {
    fn validate(&self, item: &I, findings: &mut Findings) {
        let item = match serde_json::to_value(item) {
            Ok(item) => item,
            Err(error) => return findings.invalid("", "cannot be written as JSON", &error.to_string()),
        };
        for (name, value) in item.as_object().into_iter().flatten() {
            findings.field(name, is_filled(value));
        }
        for (name, rules) in &self.fields {
            let values = values_at(&item, name);
            let is_present = !values.is_empty() && values.iter().all(|value| is_filled(value));
            if item.get(name).is_none() {
                findings.field(name, is_present);
            }
            if rules.required && !is_present {
                findings.invalid(name, "is missing", "");
            }
            for value in leaves(values) {
                rules.judge(name, value, findings);
            }
        }
    }

    fn expected(&self) -> Vec<(String, Share)> {
        let expected = |(name, rules): (&String, &FieldRules)| Some((name.clone(), rules.expected?));
        self.fields.iter().filter_map(expected).collect()
    }

    fn has_rules(&self) -> bool {
        self.fields.values().any(FieldRules::are_any)
    }

    fn counts_fields(&self) -> bool {
        true
    }

    fn keeps_invalid(&self) -> bool {
        self.keep_invalid
    }
}

impl FieldRules {
    /// Tells whether an item can be invalid by them.
    fn are_any(&self) -> bool {
        self.required || self.min.is_some() || self.max.is_some() || self.pattern.is_some()
    }

    fn judge(&self, name: &str, value: &Value, findings: &mut Findings) {
        if self.min.is_some() || self.max.is_some() {
            match number(value) {
                None => findings.invalid(name, "is no number", &shown(value)),
                Some(number) => {
                    if let Some(min) = self.min.filter(|min| number < *min) {
                        findings.invalid(name, format!("is less than {min}"), &shown(value));
                    }
                    if let Some(max) = self.max.filter(|max| number > *max) {
                        findings.invalid(name, format!("is greater than {max}"), &shown(value));
                    }
                }
            }
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(&shown(value))) {
            findings.invalid(name, format!("does not match {pattern}"), &shown(value));
        }
    }
}

/// Returns the values at a path. An element of a list that lacks the field stands as `null`.
fn values_at<'v>(item: &'v Value, path: &str) -> Vec<&'v Value> {
    if let Some(value) = item.get(path) {
        return vec![value];
    }
    let mut values = vec![item];
    for name in path.split('.') {
        let inside = values.into_iter().flat_map(|value| match value {
            Value::Array(elements) => elements.iter().collect(),
            other => vec![other],
        });
        values = inside.map(|value| value.get(name).unwrap_or(&Value::Null)).collect();
    }
    values
}

/// Returns the filled values, and the filled elements of lists in place of the lists.
fn leaves(values: Vec<&Value>) -> Vec<&Value> {
    let mut leaves = Vec::new();
    let mut rest = values;
    rest.reverse();
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(elements) => rest.extend(elements.iter().rev()),
            value if is_filled(value) => leaves.push(value),
            _ => {}
        }
    }
    leaves
}

fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(elements) => elements.iter().any(is_filled),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        // A number with an exponent is none as people write them.
        Value::String(text) => number_in(text).map_or_else(|| text.trim().parse(), |number| number.parse()).ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
