//! Items: things with types and properties, as microdata and RDFa describe them. Knows neither format: how a value is read
//! from an element is the same for both, and so are the bounds.

use serde::Serialize;
use url::Url;

use super::{MAX_METADATA_TEXT, SkippedMetadata, cut, join};
use crate::extract::{
    prefix::prefix,
    select::Element,
    text::{HIDDEN, Prose},
    walk::{Step, Walk},
};

/// The most items of one page, nested ones included.
const MAX_ITEMS: usize = 10_000;

/// The most properties of one page.
const MAX_PROPERTIES: usize = 50_000;

/// How deep items may be nested in one another. Real ones have five levels.
pub(super) const MAX_ITEM_DEPTH: usize = 32;

/// The most nodes that are visited for all properties of a page. Without `itemref` and texts within texts, each node of a
/// tree is visited once, and a tree has at most 250,000.
const MAX_VISITS: usize = 1_000_000;

/// The most bytes of names and values of one page: texts within texts repeat what they contain.
const MAX_BYTES: usize = 8 << 20;

/// Something that a page describes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Item {
    /// Its types, such as `https://schema.org/Product`.
    pub types: Vec<String>,
    /// Its identifier: `itemid`, or `resource` in RDFa.
    pub id: Option<String>,
    /// Its properties, in the page's order; one name may be there several times.
    pub properties: Vec<Property>,
}

/// A property of an item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Property {
    /// Its name, as it is written.
    pub name: String,
    /// Its value.
    pub value: ItemValue,
}

/// The value of a property.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ItemValue {
    /// A text; white space in it is collapsed.
    Text(String),
    /// A URL, absolute.
    Url(Url),
    /// Another item.
    Item(Item),
}

impl Item {
    /// Tells whether the item is of this type, named with or without its vocabulary.
    pub fn is(&self, kind: &str) -> bool {
        self.types.iter().any(|name| is_type(name, kind))
    }

    /// Returns the values of a property, named with or without its vocabulary.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &ItemValue> {
        self.properties.iter().filter(move |property| is_type(&property.name, name)).map(|property| &property.value)
    }

    /// Returns the first value of a property.
    pub fn get(&self, name: &str) -> Option<&ItemValue> {
        self.all(name).next()
    }

    /// Returns the first value of a property as text; `None` where it is an item.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// let html = "<p itemscope itemtype=https://schema.org/Product><b itemprop=name>Tea</b></p>";
    /// let page = Response::html("https://e.org/", html);
    /// assert_eq!(page.metadata().items("Product")[0].text("name"), Some("Tea"));
    /// ```
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            ItemValue::Text(text) => Some(text),
            ItemValue::Url(url) => Some(url.as_str()),
            ItemValue::Item(_) => None,
        }
    }
}

/// Tells whether `name` is `kind`, or `kind` in a vocabulary.
pub(super) fn is_type(name: &str, kind: &str) -> bool {
    let local = name.rsplit(['/', '#', ':']).next().unwrap_or(name);
    name == kind || local == kind
}

/// Returns the items of a type, also nested ones, in their order.
pub(super) fn items_of<'a>(items: impl DoubleEndedIterator<Item = &'a Item>, kind: &str) -> Vec<&'a Item> {
    let mut found = Vec::new();
    let mut waiting: Vec<&Item> = items.rev().collect();
    while let Some(item) = waiting.pop() {
        if item.is(kind) {
            found.push(item);
        }
        let nested = |property: &'a Property| match &property.value {
            ItemValue::Item(item) => Some(item),
            _ => None,
        };
        waiting.extend(item.properties.iter().rev().filter_map(nested));
    }
    found
}

/// Items under construction. They refer to each other by their places; a nested one comes after the one around it.
#[derive(Default)]
pub(super) struct Draft {
    items: Vec<DraftItem>,
    properties: usize,
    bytes: usize,
    visits: usize,
}

struct DraftItem {
    item: Item,
    /// Whether it is no one's value.
    is_top: bool,
    depth: usize,
    /// Its properties that are items, as places among its properties and among the items.
    nested: Vec<(usize, usize)>,
}

impl Draft {
    /// Adds an item, as the value of `names` of the item `parent` if there is one; `None` where there are too many.
    pub fn add(
        &mut self,
        parent: Option<usize>,
        names: &[&str],
        item: Item,
        skipped: &mut SkippedMetadata,
    ) -> Option<usize> {
        let depth = parent.and_then(|parent| self.items.get(parent)).map_or(0, |parent| parent.depth + 1);
        if self.items.len() >= MAX_ITEMS || depth > MAX_ITEM_DEPTH {
            skipped.over_limit += 1;
            return None;
        }
        let place = self.items.len();
        self.items.push(DraftItem { item, is_top: parent.is_none(), depth, nested: Vec::new() });
        // Of several names for one item, the first has it: others would be copies of all that is in it.
        if let (Some(parent), Some(name)) = (parent, names.first()) {
            let value = ItemValue::Text(String::new());
            if let Some(at) = self.property(parent, name, value, skipped)
                && let Some(parent) = self.items.get_mut(parent)
            {
                parent.nested.push((at, place));
            }
        }
        Some(place)
    }

    /// Adds a property; returns its place.
    pub fn property(
        &mut self,
        item: usize,
        name: &str,
        value: ItemValue,
        skipped: &mut SkippedMetadata,
    ) -> Option<usize> {
        let length = match &value {
            ItemValue::Text(text) => text.len(),
            ItemValue::Url(url) => url.as_str().len(),
            ItemValue::Item(_) => 0,
        };
        self.properties += 1;
        self.bytes += name.len() + length;
        if self.properties > MAX_PROPERTIES || self.bytes > MAX_BYTES {
            skipped.over_limit += 1;
            return None;
        }
        let item = &mut self.items.get_mut(item)?.item;
        item.properties.push(Property { name: cut(name, skipped), value });
        Some(item.properties.len() - 1)
    }

    /// Counts the visit of a node; tells whether there may be another.
    pub fn visit(&mut self) -> bool {
        self.visits += 1;
        self.visits <= MAX_VISITS
    }

    /// Returns the text within an element, on one line; that of scripts and styles is left out.
    pub fn text(&mut self, element: Element<'_>, skipped: &mut SkippedMetadata) -> String {
        let mut text = Prose::default();
        let mut left = MAX_METADATA_TEXT;
        let mut walk = Walk::over(*element.node());
        while let Some(step) = walk.next() {
            if self.bytes > MAX_BYTES || !self.visit() {
                break;
            }
            let (Step::Open(node) | Step::Close(node)) = step;
            if let Some(element) = Element::of(node) {
                text.tag(element.name());
                if matches!(step, Step::Open(_)) && HIDDEN.contains(&element.name()) {
                    walk.skip_content();
                }
            } else if let (Step::Open(_), Some(piece)) = (step, node.value().as_text()) {
                let start = prefix(piece, left);
                left -= start.len();
                text.push(start);
                if start.len() < piece.len() {
                    skipped.cut_texts += 1;
                    break;
                }
            }
        }
        text.one_line()
    }

    /// Puts the items into one another, and returns those that are no one's value.
    pub fn finish(mut self) -> Vec<Item> {
        let mut done: Vec<Option<Item>> = self.items.iter().map(|_| None).collect();
        let mut top = Vec::new();
        while let Some(DraftItem { mut item, is_top, nested, .. }) = self.items.pop() {
            for (at, place) in nested {
                let value = done.get_mut(place).and_then(Option::take);
                if let (Some(property), Some(value)) = (item.properties.get_mut(at), value) {
                    property.value = ItemValue::Item(value);
                }
            }
            if is_top {
                top.push(item);
            } else if let Some(place) = done.get_mut(self.items.len()) {
                *place = Some(item);
            }
        }
        top.reverse();
        top
    }
}

/// Reads the value of an element that is a property and no item, by the element's kind (microdata: HTML §5.2.4; RDFa for
/// HTML §3.1). `None` where the element has no value of its own but its text.
pub(super) fn own_value(element: Element<'_>, base: &Url, skipped: &mut SkippedMetadata) -> Option<ItemValue> {
    let attribute = match element.name() {
        "meta" => "content",
        "audio" | "embed" | "iframe" | "img" | "source" | "track" | "video" => "src",
        "a" | "area" | "link" => "href",
        "object" => "data",
        "data" | "meter" => "value",
        "time" => "datetime",
        _ => return None,
    };
    let text = match element.attr(attribute) {
        Some(text) => text,
        None if matches!(element.name(), "time") => return None,
        None => "",
    };
    if matches!(attribute, "src" | "href" | "data") && !text.is_empty() {
        return Some(match join(base, text, skipped) {
            Some(url) => ItemValue::Url(url),
            None => ItemValue::Text(cut(text, skipped)),
        });
    }
    Some(ItemValue::Text(cut(text.trim(), skipped)))
}
