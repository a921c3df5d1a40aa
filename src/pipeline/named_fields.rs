//! NamedFields: the fields that a feed writes by their names, and which of them an item had. Does not know where they
//! are written.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{
    feed::{Feed, Record},
    report::Counted,
};

/// What the feeds of one crawl have found, each under its destination: one that replaces another after a panic goes on
/// with what that has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamedFields(Arc<Mutex<Vec<Arc<OfFeed>>>>);

/// What one feed has found.
#[derive(Debug)]
pub(crate) struct OfFeed {
    to: String,
    records: AtomicU64,
    fields: Vec<(String, AtomicBool)>,
}

impl NamedFields {
    /// Returns what a feed enters its records in; `None` where it names no fields.
    pub fn of(&self, feed: &Feed) -> Option<Arc<OfFeed>> {
        let (to, names) = (feed.shown(), feed.named_fields());
        if names.is_empty() {
            return None;
        }
        let mut feeds = self.feeds();
        if let Some(known) = feeds.iter().find(|known| known.to == to && known.names().eq(names)) {
            return Some(known.clone());
        }
        let fields = names.iter().map(|name| (name.clone(), AtomicBool::new(false))).collect();
        let new = Arc::new(OfFeed { to, records: AtomicU64::new(0), fields });
        feeds.push(new.clone());
        Some(new)
    }

    /// Returns a warning for each feed of which a field was in no item, although there were some.
    pub fn warnings(&self) -> Vec<String> {
        self.feeds().iter().filter_map(|feed| feed.warning()).collect()
    }

    fn feeds(&self) -> MutexGuard<'_, Vec<Arc<OfFeed>>> {
        // Nothing that is done under it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfFeed {
    /// Takes note of a record.
    pub fn note(&self, record: &Record) {
        self.records.fetch_add(1, Ordering::Relaxed);
        for (name, was_there) in &self.fields {
            if !was_there.load(Ordering::Relaxed) && record.get(name).is_some() {
                was_there.store(true, Ordering::Relaxed);
            }
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.fields.iter().map(|(name, _)| name)
    }

    fn warning(&self) -> Option<String> {
        let records = self.records.load(Ordering::Relaxed);
        let absent = self.fields.iter().filter(|(_, was_there)| !was_there.load(Ordering::Relaxed));
        let names: Vec<_> = absent.map(|(name, _)| format!("`{name}`")).collect();
        let (last, others) = names.split_last().filter(|_| records > 0)?;
        let (fields, are) = match others {
            [] => (format!("the field {last}"), "is"),
            others => (format!("the fields {} and {last}", others.join(", ")), "are"),
        };
        let items = Counted(records, "item");
        Some(format!("{}: {fields} {are} in none of the {items} of this run; look for a misspelt name", self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_no_item_has_are_told_by_their_names_and_only_where_items_came() {
        let (named, feed) = (NamedFields::default(), Feed::to("prices.csv").fields(["ean", "prize", "price.amount"]));
        let of_feed = named.of(&feed).unwrap();
        assert!(named.warnings().is_empty(), "no item came");
        let record = |item| Record::of(&item, "https://shop.example/tea").unwrap();
        of_feed.note(&record(serde_json::json!({"ean": "4006", "price": null})));
        let told = "prices.csv: the fields `prize` and `price.amount` are in none of the 1 item of this run; look for a misspelt name";
        assert_eq!(named.warnings(), [told]);
        // The one that replaces it after a panic goes on.
        named.of(&feed).unwrap().note(&record(serde_json::json!({"ean": null, "price": {"amount": 3}})));
        let told = "prices.csv: the field `prize` is in none of the 2 items of this run; look for a misspelt name";
        assert_eq!(named.warnings(), [told]);
        assert!(named.of(&Feed::to("all.csv")).is_none(), "it names none");
    }
}
