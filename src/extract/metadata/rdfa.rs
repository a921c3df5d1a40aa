//! RDFa Lite: items by `vocab`, `typeof`, `property`, `resource` and `prefix`, with `href`, `src` and `content` (RDFa Lite 1.1).
//! Returns items, not triples.

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
    subject: Option<Subject<'a>>,
}

/// What the properties in an element belong to.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Item(usize),
    /// What a link or an image refers to. It becomes an item with its first property.
    Reference(&'a str),
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
    draft.finish()
}

/// Follows RDFa Core 1.1 §7.5, where each element has one subject: what it refers to, if it is no property itself.
fn open<'a>(
    element: Element<'a>,
    base: &Address,
    draft: &mut Draft,
    frames: &mut Vec<Frame<'a>>,
    skipped: &mut SkippedMetadata,
) {
    let attribute = |name: &str| element.attr(name);
    let [vocab, prefixes, types, property, resource] =
        ["vocab", "prefix", "typeof", "property", "resource"].map(attribute);
    let reference = resource.or_else(|| attribute("href")).or_else(|| attribute("src"));
    let prefixes = declared(prefixes.unwrap_or_default());
    let mut frame = Frame { node: element.node().id(), vocab, prefixes, subject: None };
    let names: Vec<_> = property.unwrap_or_default().split_ascii_whitespace().take(10).collect();
    let content = attribute("content");
    let is_value = !names.is_empty() && content.is_none();
    if let Some(types) = types {
        let types = types.split_ascii_whitespace().take(10);
        let types = types.map(|name| cut(&expanded(name, &frame, frames), skipped)).collect();
        let item =
            Item { types, id: reference.and_then(|reference| id_of(reference, base, skipped)), properties: Vec::new() };
        let parent = if is_value { subject(frames, base, draft, skipped) } else { None };
        frame.subject = draft.add(parent, &names, item, skipped).map(Subject::Item);
    } else if let Some(reference) = reference.filter(|_| !is_value && (resource.is_some() || is_within_item(frames))) {
        frame.subject = Some(Subject::Reference(reference));
    }
    let has_subject = frame.subject.is_some();
    if frame.vocab.is_some() || !frame.prefixes.is_empty() || has_subject {
        frames.push(frame);
    }
    // An item is the value of its property already.
    if names.is_empty() || (is_value && has_subject) {
        return;
    }
    let Some(item) = subject(frames, base, draft, skipped) else { return };
    let value = match (content, reference) {
        (Some(content), _) => ItemValue::Text(cut(content.trim(), skipped)),
        (None, Some(reference)) => match join(base, reference, skipped) {
            Some(url) => ItemValue::Url(url),
            None => ItemValue::Text(cut(reference, skipped)),
        },
        (None, None) => {
            // A link without a target has its text.
            let has_own = matches!(element.name(), "data" | "meter" | "object" | "time");
            let own = if has_own { own_value(element, base, skipped) } else { None };
            own.unwrap_or_else(|| ItemValue::Text(draft.text(element, skipped)))
        }
    };
    for name in names {
        draft.property(item, name, value.clone(), skipped);
    }
}

fn is_within_item(frames: &[Frame<'_>]) -> bool {
    frames.iter().any(|frame| frame.subject.is_some())
}

/// Returns the item that the properties here belong to. What is outside of any item says something of the page, and is left
/// out.
fn subject(
    frames: &mut [Frame<'_>],
    base: &Address,
    draft: &mut Draft,
    skipped: &mut SkippedMetadata,
) -> Option<usize> {
    let around = frames.iter_mut().rev().find_map(|frame| frame.subject.as_mut())?;
    if let Subject::Reference(reference) = *around {
        let item = Item { types: Vec::new(), id: id_of(reference, base, skipped), properties: Vec::new() };
        *around = Subject::Item(draft.add(None, &[], item, skipped)?);
    }
    match *around {
        Subject::Item(item) => Some(item),
        Subject::Reference(_) => None,
    }
}

fn id_of(reference: &str, base: &Address, skipped: &mut SkippedMetadata) -> Option<String> {
    let id = Some(reference.trim()).filter(|id| !id.is_empty())?;
    Some(base.resolve(id).map_or_else(|_| cut(id, skipped), Into::into))
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
