//! StoredRequest: the form in which a request is written and read back. It stays the same however a request is kept in
//! memory.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::{Kind, Rare, Repeats, Request, SubmissionId};
use crate::{identity::Fingerprint, recrawl::page_visit::PageVisit};

/// A request as it is stored. What is seldom set is left out, which also keeps the format of older states.
#[derive(Serialize, Deserialize)]
struct StoredRequest<'a> {
    url: Cow<'a, Url>,
    #[serde(with = "method_as_text", default = "get", skip_serializing_if = "is_get")]
    method: Cow<'a, Method>,
    #[serde(default, skip_serializing_if = "is_empty")]
    headers: Cow<'a, [(String, String)]>,
    #[serde(default, skip_serializing_if = "Bytes::is_empty")]
    body: Bytes,
    #[serde(default)]
    priority: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rank: Option<i32>,
    #[serde(default)]
    depth: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    redirected_from: Cow<'a, [Fingerprint]>,
    #[serde(default, skip_serializing_if = "is_empty")]
    redirect_chain: Cow<'a, [Arc<str>]>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    keeps_redirects: bool,
    #[serde(default)]
    dont_filter: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proxy: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Repeats::is_none")]
    repeats: Repeats,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    visited: Option<PageVisit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    submission: Option<SubmissionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Kind::is_page")]
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<Cow<'a, str>>,
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rare = self.rare.as_deref();
        let stored = StoredRequest {
            url: Cow::Borrowed(&self.url),
            method: Cow::Borrowed(&self.method),
            headers: Cow::Borrowed(&self.headers),
            body: self.body.clone(),
            priority: self.priority,
            rank: self.rank,
            depth: self.depth,
            parent: self.parent.clone(),
            redirected_from: Cow::Borrowed(self.redirected_from()),
            redirect_chain: Cow::Borrowed(rare.map_or(&[], |rare| &rare.urls)),
            keeps_redirects: self.keeps_redirects,
            dont_filter: self.dont_filter,
            proxy: self.proxy.clone(),
            repeats: rare.map_or_else(Repeats::default, |rare| rare.repeats),
            visited: rare.and_then(|rare| rare.visited),
            session: rare.and_then(|rare| rare.session.clone()),
            submission: self.submission(),
            kind: self.kind,
            state: self.state.as_ref().map(|state| Cow::Borrowed(state.as_str())),
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredRequest::deserialize(deserializer)?;
        let rare = Rare {
            from: stored.redirected_from.into_owned(),
            urls: stored.redirect_chain.into_owned(),
            repeats: stored.repeats,
            visited: stored.visited,
            submission: stored.submission,
            session: stored.session,
        };
        let was_redirected = !(rare.from.is_empty() && rare.urls.is_empty() && rare.repeats.is_none());
        let has_past = was_redirected || rare.visited.is_some();
        let has_any = has_past || rare.submission.is_some() || rare.session.is_some();
        Ok(Self {
            url: stored.url.into_owned(),
            method: stored.method.into_owned(),
            headers: stored.headers.into_owned(),
            body: stored.body,
            priority: stored.priority,
            rank: stored.rank,
            depth: stored.depth,
            parent: stored.parent,
            rare: has_any.then(|| Box::new(rare)),
            keeps_redirects: stored.keeps_redirects,
            dont_filter: stored.dont_filter,
            proxy: stored.proxy,
            domain: None,
            kind: stored.kind,
            state: stored.state.map(|state| Arc::new(state.into_owned())),
        })
    }
}

fn is_empty<T>(list: &[T]) -> bool {
    list.is_empty()
}

fn get() -> Cow<'static, Method> {
    Cow::Owned(Method::GET)
}

fn is_get(method: &Method) -> bool {
    *method == Method::GET
}

/// `Method` does not implement serde's traits.
mod method_as_text {
    use std::borrow::Cow;

    use http::Method;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, Method>, D::Error> {
        String::deserialize(deserializer)?.parse().map(Cow::Owned).map_err(D::Error::custom)
    }
}
