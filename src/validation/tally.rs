//! FieldTally: counts what was found in items, within bounds. Knows no rules.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    FieldCoverage, Finding, Findings, InvalidItems, Share, Validation,
    coverage::{MAX_FIELDS, MAX_REASONS},
};
use crate::extract::prefix;

/// What was found in some items.
#[derive(Debug, Default)]
pub(crate) struct FieldTally {
    pages: u64,
    items: u64,
    invalid: u64,
    /// Of the invalid ones, those that go to no pipeline.
    left_out: u64,
    /// In how many items each field is.
    fields: BTreeMap<Cow<'static, str>, u64>,
    fields_beyond: u64,
    /// By field and reason.
    reasons: BTreeMap<(String, String), Reason>,
}

/// How often there was a reason, and the first item that had it.
#[derive(Debug)]
struct Reason {
    items: u64,
    url: String,
    value: String,
}

/// The longest value shown as an example, in bytes.
const MAX_EXAMPLE: usize = 200;

/// The reason that stands for all beyond the bound.
const OTHERS: &str = "other reasons";

impl FieldTally {
    /// Creates one that counts these fields however many others there are.
    pub fn expecting(expected: &[(String, Share)]) -> Self {
        Self { fields: expected.iter().map(|(name, _)| (name.clone().into(), 0)).collect(), ..Self::default() }
    }

    /// Counts the page whose items follow.
    pub fn add_page(&mut self) {
        self.pages += 1;
    }

    /// Takes the page away again, since none was read: its items are what a spider makes of a failure.
    pub fn without_page(&mut self) {
        self.pages = 0;
    }

    /// Counts one item.
    pub fn add_item(&mut self, findings: Findings, url: &str, is_kept: bool) {
        let Findings { mut fields, invalid } = findings;
        self.items += 1;
        self.invalid += u64::from(!invalid.is_empty());
        self.left_out += u64::from(!is_kept);
        // Several may have looked at the same field; it is there if one has found it.
        fields.sort_by(|(a, in_a), (b, in_b)| a.cmp(b).then(in_b.cmp(in_a)));
        fields.dedup_by(|(later, _), (first, _)| later == first);
        for (name, is_present) in fields {
            self.add_field(name, u64::from(is_present));
        }
        let mut reasons = BTreeMap::new();
        for Finding { field, why, value } in invalid {
            reasons.entry((field, why)).or_insert(value);
        }
        for (reason, value) in reasons {
            let value = prefix(&value, MAX_EXAMPLE).to_owned();
            self.add_reason(reason, Reason { items: 1, url: url.to_owned(), value });
        }
    }

    /// Adds what was found in other items.
    pub fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.items += other.items;
        self.invalid += other.invalid;
        self.left_out += other.left_out;
        self.fields_beyond += other.fields_beyond;
        for (name, items) in other.fields {
            self.add_field(name, items);
        }
        for (name, reason) in other.reasons {
            self.add_reason(name, reason);
        }
    }

    /// Returns how many items were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn add_field(&mut self, name: Cow<'static, str>, items: u64) {
        let has_room = self.fields.len() < MAX_FIELDS;
        match self.fields.get_mut(&name) {
            Some(known) => *known += items,
            None if has_room => drop(self.fields.insert(name, items)),
            None => self.fields_beyond += items,
        }
    }

    fn add_reason(&mut self, name: (String, String), reason: Reason) {
        let is_known = self.reasons.contains_key(&name) || self.reasons.len() < MAX_REASONS;
        let name = if is_known { name } else { (String::new(), OTHERS.to_owned()) };
        match self.reasons.get_mut(&name) {
            Some(known) => known.items += reason.items,
            None => drop(self.reasons.insert(name, reason)),
        }
    }

    /// Returns the result, with what was expected, and whether anything was asked of an item.
    pub fn validation(&self, expected: &[(String, Share)], has_rules: bool) -> Validation {
        let mut fields: BTreeMap<_, _> = self.fields.iter().map(|(name, items)| (name.to_string(), *items)).collect();
        for (name, _) in expected {
            fields.entry(name.clone()).or_default();
        }
        let coverage = |(name, items): (String, u64)| {
            // Of several expectations the strictest holds.
            let of_field = expected.iter().filter(|(of, _)| *of == name).map(|(_, share)| *share);
            let expected = of_field.reduce(|one, other| if one < other { other } else { one });
            (name, FieldCoverage { items, share: Share::ratio(items, self.items), expected })
        };
        let failure = |((field, why), reason): (&(String, String), &Reason)| InvalidItems {
            field: field.clone(),
            why: why.clone(),
            items: reason.items,
            url: reason.url.clone(),
            value: reason.value.clone(),
        };
        let mut reasons: Vec<_> = self.reasons.iter().map(failure).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.items));
        Validation {
            pages: self.pages,
            items: self.items,
            has_rules,
            invalid: self.invalid,
            left_out: self.left_out,
            reasons,
            fields: fields.into_iter().map(coverage).collect(),
            fields_beyond: self.fields_beyond,
        }
    }
}
