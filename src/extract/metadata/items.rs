//! Items: the typed items with properties in microdata and RDFa. Knows neither format, but what both share: the bounds,
//! and how an element's value is read.

use serde::Serialize;
use url::Url;

use super::{MAX_METADATA_TEXT, SkippedMetadata, cut, join};
use crate::extract::{
    address::Address,
    prefix::prefix,
    select::Element,
    text::{HIDDEN, Prose},
    walk::{TreeStep, Walk},
};

/// The most items of one page, nested ones included.
const MAX_ITEMS: usize = 10_000;

/// The most parts that items take in by `itemref`: ten thousand items that each name hundreds would need hundreds of
/// megabytes.
const MAX_REFERENCES: usize = 20_000;

/// The most properties of one page.
const MAX_PROPERTIES: usize = 50_000;

/// The deepest nesting of items. Real pages have five levels.
pub(super) const MAX_ITEM_DEPTH: usize = 32;

/// The most nodes visited for all properties of a page. Without `itemref` and nested texts, each node of a tree is
/// visited once, and a tree has at most 250,000.
const MAX_VISITS: usize = 1_000_000;

/// The most bytes of names and values of one page, since nested texts repeat their content.
const MAX_BYTES: usize = 8 << 20;

/// An item that a page describes.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let tea = "<div itemscope itemtype=https://schema.org/Product><b itemprop=name>Tea</b><a itemprop=url href=/tea></a></div>";
/// let page = Response::html("https://e.org/", tea);
/// let item = &page.metadata().microdata[0];
/// assert!(item.is("Product"));
/// assert_eq!(item.text("name"), Some("Tea"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Item {
    /// Its types, such as `https://schema.org/Product`.
    pub types: Vec<String>,
    /// Its identifier: `itemid`, or `resource` in RDFa.
    pub id: Option<String>,
    /// Its properties, in the page's order; a name may occur several times.
    pub properties: Vec<Property>,
}

/// A property of an item.
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let tea = "<div itemscope itemtype=https://schema.org/Product><b itemprop=name>Tea</b><a itemprop=url href=/tea></a></div>";
/// let page = Response::html("https://e.org/", tea);
/// let names: Vec<_> = page.metadata().microdata[0].properties.iter().map(|property| property.name.clone()).collect();
/// assert_eq!(names, ["name", "url"]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Property {
    /// Its name, as written.
    pub name: String,
    /// Its value.
    pub value: ItemValue,
}

/// The value of a property.
///
/// ```
/// use actix_crawler::{extract::metadata::ItemValue, prelude::*};
///
/// let tea = "<div itemscope itemtype=https://schema.org/Product><b itemprop=name>Tea</b><a itemprop=url href=/tea></a></div>";
/// let page = Response::html("https://e.org/", tea);
/// let metadata = page.metadata();
/// let properties = &metadata.microdata[0].properties;
/// assert_eq!(properties[0].value, ItemValue::Text("Tea".into()));
/// assert_eq!(properties[1].value, ItemValue::Url("https://e.org/tea".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ItemValue {
    /// A text, with white space collapsed.
    Text(String),
    /// An absolute URL.
    Url(Url),
    /// Another item.
    Item(Item),
}

impl Item {
    /// Tells whether the item has this type, with or without its vocabulary.
    pub fn is(&self, kind: &str) -> bool {
        self.types.iter().any(|name| is_type(name, kind))
    }

    /// Returns the values of a property, by its name with or without its vocabulary.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &ItemValue> {
        self.properties.iter().filter(move |property| is_type(&property.name, name)).map(|property| &property.value)
    }

    /// Returns the first value of a property.
    pub fn get(&self, name: &str) -> Option<&ItemValue> {
        self.all(name).next()
    }

    /// Returns the first value of a property as text; `None` if it is an item.
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

/// Tells whether `name` is `kind`, with or without a vocabulary.
pub(super) fn is_type(name: &str, kind: &str) -> bool {
    let local = name.rsplit(['/', '#', ':']).next().unwrap_or(name);
    name == kind || local == kind
}

/// Returns the items of a type, including nested ones, in order.
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

/// Items being read. They refer to each other by index; a nested item comes after the one around it.
#[derive(Default)]
pub(super) struct ItemsDraft {
    items: Vec<DraftItem>,
    properties: usize,
    bytes: usize,
    visits: usize,
    references: usize,
}

struct DraftItem {
    item: Item,
    /// Whether it is not the value of a property.
    is_top: bool,
    depth: usize,
    /// Its properties that are items: the indices of the property and of the item.
    nested: Vec<(usize, usize)>,
    /// Further properties that have the same item as another: the indices of both.
    same: Vec<(usize, usize)>,
}

impl ItemsDraft {
    /// Adds an item, as the value of the properties `names` of the item `parent`, if given; `None` if there are too
    /// many.
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
        self.items.push(DraftItem { item, is_top: parent.is_none(), depth, nested: Vec::new(), same: Vec::new() });
        let mut first = None;
        for name in parent.iter().flat_map(|_| names) {
            let value = ItemValue::Text(String::new());
            if let Some(parent) = parent
                && let Some(at) = self.property(parent, name, value, skipped)
                && let Some(parent) = self.items.get_mut(parent)
            {
                match first {
                    None => parent.nested.push((at, place)),
                    Some(first) => parent.same.push((at, first)),
                }
                first.get_or_insert(at);
            }
        }
        Some(place)
    }

    /// Adds a property; returns its index.
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

    /// Counts the visit of a node; tells whether more are allowed.
    pub fn visit(&mut self) -> bool {
        self.visits += 1;
        self.visits <= MAX_VISITS
    }

    /// Counts a part that an item takes in by `itemref`; tells whether more are allowed.
    pub fn refer(&mut self) -> bool {
        self.references += 1;
        self.references <= MAX_REFERENCES
    }

    /// Returns the text within an element on one line, without scripts and styles.
    pub fn text(&mut self, element: Element<'_>, skipped: &mut SkippedMetadata) -> String {
        let mut text = Prose::default();
        let (mut left, top) = (MAX_METADATA_TEXT, element.node().id());
        let mut walk = Walk::over(*element.node());
        while let Some(step) = walk.next() {
            if self.bytes > MAX_BYTES || !self.visit() {
                break;
            }
            let (TreeStep::Open(node) | TreeStep::Close(node)) = step;
            if let Some(element) = Element::of(node) {
                text.tag(element.name());
                let is_inside = element.node().id() != top;
                if matches!(step, TreeStep::Open(_)) && is_inside && HIDDEN.contains(&element.name()) {
                    walk.skip_content();
                }
            } else if let (TreeStep::Open(_), Some(piece)) = (step, node.value().as_text()) {
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

    /// Nests the items, and returns the top-level ones. Of several names that have one item, each has a copy while
    /// there is room for what is in it; the others are left out.
    pub fn finish(mut self, skipped: &mut SkippedMetadata) -> Vec<Item> {
        let mut room = MAX_BYTES;
        let mut done: Vec<Option<Item>> = self.items.iter().map(|_| None).collect();
        let mut top = Vec::new();
        while let Some(DraftItem { mut item, is_top, nested, same, .. }) = self.items.pop() {
            for (at, place) in nested {
                let value = done.get_mut(place).and_then(Option::take);
                if let (Some(property), Some(value)) = (item.properties.get_mut(at), value) {
                    property.value = ItemValue::Item(value);
                }
            }
            let mut without = Vec::new();
            for (at, first) in same {
                let original = item.properties.get(first).map(|property| &property.value);
                let copy = original.filter(|value| has_room_for(value, &mut room)).cloned();
                match (item.properties.get_mut(at), copy) {
                    (Some(property), Some(value)) => property.value = value,
                    _ => without.push(at),
                }
            }
            skipped.over_limit += without.len();
            let (mut without, mut at) = (without.into_iter().peekable(), 0);
            item.properties.retain(|_| {
                let is_without = without.next_if_eq(&at).is_some();
                at += 1;
                !is_without
            });
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

/// Takes the room for a copy of a value, in bytes. Tells whether there is enough.
fn has_room_for(value: &ItemValue, room: &mut usize) -> bool {
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        let length = match value {
            ItemValue::Text(text) => text.len(),
            ItemValue::Url(url) => url.as_str().len(),
            ItemValue::Item(item) => {
                waiting.extend(item.properties.iter().map(|property| &property.value));
                let names = item.properties.iter().map(|property| &property.name).chain(&item.types).chain(&item.id);
                names.map(String::len).sum()
            }
        };
        let Some(left) = room.checked_sub(length + size_of::<Property>()) else { return false };
        *room = left;
    }
    true
}

/// Returns the value of an element that is a property but not an item: its `content`, which W3C's HTML Microdata has on
/// all elements as RDFa does (§5.4, "values"), or else by the kind of element (HTML §5.2.4; RDFa for HTML §3.1). `None`
/// if its value is its text.
pub(super) fn own_value(element: Element<'_>, base: &Address, skipped: &mut SkippedMetadata) -> Option<ItemValue> {
    if let Some(content) = element.attr("content") {
        return Some(ItemValue::Text(cut(content.trim(), skipped)));
    }
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
