//! Microdata: items by `itemscope` and `itemprop` (HTML §5). Knows no vocabulary.

use std::collections::{HashMap, HashSet};

use super::{
    SkippedMetadata, cut,
    items::{Item, ItemValue, ItemsDraft, own_value},
};
use crate::extract::{
    address::Address,
    select::Element,
    walk::{NodeId, TreeStep, Walk},
};

/// A part of the page that contains an item's properties.
struct ItemPart<'a> {
    item: usize,
    top: Element<'a>,
    /// Whether `top` itself can be a property: true for elements in `itemref`, false for the item's own element.
    with_top: bool,
    /// The elements of the surrounding items, outermost first: an `itemref` to one of them is a cycle.
    around: Vec<NodeId>,
}

/// Returns the top-level items of a page.
pub(super) fn microdata(root: Element<'_>, base: &Address, skipped: &mut SkippedMetadata) -> Vec<Item> {
    let mut draft = ItemsDraft::default();
    let mut parts = Vec::new();
    let mut elements = Vec::new();
    for step in Walk::over(*root.node()) {
        if let TreeStep::Open(node) = step
            && let Some(element) = Element::of(node)
            && element.attr("itemscope").is_some()
        {
            elements.push(element);
        }
    }
    let by_id = referred(root, &elements);
    for element in elements.into_iter().filter(|element| element.attr("itemprop").is_none()) {
        if let Some(item) = draft.add(None, &[], item_of(element, base, skipped), skipped) {
            parts.extend(parts_of(item, element, &by_id, Vec::new(), &mut draft, skipped));
        }
    }
    // Parts are taken from the end, so that an item's properties are in the page's order and nested items are read
    // later.
    let mut next = 0;
    while let Some(part) = parts.get_mut(next).and_then(Option::take) {
        next += 1;
        let mut found = Vec::new();
        if !read_part(&part, base, &by_id, &mut draft, &mut found, skipped) {
            skipped.over_limit += 1;
            break;
        }
        parts.extend(found);
    }
    draft.finish(skipped)
}

/// Returns the elements that `itemref` refers to, by id; of several with one id, the first.
fn referred<'a>(root: Element<'a>, items: &[Element<'a>]) -> HashMap<&'a str, Element<'a>> {
    let names = items.iter().filter_map(|item| item.attr("itemref")).flat_map(str::split_ascii_whitespace);
    let names: HashSet<&str> = names.collect();
    let mut by_id = HashMap::new();
    if names.is_empty() {
        return by_id;
    }
    for step in Walk::over(*root.node()) {
        if let TreeStep::Open(node) = step
            && let Some(element) = Element::of(node)
            && let Some(id) = element.attr("id").filter(|id| names.contains(id))
        {
            by_id.entry(id).or_insert(element);
        }
    }
    by_id
}

fn item_of(element: Element<'_>, base: &Address, skipped: &mut SkippedMetadata) -> Item {
    let types = element.attr("itemtype").unwrap_or_default().split_ascii_whitespace();
    let id = element.attr("itemid").map(str::trim).filter(|id| !id.is_empty());
    Item {
        types: types.take(10).map(|name| cut(name, skipped)).collect(),
        id: id.map(|id| base.resolve(id).map_or_else(|_| cut(id, skipped), Into::into)),
        properties: Vec::new(),
    }
}

/// Returns the parts with an item's properties: its element, and those that `itemref` refers to.
fn parts_of<'a>(
    item: usize,
    element: Element<'a>,
    by_id: &HashMap<&'a str, Element<'a>>,
    mut around: Vec<NodeId>,
    draft: &mut ItemsDraft,
    skipped: &mut SkippedMetadata,
) -> Vec<Option<ItemPart<'a>>> {
    around.push(element.node().id());
    let own = ItemPart { item, top: element, with_top: false, around: around.clone() };
    let names = element.attr("itemref").unwrap_or_default().split_ascii_whitespace();
    let mut seen = HashSet::new();
    let mut parts = vec![Some(own)];
    for top in names.filter(|name| seen.insert(*name)).filter_map(|name| by_id.get(name).copied()) {
        if !draft.refer() {
            skipped.over_limit += 1;
            break;
        }
        parts.push(Some(ItemPart { item, top, with_top: true, around: around.clone() }));
    }
    parts
}

/// Reads the properties in a part; tells whether more are allowed.
fn read_part<'a>(
    part: &ItemPart<'a>,
    base: &Address,
    by_id: &HashMap<&'a str, Element<'a>>,
    draft: &mut ItemsDraft,
    found: &mut Vec<Option<ItemPart<'a>>>,
    skipped: &mut SkippedMetadata,
) -> bool {
    let top = part.top.node().id();
    let mut walk = Walk::over(*part.top.node());
    while let Some(step) = walk.next() {
        let TreeStep::Open(node) = step else { continue };
        if !draft.visit() {
            return false;
        }
        let Some(element) = Element::of(node).filter(|_| part.with_top || node.id() != top) else { continue };
        let is_item = element.attr("itemscope").is_some();
        let names = element.attr("itemprop").unwrap_or_default();
        let names: Vec<_> = names.split_ascii_whitespace().take(10).collect();
        if is_item {
            walk.skip_content();
            if names.is_empty() || part.around.contains(&node.id()) {
                continue;
            }
            if let Some(item) = draft.add(Some(part.item), &names, item_of(element, base, skipped), skipped) {
                found.extend(parts_of(item, element, by_id, part.around.clone(), draft, skipped));
            }
        } else if !names.is_empty() {
            let value = own_value(element, base, skipped);
            let value = value.unwrap_or_else(|| ItemValue::Text(draft.text(element, skipped)));
            for name in names {
                draft.property(part.item, name, value.clone(), skipped);
            }
        }
    }
    true
}
