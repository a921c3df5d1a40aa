//! Namespaces: the namespace and the local name of each element of an XML page ("Namespaces in XML 1.0"). Builds no
//! tree, and knows of the namespaces only those whose elements mean something on a page.

use std::borrow::Cow;

use super::tokens::{Tag, Token, Tokens};

/// The namespace of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    Xhtml,
    Svg,
    MathMl,
    Other,
}

impl Namespace {
    fn named(name: &str) -> Self {
        match name {
            "http://www.w3.org/1999/xhtml" => Self::Xhtml,
            "http://www.w3.org/2000/svg" => Self::Svg,
            "http://www.w3.org/1998/Math/MathML" => Self::MathMl,
            _ => Self::Other,
        }
    }
}

/// Tells whether the root element of an XML document is in the XHTML namespace.
///
/// Only such a document is a page. XHTML within another one, such as an article in an Atom feed, is part of data: what
/// reads the data reads it.
pub(crate) fn is_xhtml(xml: &str) -> bool {
    let root = Tokens::new(xml).find_map(|token| if let Token::Start(tag) = token { Some(tag) } else { None });
    root.is_some_and(|root| {
        let name: Option<Cow<'_, str>> = match root.name.split_once(':') {
            Some((prefix, _)) => root.attribute(&format!("xmlns:{prefix}")),
            None => root.attribute("xmlns"),
        };
        name.is_some_and(|name| Namespace::named(&name) == Namespace::Xhtml)
    })
}

/// The most declarations in scope, since each is compared with every name. Real pages have three at most that are
/// recorded.
const MAX_DECLARED: usize = 32;

/// The declarations in scope at the current position.
///
/// Without a default namespace, elements without a prefix are XHTML, as on pages that are XHTML by their media type
/// only. In a document whose root has a prefix they are not.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespaces<'a> {
    /// Prefixes, empty for the default, and what they stand for; the innermost is the last. Only what changes something
    /// is recorded.
    declared: Vec<(&'a str, Namespace)>,
    /// The open elements within the root that declare something.
    scopes: Vec<NamespaceScope<'a>>,
    in_root: bool,
}

/// An open element that declares something.
#[derive(Clone, Copy, Debug)]
struct NamespaceScope<'a> {
    /// Its name, as in the page.
    element: &'a str,
    /// The number of open elements within it that have the same name and declare nothing.
    nested: usize,
    /// The number of declarations around it.
    outside: usize,
}

impl<'a> Namespaces<'a> {
    /// Handles a start tag. Returns the namespace of its element, and the name without a prefix; with it in other
    /// namespaces.
    pub fn start(&mut self, tag: &Tag<'a>) -> (Namespace, &'a str) {
        let outside = self.declared.len();
        if !self.in_root && tag.name.contains(':') {
            self.declared.push(("", Namespace::Other));
        }
        for attribute in tag.attributes() {
            let prefix = match attribute.name.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) => rest.strip_prefix(':').unwrap_or_default(),
                None => continue,
            };
            let is_default = attribute.name == "xmlns";
            let namespace = Namespace::named(&attribute.value());
            if prefix.is_empty() != is_default || self.namespace(prefix) == namespace {
                continue;
            }
            if self.declared.len() < MAX_DECLARED {
                self.declared.push((prefix, namespace));
            }
        }
        let resolved = self.resolve(tag.name);
        let declares = self.declared.len() > outside;
        if !std::mem::replace(&mut self.in_root, true) {
            // What the root declares holds to the end of the page, also where a surplus end tag seems to close the
            // root.
        } else if tag.self_closing {
            self.declared.truncate(outside);
        } else if declares {
            self.scopes.push(NamespaceScope { element: tag.name, nested: 0, outside });
        } else if let Some(scope) = self.scopes.last_mut()
            && scope.element == tag.name
        {
            scope.nested += 1;
        }
        resolved
    }

    /// Handles an end tag. Returns the name without a prefix, as [`Namespaces::start`] does.
    pub fn end(&mut self, tag: &Tag<'a>) -> &'a str {
        let (_, name) = self.resolve(tag.name);
        if let Some(scope) = self.scopes.last_mut()
            && scope.element == tag.name
        {
            if let Some(nested) = scope.nested.checked_sub(1) {
                scope.nested = nested;
            } else {
                self.declared.truncate(scope.outside);
                self.scopes.pop();
            }
        }
        name
    }

    fn resolve(&self, name: &'a str) -> (Namespace, &'a str) {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        match self.namespace(prefix) {
            Namespace::Other => (Namespace::Other, name),
            known => (known, local),
        }
    }

    fn namespace(&self, prefix: &str) -> Namespace {
        let known = self.declared.iter().rev().find(|(known, _)| *known == prefix).map(|(_, namespace)| *namespace);
        known.unwrap_or(if prefix.is_empty() { Namespace::Xhtml } else { Namespace::Other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names and namespaces of all elements: `h` for XHTML, `s` for SVG, `m` for MathML, `o` for others.
    fn elements(xml: &str) -> String {
        let mut namespaces = Namespaces::default();
        let mut all = Vec::new();
        let mut tokens = Tokens::new(xml);
        tokens.allow_cdata(true);
        for token in tokens {
            match token {
                Token::Start(tag) => {
                    let (namespace, name) = namespaces.start(&tag);
                    let letter = match namespace {
                        Namespace::Xhtml => 'h',
                        Namespace::Svg => 's',
                        Namespace::MathMl => 'm',
                        Namespace::Other => 'o',
                    };
                    all.push(format!("{letter}.{name}"));
                }
                Token::End(tag) => drop(namespaces.end(&tag)),
                _ => {}
            }
        }
        all.join(" ")
    }

    const H: &str = "http://www.w3.org/1999/xhtml";
    const S: &str = "http://www.w3.org/2000/svg";

    #[test]
    fn a_declaration_holds_for_its_element_and_what_is_within() {
        for (xml, expected) in [
            (
                format!("<html xmlns='{H}'><a/><svg xmlns='{S}'><a/><svg/></svg><b/></html>"),
                "h.html h.a s.svg s.a s.svg h.b",
            ),
            (format!("<svg xmlns='{S}'><h:area xmlns:h='{H}'/><h:area/><area/></svg>"), "s.svg h.area o.h:area s.area"),
            (
                format!("<x:a xmlns:x='{H}'><a/><x:b xmlns:x='urn:o'><x:b></x:b><x:c/></x:b><x:d/></x:a>"),
                "h.a o.a o.x:b o.x:b o.x:c h.d",
            ),
            (format!("<html xmlns='{H}'><p xmlns=''><a/></p><a/></html>"), "h.html o.p o.a h.a"),
            (format!("<html xmlns='{H}' xmlns:h='{H}'><h:p/></html></html><h:p/><p/>"), "h.html h.p h.p h.p"),
            ("<html><p/><x:p/></html>".to_owned(), "h.html h.p o.x:p"),
            ("<html xmlns:='x' xmlnsa='y'><p/></html>".to_owned(), "h.html h.p"),
        ] {
            assert_eq!(elements(&xml), expected, "{xml}");
        }
    }

    #[test]
    fn declarations_without_end_are_bounded() {
        let xml: String = (0..1_000).map(|n| format!("<a xmlns:p{n}='{H}'>")).collect();
        assert_eq!(elements(&xml).matches("h.a").count(), 1_000);
    }
}
