//! Site: a map of pages that a crawl or a client asks without sockets, and in virtual time. Does not know how the
//! requests arrive.

use std::{
    fs, io,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use url::Url;

use super::{Answer, Arrival, Crawled, Run, network::SiteNetwork, pages::Pages, served::Served, simulation::simulate};
use crate::{
    clock::virtual_time,
    crawler::Crawler,
    error::{Error, Result},
    pipeline::{Each, Scraped},
    response::Response,
    spider::Spider,
};

/// Pages of one or several domains, for crawls and clients to ask. What is no page is answered 404, and a host without
/// any page is not found.
///
/// URLs may be relative to that of [`Site::new`].
///
/// ```
/// use actix_crawler::{prelude::*, testing::{Answer, Site}};
///
/// let site = Site::new("https://shop.example")
///     .robots("User-agent: *\nDisallow: /admin")
///     .page("/", "<a href=/1>one</a> <a href=/2>two</a> <a href=/admin>admin</a>")
///     .page("/1", "<h1>One</h1>")
///     .redirect("/2", "https://other.example/two")
///     .page("https://other.example/two", Answer::html("<h1>Two</h1>"));
///
/// let names = |page: &Response| Ok(Parsed::of(page.maybe_text_of("h1")?).follow(page.links()));
/// let crawler = Crawler::new(names, "shopbot/1.0 (+https://example.org/bot)").seed("https://shop.example/");
/// let run = site.crawl(crawler.within(Within::Any))?;
///
/// assert_eq!(run.items(), ["One", "Two"]);
/// run.assert_never_asked("/admin");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Site {
    base: Url,
    pages: Arc<Pages>,
    latency: Duration,
}

#[allow(clippy::expect_used, reason = "a site is written down, not read")]
impl Site {
    /// Creates a site without pages.
    ///
    /// # Panics
    /// `base` is not a URL such as `https://example.org`; it is a literal in a test.
    pub fn new(base: &str) -> Self {
        let base = Url::parse(base).expect("a site's base is an absolute URL");
        Self { base, pages: Arc::default(), latency: Duration::ZERO }
    }

    /// Adds a page, in place of one with the same URL.
    ///
    /// # Panics
    /// As all methods that take a URL: it is none. It is a literal in a test.
    #[must_use]
    pub fn page(self, url: &str, answer: impl Into<Answer>) -> Self {
        self.answers(url, [answer.into()])
    }

    /// Adds pages.
    #[must_use]
    pub fn pages<U: AsRef<str>, A: Into<Answer>>(self, pages: impl IntoIterator<Item = (U, A)>) -> Self {
        pages.into_iter().fold(self, |site, (url, answer)| site.page(url.as_ref(), answer))
    }

    /// Adds a page that answers differently each time: with one answer after the other, and then always with the last.
    #[must_use]
    pub fn answers(mut self, url: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        let url = self.url(url);
        Arc::make_mut(&mut self.pages).add(&url, answers.into_iter().collect());
        self
    }

    /// Adds a function that answers for every URL that begins with this one and has no page: a log-in, an API, a list
    /// without end. A panic in it ends the run with this panic, so it may assert what it is asked.
    ///
    /// ```
    /// use actix_crawler::{Rate, ThrottledClient, testing::{Answer, Site}};
    ///
    /// let site = Site::new("https://api.example").respond("/items/", |arrival| {
    ///     assert_eq!(arrival.header("x-key"), Some("secret"));
    ///     Answer::json(format!(r#"{{"id": {:?}}}"#, &arrival.path()[7..]))
    /// });
    ///
    /// let run = site.run(|| async {
    ///     let client = ThrottledClient::new("pricebot/1.0 (+https://example.org/bot)", Rate::per_second(50))?;
    ///     let response = client.get("https://api.example/items/7").header("x-key", "secret").send().await?;
    ///     response.json::<serde_json::Value>()
    /// })?;
    /// assert_eq!(run.into_output()?["id"], "7");
    /// # Ok::<(), actix_crawler::Error>(())
    /// ```
    #[must_use]
    pub fn respond(mut self, url: &str, answer: impl Fn(&Arrival) -> Answer + Send + Sync + 'static) -> Self {
        let url = self.url(url);
        Arc::make_mut(&mut self.pages).add_below(&url, answer);
        self
    }

    /// Adds a redirect (302).
    #[must_use]
    pub fn redirect(self, url: &str, to: &str) -> Self {
        self.page(url, Answer::redirect(to))
    }

    /// Sets the robots file of the base's origin; without one, everything is allowed. Those of other origins are pages:
    /// `.page("https://other.example/robots.txt", Answer::text("…"))`.
    #[must_use]
    pub fn robots(self, text: &str) -> Self {
        self.page("/robots.txt", Answer::text(text.to_owned()))
    }

    /// Makes the host of a URL refuse connections.
    #[must_use]
    pub fn unreachable(mut self, url: &str) -> Self {
        let url = self.url(url);
        Arc::make_mut(&mut self.pages).add_unreachable(&url);
        self
    }

    /// Sets how long every answer takes at least; no time by default.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Adds the files of a folder as pages, with media types by their endings; `index.html` is also the page of its
    /// folder.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        for file in files_below(folder)? {
            let body = fs::read(&file).map_err(|source| Error::file(&file, source))?;
            let relative = file.strip_prefix(folder).unwrap_or(&file);
            let path: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            let path = format!("/{}", path.join("/"));
            let answer = Answer::bytes(media_type(&file), body);
            if let Some(folder) = path.strip_suffix("index.html") {
                self = self.page(folder, answer.clone());
            }
            self = self.page(&path, answer);
        }
        Ok(self)
    }

    /// Adds saved responses, each with its own URL: a file, or all files of a folder.
    /// `actix-crawler fetch URL --contact me@example.org --save PATH` and
    /// [`client::Response::save`](crate::client::Response::save) save them, and so does a crawl that records.
    ///
    /// # Errors
    /// The file or the folder cannot be read, or a file is no saved response.
    pub fn saved(mut self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let files = if path.is_dir() { files_below(path)? } else { vec![path.to_owned()] };
        for file in files {
            let response = Response::saved(file)?;
            self = self.page(response.url().clone().as_str(), response);
        }
        Ok(self)
    }

    /// Runs a crawl to its end, and returns its items, its report and what it asked for. It takes as much virtual time
    /// as it would take of real time, and real time only for its work.
    ///
    /// It uses one thread, and shares its politeness with nobody. The caller waits, also within a runtime. After a day
    /// it is stopped, if it has no [`Crawler::max_time`] of its own; its report says so.
    ///
    /// # Errors
    /// As [`Crawler::start`]. A crawl with a state on disk is refused, since the time of its store is real.
    pub fn crawl<S: Spider>(&self, crawler: Crawler<S>) -> Result<Run<Crawled<S::Item>>> {
        let items: Arc<Mutex<Vec<Scraped<S::Item>>>> = Arc::default();
        let kept = items.clone();
        let keep =
            move |scraped: &Scraped<S::Item>| kept.lock().unwrap_or_else(PoisonError::into_inner).push(scraped.clone());
        let run = self.run(|| crawler.pipeline(Each::scraped(keep)).run())?;
        let items = std::mem::take(&mut *items.lock().unwrap_or_else(PoisonError::into_inner));
        run.try_map(|report| Ok(Crawled { items, report: report? }))
    }

    /// Runs a future in virtual time, with this site as the network: clients, and crawls that are controlled while they
    /// run. Clients are made within it, and `tokio::time` is virtual there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use actix_crawler::{report::Ended, prelude::*, testing::Site};
    ///
    /// let site = Site::new("https://example.org").respond("/", |arrival| {
    ///     let number: u32 = arrival.query("page").and_then(|page| page.parse().ok()).unwrap_or(0);
    ///     format!("<a href='/?page={}'>next</a>", number + 1).into()
    /// });
    ///
    /// let links = |page: &Response| Ok(Parsed::<()>::new().follow(page.links()));
    /// let run = site.run(|| async {
    ///     let crawler = Crawler::new(links, "shopbot/1.0 (+https://example.org/bot)").seed("https://example.org/");
    ///     let handle = crawler.ignore_robots().start()?;
    ///     tokio::time::sleep(Duration::from_secs(3_600)).await;
    ///     handle.stop().await;
    ///     handle.wait().await
    /// })?;
    /// assert_eq!(run.output().as_ref().unwrap().ended, Ended::Stopped);
    /// run.assert_spaced("example.org", Duration::from_secs(1));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The system cannot start a thread, or the future has not ended after 31 days.
    ///
    /// # Panics
    /// The future panics, or a function that answers.
    pub fn run<F, T>(&self, work: impl FnOnce() -> F + Send) -> Result<Run<T>>
    where
        F: Future<Output = T>,
        T: Send,
    {
        let serve = || SiteNetwork(Served::new(self.pages.clone(), self.latency)).into();
        let end = |network: &SiteNetwork| (network.0.take_seen(), virtual_time::elapsed().unwrap_or_default());
        let (output, (seen, elapsed)) = simulate(serve, work, end)?;
        if let Some(panic) = seen.panic {
            resume_unwind(panic);
        }
        Ok(Run { output, arrivals: seen.arrivals, elapsed, base: self.base.clone() })
    }

    fn url(&self, url: &str) -> Url {
        self.base.join(url).expect("a site's URL is absolute or relative to its base")
    }
}

/// Returns the files of a folder and of those in it, in the order of their names.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = |source: io::Error| Error::file(folder, source);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // Links are not followed: they may lead in a circle.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            files.append(&mut files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn media_type(file: &Path) -> &'static str {
    match file.extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "xml" => "application/xml",
        "txt" | "md" => "text/plain",
        "css" => "text/css",
        "js" => "text/javascript",
        "gz" => "application/gzip",
        _ => "application/octet-stream",
    }
}
