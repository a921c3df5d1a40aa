//! Validation: what is asked of items before they go to the pipelines, and what came of it. Knows no pages and no
//! pipelines.

mod coverage;
mod field_counts;
mod schema;
mod share;
mod tally;

use std::{
    borrow::Cow,
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::{
    coverage::{FieldCoverage, InvalidItems, Validation},
    schema::{FieldRules, Schema},
    share::Share,
};
pub(crate) use self::{field_counts::FieldCounts, tally::FieldTally};

/// Judges items before they go to the pipelines. A [`Schema`] judges the fields of items that are `serde::Serialize`; a
/// function judges whole items:
///
/// ```
/// use actix_crawler::{prelude::*, validation::Schema};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Product { name: String, price: Option<f64>, was: Option<f64> }
///
/// fn products(page: &Response) -> Result<Parsed<Product>> {
///     let product = |card: &actix_crawler::extract::Element| -> Result<Product> {
///         Ok(Product {
///             name: card.text_of(".name")?,
///             price: card.maybe_parse_of(".price")?,
///             was: card.maybe_parse_of(".was")?,
///         })
///     };
///     Ok(Parsed::of(page.select(".card")?.iter().map(product).collect::<Result<Vec<_>>>()?))
/// }
///
/// let crawler = Crawler::new(products, "shopbot/1.0 (+https://example.org/bot)")
///     .validate(Schema::new().required("name").at_least("price", 0.01).expected("price", 0.95))
///     .validate(|product: &Product| match (product.price, product.was) {
///         (Some(price), Some(was)) if price > was => Err("it costs more than before"),
///         _ => Ok(()),
///     });
/// ```
///
/// It runs where the spider's `parse` does; a panic in it fails the page.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot judge items of the type `{I}`",
    note = "a `Schema` judges items that are `serde::Serialize`; a function is `Fn(&{I}) -> Result<(), impl Display>`, and a closure needs its argument's type"
)]
pub trait Validate<I>: Send + Sync + 'static {
    /// Looks at one item, and enters what is found.
    fn validate(&self, item: &I, findings: &mut Findings);

    /// Returns in which share of all items each field is expected. Nothing is by default.
    fn expected(&self) -> Vec<(String, Share)> {
        Vec::new()
    }

    /// Tells whether it can find an item invalid; a [`Schema`] without rules counts fields alone.
    fn has_rules(&self) -> bool {
        true
    }

    /// Tells whether it enters the fields of items, as a [`Schema`] does. Where nothing that judges them does, they are
    /// counted for the first pipeline that [has fields](crate::pipeline::Pipeline::fields).
    fn counts_fields(&self) -> bool {
        false
    }

    /// Tells whether items that it finds invalid go to the pipelines all the same. By default they are left out.
    fn keeps_invalid(&self) -> bool {
        false
    }
}

impl<I, F, E> Validate<I> for F
where
    F: Fn(&I) -> Result<(), E> + Send + Sync + 'static,
    E: Display,
{
    fn validate(&self, item: &I, findings: &mut Findings) {
        if let Err(why) = self(item) {
            findings.invalid("", why.to_string(), "");
        }
    }
}

/// What was found in one item.
///
/// ```
/// use actix_crawler::validation::{Findings, Validate};
///
/// /// Titles with their year.
/// struct Years;
///
/// impl Validate<(String, Option<u16>)> for Years {
///     fn validate(&self, (_, year): &(String, Option<u16>), findings: &mut Findings) {
///         findings.field("year", year.is_some());
///         if let Some(year) = year.filter(|year| *year < 1450) {
///             findings.invalid("year", "is before the first print", &year.to_string());
///         }
///     }
/// }
///
/// let mut findings = Findings::default();
/// Years.validate(&("Tea".to_owned(), Some(12)), &mut findings);
/// assert!(!findings.is_valid());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Findings {
    fields: Vec<(Cow<'static, str>, bool)>,
    invalid: Vec<Finding>,
}

/// Why an item is invalid.
#[derive(Clone, Debug)]
struct Finding {
    field: String,
    why: String,
    value: String,
}

impl Findings {
    /// Enters whether the item has a field, for the field's coverage.
    pub fn field(&mut self, name: &str, is_present: bool) {
        self.field_of(name.to_owned().into(), is_present);
    }

    /// As [`Findings::field`], without a copy of the name.
    pub(crate) fn field_of(&mut self, name: Cow<'static, str>, is_present: bool) {
        self.fields.push((name, is_present));
    }

    /// Makes the item invalid. `field` is empty if it is about the whole item; `why` is counted by its text, so it
    /// should not contain the value, which is shown as an example.
    pub fn invalid(&mut self, field: &str, why: impl Into<String>, value: &str) {
        self.invalid.push(Finding { field: field.to_owned(), why: why.into(), value: value.to_owned() });
    }

    /// Tells whether the item is valid so far.
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }
}

/// All that judges the items of one crawl.
pub(crate) struct Validators<I: 'static> {
    validators: Vec<Box<dyn Validate<I>>>,
    found: Arc<FoundItems>,
}

/// What was found in the items of one crawl so far.
pub(crate) struct FoundItems {
    expected: Vec<(String, Share)>,
    has_rules: bool,
    tally: Mutex<FieldTally>,
}

impl<I: 'static> Validators<I> {
    /// Takes in what judges items.
    pub fn new(validators: Vec<Box<dyn Validate<I>>>) -> Self {
        let expected: Vec<_> = validators.iter().flat_map(|validator| validator.expected()).collect();
        let has_rules = validators.iter().any(|validator| validator.has_rules());
        let tally = Mutex::new(FieldTally::expecting(&expected));
        Self { validators, found: Arc::new(FoundItems { expected, has_rules, tally }) }
    }

    /// Returns where what is found is kept, for the report; `None` if nothing judges items.
    pub fn found(&self) -> Option<Arc<FoundItems>> {
        (!self.validators.is_empty()).then(|| self.found.clone())
    }

    /// Judges the items of a page and removes the invalid ones. The caller adds what was found to the crawl's when the
    /// page is done, so that a page which is fetched twice counts once.
    pub fn judge(&self, items: &mut Vec<I>, url: &str) -> FieldTally {
        let mut tally = FieldTally::expecting(&self.found.expected);
        if self.validators.is_empty() {
            return tally;
        }
        tally.add_page();
        items.retain(|item| {
            let mut findings = Findings::default();
            let mut is_kept = true;
            for validator in &self.validators {
                let before = findings.invalid.len();
                validator.validate(item, &mut findings);
                is_kept &= findings.invalid.len() == before || validator.keeps_invalid();
            }
            tally.add_item(findings, url, is_kept);
            is_kept
        });
        tally
    }

    /// Adds what was found on a page that is done.
    pub fn add(&self, tally: FieldTally) {
        self.found.tally().add(tally);
    }
}

impl FoundItems {
    fn tally(&self) -> MutexGuard<'_, FieldTally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns all that was found.
    pub fn validation(&self) -> Validation {
        self.tally().validation(&self.expected, self.has_rules)
    }
}

#[cfg(test)]
mod tests;
