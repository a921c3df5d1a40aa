//! ReplayLayer: answers from a recording, without the network.

use tokio::time::timeout;

use crate::{
    fetcher::fetch::{Fetch, FetchContext, FetchResult, Fetching, NoResponse},
    outcome::{FetchError, Phase},
    permit::Permit,
    request::Request,
    transport::{
        SharedTransport,
        body::Reservation,
        raw_response::RawResponse,
        response_store::{ResponseStore, StoreKey},
        stored_response::StoredResponse,
    },
};

/// Answers every request from a recording. Permits are dropped unused.
pub struct ReplayLayer {
    store: ResponseStore,
    transport: SharedTransport,
}

impl ReplayLayer {
    /// Replays a recording. Of `transport`, only the memory bound and the deadline are used.
    pub fn new(store: ResponseStore, transport: SharedTransport) -> Self {
        Self { store, transport }
    }

    async fn replay(&self, request: &Request) -> Result<RawResponse, FetchError> {
        let found = read(&self.store, StoreKey::new(request, b""), request, &self.transport).await?;
        found.map(|(stored, reservation)| stored.into_raw(reservation)).ok_or_else(|| {
            let (method, url, dir) = (&request.method, super::url_of(request), self.store.dir().display());
            FetchError::NotRecorded(format!("{method} {url} is not in the recording {dir}; record it with the network"))
        })
    }
}

impl Fetch for ReplayLayer {
    fn fetch<'a>(&'a self, permit: Permit, request: &'a Request, _: FetchContext<'a>) -> Fetching<'a> {
        drop(permit);
        Box::pin(async move { FetchResult::offline(self.replay(request).await.map_err(NoResponse::Failed)) })
    }
}

/// Reads a stored response. Waits for memory, but no longer than a request may take.
pub(super) async fn read(
    store: &ResponseStore,
    key: StoreKey,
    request: &Request,
    transport: &SharedTransport,
) -> Result<Option<(StoredResponse, Reservation)>, FetchError> {
    let limit = transport.whole_deadline();
    let url = super::url_of(request);
    let read = store.read(key, &url, transport.bodies());
    timeout(limit, read).await.map_err(|_| FetchError::Timeout { phase: Phase::Whole, limit })
}

impl StoredResponse {
    /// Converts it back to a response.
    pub(super) fn into_raw(self, reservation: Reservation) -> RawResponse {
        let Self { status, headers, fetched_at, body, .. } = self;
        RawResponse { status, headers, fetched_at, body, streamed: 0, is_cut: false, reservation }
    }
}
