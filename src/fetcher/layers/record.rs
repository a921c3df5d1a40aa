//! RecordLayer: stores every response for a later replay without the network.

use bytes::Bytes;

use crate::{
    fetcher::{
        fetch::{Fetch, FetchContext, Fetching},
        redirect,
    },
    permit::Permit,
    request::Request,
    stats::count::Count,
    transport::{
        raw_response::RawResponse,
        response_store::{ResponseStore, StoreKey},
        stored_response::StoredResponse,
    },
};

/// Stores every response that passes. Refusals (429, 503) are not the page's content and are not stored.
pub struct RecordLayer {
    inner: Box<dyn Fetch>,
    store: ResponseStore,
}

impl RecordLayer {
    /// Records the responses of `inner`.
    pub fn new(inner: Box<dyn Fetch>, store: ResponseStore) -> Self {
        Self { inner, store }
    }
}

impl Fetch for RecordLayer {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, context: FetchContext<'a>) -> Fetching<'a> {
        Box::pin(async move {
            let mut result = self.inner.fetch(permit, request, context.whole()).await;
            if let Ok(response) = &result.response
                && result.cooled.is_none()
                && !self.store.write(StoreKey::new(request, b""), stored(response, request, Vec::new())).await
            {
                result.counts.push(Count::NotRecorded);
            }
            result
        })
    }
}

/// Converts a response for storage; `asked` are the headers that it may vary by.
pub(super) fn stored(response: &RawResponse, request: &Request, asked: Vec<(String, String)>) -> StoredResponse {
    let RawResponse { status, headers, fetched_at, body, .. } = response;
    // The body of a redirect may be cut, and is not used.
    let is_redirect = redirect::target(*status, headers, &request.url).is_some();
    StoredResponse {
        url: super::url_of(request),
        asked,
        status: *status,
        headers: headers.clone(),
        fetched_at: *fetched_at,
        body: if is_redirect { Bytes::new() } else { body.clone() },
    }
}
