//! Layers: wrappers around the network, each a [`Fetch`](super::fetch::Fetch) around another. They do not know each
//! other.

mod http_cache;
mod middleware;
mod record;
mod replay;

pub use self::{http_cache::HttpCache, middleware::MiddlewareLayer, record::Record, replay::Replay};
use crate::{identity::strip_user_info, request::Request};

/// Returns the URL without user name and password, for storing on disk.
fn url_of(request: &Request) -> String {
    let mut url = request.url.clone();
    strip_user_info(&mut url);
    url.into()
}
