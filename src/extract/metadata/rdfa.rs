//! RDFa Lite: items by `vocab`, `typeof`, `property`, `resource` and `prefix`, with `href`, `src` and `content` (RDFa
//! Lite 1.1); and of RDFa Core `about`, and names with a prefix in place of URLs. Returns items, not triples.

use std::borrow::Cow;

use super::{
    SkippedMetadata, cut,
    items::{Item, ItemValue, ItemsDraft, own_value},
    join,
};
use crate::extract::{
    address::Address,
    select::Element,
    walk::{NodeId, TreeStep, Walk},
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
    subject: Option<RdfaSubject<'a>>,
}

/// What the properties in an element belong to.
enum RdfaSubject<'a> {
    Item(usize),
    /// What a link or an image refers to. It becomes an item with its first property.
    Reference(Cow<'a, str>),
}

/// Returns the top-level items of a page.
pub(super) fn rdfa(root: Element<'_>, base: &Address, skipped: &mut SkippedMetadata) -> Vec<Item> {
    let mut draft = ItemsDraft::default();
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for step in Walk::over(*root.node()) {
        match step {
            TreeStep::Open(node) => {
                if !draft.visit() {
                    skipped.over_limit += 1;
                    break;
                }
                if let Some(element) = Element::of(node) {
                    open(element, base, &mut draft, &mut frames, skipped);
                }
            }
            TreeStep::Close(node) => {
                if frames.last().is_some_and(|frame| frame.node == node.id()) {
                    frames.pop();
                }
            }
        }
    }
    draft.finish(skipped)
}

/// Follows RDFa Core 1.1 §7.5, where each element has one subject: what it refers to, if it is no property itself.
fn open<'a>(
    element: Element<'a>,
    base: &Address,
    draft: &mut ItemsDraft,
    frames: &mut Vec<Frame<'a>>,
    skipped: &mut SkippedMetadata,
) {
    let attribute = |name: &str| element.attr(name);
    let [vocab, prefixes, types, property] = ["vocab", "prefix", "typeof", "property"].map(attribute);
    let prefixes = declared(prefixes.unwrap_or_default());
    let mut frame = Frame { node: element.node().id(), vocab, prefixes, subject: None };
    let referred = |text: &'a str| referred(text, &frame, frames);
    // An attribute that names nothing is as if it were not there.
    let [about, resource] = ["about", "resource"].map(|name| attribute(name).and_then(referred));
    let is_resource = resource.is_some();
    let reference = resource.or_else(|| attribute("href").or_else(|| attribute("src")).map(Cow::Borrowed));
    let names: Vec<_> = property.unwrap_or_default().split_ascii_whitespace().take(10).collect();
    let content = attribute("content");
    // With `about` the properties belong to what is told of here, and not to what surrounds it.
    let is_value = !names.is_empty() && content.is_none() && about.is_none();
    if let Some(types) = types {
        let types = types.split_ascii_whitespace().take(10);
        let types = types.map(|name| cut(&expanded(name, &frame, frames), skipped)).collect();
        let id = about.as_ref().or(reference.as_ref()).and_then(|reference| id_of(reference, base, skipped));
        let item = Item { types, id, properties: Vec::new() };
        let parent = if is_value { subject(frames, base, draft, skipped) } else { None };
        frame.subject = draft.add(parent, &names, item, skipped).map(RdfaSubject::Item);
    } else if let Some(about) = about {
        frame.subject = Some(RdfaSubject::Reference(about));
    } else if let Some(reference) = reference.clone().filter(|_| !is_value && (is_resource || is_within_item(frames))) {
        frame.subject = Some(RdfaSubject::Reference(reference));
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
        (None, Some(reference)) => match join(base, &reference, skipped) {
            Some(url) => ItemValue::Url(url),
            None => ItemValue::Text(cut(&reference, skipped)),
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

/// Returns the item that the properties here belong to. What is outside of any item says something of the page, and is
/// left out.
fn subject(
    frames: &mut [Frame<'_>],
    base: &Address,
    draft: &mut ItemsDraft,
    skipped: &mut SkippedMetadata,
) -> Option<usize> {
    let around = frames.iter_mut().rev().find_map(|frame| frame.subject.as_mut())?;
    if let RdfaSubject::Reference(reference) = around {
        let item = Item { types: Vec::new(), id: id_of(reference, base, skipped), properties: Vec::new() };
        *around = RdfaSubject::Item(draft.add(None, &[], item, skipped)?);
    }
    match *around {
        RdfaSubject::Item(item) => Some(item),
        RdfaSubject::Reference(_) => None,
    }
}

fn id_of(reference: &str, base: &Address, skipped: &mut SkippedMetadata) -> Option<String> {
    let id = Some(reference.trim()).filter(|id| !id.is_empty())?;
    if id.starts_with("_:") {
        // Of an item without a URL, which other places of the page name so.
        return Some(cut(id, skipped));
    }
    Some(base.resolve(id).map_or_else(|_| cut(id, skipped), Into::into))
}

/// Expands a type by its prefix, or else by the vocabulary.
fn expanded(name: &str, own: &Frame<'_>, frames: &[Frame<'_>]) -> String {
    if name.contains(':') {
        return with_prefix(name, own, frames).unwrap_or_else(|| name.to_owned());
    }
    let vocab = around(own, frames).find_map(|frame| frame.vocab).unwrap_or_default();
    format!("{}{name}", vocab.trim())
}

/// Returns what `about` or `resource` refers to: a URL, or a name with a prefix, in brackets or not (RDFa Core 1.1
/// §7.4.3). In brackets it is nothing else.
fn referred<'a>(text: &'a str, own: &Frame<'_>, frames: &[Frame<'_>]) -> Option<Cow<'a, str>> {
    let text = text.trim();
    match text.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(blank) if blank.starts_with("_:") => Some(Cow::Borrowed(blank)),
        Some(name) => with_prefix(name, own, frames).map(Cow::Owned),
        None => Some(with_prefix(text, own, frames).map_or(Cow::Borrowed(text), Cow::Owned)),
    }
}

/// Expands a name with a prefix that is declared. What follows a prefix never begins with two slashes, so no URL has
/// one.
fn with_prefix(name: &str, own: &Frame<'_>, frames: &[Frame<'_>]) -> Option<String> {
    let (prefix, local) = name.split_once(':').filter(|(_, local)| !local.starts_with("//"))?;
    let declaring = around(own, frames).filter(|frame| !frame.prefixes.is_empty()).take(MAX_DECLARING);
    let declared = declaring.flat_map(|frame| &frame.prefixes).chain(&PREFIXES);
    let (_, iri) = declared.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(prefix))?;
    Some(format!("{iri}{local}"))
}

/// Returns the elements around, innermost first.
fn around<'f, 'a>(own: &'f Frame<'a>, frames: &'f [Frame<'a>]) -> impl Iterator<Item = &'f Frame<'a>> {
    std::iter::once(own).chain(frames.iter().rev())
}

/// Parses `prefix="a: http://a/ b: http://b/"`.
fn declared(list: &str) -> Vec<(&str, &str)> {
    let mut words = list.split_ascii_whitespace();
    let pairs = std::iter::from_fn(|| Some((words.next()?, words.next()?)));
    pairs.filter_map(|(name, iri)| Some((name.strip_suffix(':')?, iri))).take(MAX_PREFIXES).collect()
}
