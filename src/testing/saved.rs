//! Saved: responses in files, read back as pages. Knows no site.

use std::{fs, io, path::Path, time::Duration};

use crate::{
    error::{Error, Result},
    request::Request,
    response::Response,
    transport::{
        body::{BodyLimits, Reservation},
        raw_response::RawResponse,
        stored_response::StoredResponse,
    },
};

impl Response {
    /// Reads a saved response: from `actix-crawler fetch URL --contact me@example.org --save FILE`, from
    /// [`client::Response::save`](crate::client::Response::save), or from a crawl that records.
    ///
    /// The file is one line of JSON with the URL, the status and the headers, and then the body, as it was received.
    /// Both may be edited by hand.
    ///
    /// ```
    /// use actix_crawler::{prelude::*, testing::Site};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("shop.response");
    /// # let head = r#"{"url": "https://shop.example/", "status": 200, "headers": [["content-type", "text/html"]]}"#;
    /// # std::fs::write(&path, format!("{head}\n<title>Shop</title>")).unwrap();
    /// let page = Response::saved(&path)?;
    /// assert_eq!((page.url().as_str(), page.title()), ("https://shop.example/", Some("Shop")));
    ///
    /// let site = Site::new("https://shop.example").saved(folder.path())?;
    /// # drop(site);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or is no saved response.
    pub fn saved(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let unreadable = |source| Error::file(path, source);
        let invalid = |why: String| unreadable(io::Error::new(io::ErrorKind::InvalidData, why));
        let file = fs::read(path).map_err(unreadable)?;
        let stored = StoredResponse::from_edited_file(&file.into()).map_err(invalid)?;
        let StoredResponse { url, status, headers, fetched_at, body, .. } = stored;
        let request = Request::parse(&url)?;
        let raw = RawResponse {
            status,
            headers,
            fetched_at,
            body,
            streamed: 0,
            is_cut: false,
            reservation: Reservation::default(),
        };
        let (body, _) = raw.decoded(BodyLimits::default()).map_err(|error| invalid(error.to_string()))?;
        let RawResponse { headers, .. } = raw;
        Ok(Self::new(request.into(), status, headers, body, fetched_at, Duration::ZERO))
    }
}
