//! RDFa Lite: items by `vocab`, `typeof`, `property`, `resource` and `prefix` (RDFa Lite 1.1). Returns items, not
//! triples.

use super::{
    SkippedMetadata, cut,
    items::{Draft, Item, ItemValue, own_value},
    join,
};
use crate::extract::{
    address::Address,
    select::Element,
    walk::{NodeId, Step, Walk},
};

/// The prefixes of RDFa's initial context that pages use; they need no declaration.
const PREFIXES: [(&str, &str); 8] = [
    ("schema", "http://schema.org/"),
    ("og", "http://ogp.me/ns#"),
    ("foaf", "http://xmlns.com/foaf/0.1/"),
    ("dc", "http://purl.org/dc/terms/"),
    ("dcterms", "http://purl.org/dc/terms/"),
    ("gr", "http://purl.org/goodrelations/v1#"),
    ("v", "http://rdf.data-vocabulary.org/#"),
    ("skos", "http://www.w3.org/2004/02/skos/core#"),
];

/// The most prefixes that one element declares.
const MAX_PREFIXES: usize = 32;

/// The most surrounding elements that are searched for a prefix, innermost first.
const MAX_DECLARING: usize = 4;

/// The values that an element sets for its content.
struct Frame<'a> {
    node: NodeId,
    vocab: Option<&'a str>,
    prefixes: Vec<(&'a str, &'a str)>,
    item: Option<usize>,
}

/// Returns the top-level items of a page.
pub(super) fn rdfa(root: Element<'_>, base: &Address, skipped: &mut SkippedMetadata) -> Vec<Item> {
    let mut draft = Draft::default();
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for step in Walk::over(*root.node()) {
        match step {
            Step::Open(node) => {
                if !draft.visit() {
                    skipped.over_limit += 1;
                    break;
                }
                if let Some(element) = Element::of(node) {
                    open(element, base, &mut draft, &mut frames, skipped);
                }
            }
            Step::Close(node) => {
                if frames.last().is_some_and(|frame| frame.node == node.id()) {
                    frames.pop();
                }
            }
        }
    }
    // A `resource` without content is a reference.
    draft.finish().into_iter().filter(|item| !item.types.is_empty() || !item.properties.is_empty()).collect()
}

fn open<'a>(
    element: Element<'a>,
    base: &Address,
    draft: &mut Draft,
    frames: &mut Vec<Frame<'a>>,
    skipped: &mut SkippedMetadata,
) {
    let [vocab, prefixes, types, property, resource] =
        ["vocab", "prefix", "typeof", "property", "resource"].map(|name| element.attr(name));
    let prefixes = declared(prefixes.unwrap_or_default());
    let mut frame = Frame { node: element.node().id(), vocab, prefixes, item: None };
    let around = frames.iter().rev().find_map(|frame| frame.item);
    let names: Vec<_> = property.unwrap_or_default().split_ascii_whitespace().take(10).collect();
    if types.is_some() || (resource.is_some() && property.is_none()) {
        let id = resource.map(str::trim).filter(|id| !id.is_empty());
        let types = types.unwrap_or_default().split_ascii_whitespace().take(10);
        let item = Item {
            types: types.map(|name| cut(&expanded(name, &frame, frames), skipped)).collect(),
            id: id.map(|id| base.resolve(id).map_or_else(|_| cut(id, skipped), Into::into)),
            properties: Vec::new(),
        };
        let parent = around.filter(|_| !names.is_empty());
        frame.item = draft.add(parent, &names, item, skipped);
    } else if let Some(item) = around.filter(|_| !names.is_empty()) {
        let value = value_of(element, resource, base, draft, skipped);
        for name in names {
            draft.property(item, name, value.clone(), skipped);
        }
    }
    if frame.vocab.is_some() || !frame.prefixes.is_empty() || frame.item.is_some() {
        frames.push(frame);
    }
}

fn value_of(
    element: Element<'_>,
    resource: Option<&str>,
    base: &Address,
    draft: &mut Draft,
    skipped: &mut SkippedMetadata,
) -> ItemValue {
    if let Some(content) = element.attr("content") {
        return ItemValue::Text(cut(content.trim(), skipped));
    }
    if let Some(url) = resource.and_then(|resource| join(base, resource, skipped)) {
        return ItemValue::Url(url);
    }
    own_value(element, base, skipped).unwrap_or_else(|| ItemValue::Text(draft.text(element, skipped)))
}

/// Expands a type by its prefix, or else by the vocabulary.
fn expanded(name: &str, own: &Frame<'_>, frames: &[Frame<'_>]) -> String {
    let around = std::iter::once(own).chain(frames.iter().rev());
    if let Some((prefix, local)) = name.split_once(':') {
        let declaring = around.filter(|frame| !frame.prefixes.is_empty()).take(MAX_DECLARING);
        let declared = declaring.flat_map(|frame| &frame.prefixes).chain(&PREFIXES);
        let iri = declared.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(prefix)).map(|(_, iri)| *iri);
        return iri.map_or_else(|| name.to_owned(), |iri| format!("{iri}{local}"));
    }
    let vocab = around.into_iter().find_map(|frame| frame.vocab).unwrap_or_default();
    format!("{}{name}", vocab.trim())
}

/// Parses `prefix="a: http://a/ b: http://b/"`.
fn declared(list: &str) -> Vec<(&str, &str)> {
    let mut words = list.split_ascii_whitespace();
    let pairs = std::iter::from_fn(|| Some((words.next()?, words.next()?)));
    pairs.filter_map(|(name, iri)| Some((name.strip_suffix(':')?, iri))).take(MAX_PREFIXES).collect()
}
