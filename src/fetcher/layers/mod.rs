//! Layers: wrappers around the network, each a [`Fetch`](super::fetch::Fetch) around another. They do not know each
//! other.

mod archive;
mod archive_replay;
mod http_cache;
mod middleware;
mod record;
mod replay;
mod sessions;

pub use self::{
    archive::ArchiveLayer, archive_replay::ArchiveReplay, http_cache::HttpCache, middleware::MiddlewareLayer,
    record::RecordLayer, replay::ReplayLayer, sessions::SessionLayer,
};
use crate::{identity::strip_user_info, request::Request};

/// Returns the URL without user name and password, for storing on disk.
fn url_of(request: &Request) -> String {
    let mut url = request.url.clone();
    strip_user_info(&mut url);
    url.into()
}
