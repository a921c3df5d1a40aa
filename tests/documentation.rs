//! A documentation site served by nginx, with every way to write a link that such sites use: each reachable page is
//! fetched exactly once, and nothing else is. Judged by nginx's own access log.
#![allow(clippy::disallowed_methods, reason = "tests read clocks")]

mod crawls;
mod recorder;

use std::{
    collections::BTreeMap,
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use actix_crawler::{Politeness, Scope, prelude::*};
use crawls::{CONTACT, MS, links, run};

/// An nginx process on its own port, which ends with the test.
struct Nginx {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Nginx {
    /// Serves the folder `site` below `folder` as `docs.test`, and `other` as everything else.
    fn start(folder: tempfile::TempDir) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {path}/{what};\n"))
            .collect();
        // Connections end after 20 requests, as they do on busy sites.
        let configuration = format!(
            "worker_processes 1; pid {path}/nginx.pid; error_log {path}/error.log; master_process off; daemon off;
             events {{ worker_connections 256; }}
             http {{
                 {temporary}
                 types {{ text/html html; text/plain txt; }}
                 default_type application/octet-stream;
                 log_format witness '$status $host $request_uri';
                 access_log {path}/access.log witness;
                 absolute_redirect off;
                 keepalive_requests 20;
                 gzip on;
                 server {{ listen 127.0.0.1:{port}; server_name docs.test; root {path}/site; }}
                 server {{ listen 127.0.0.1:{port} default_server; root {path}/other; }}
             }}"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let errors = folder.path().join("error.log");
        let mut process = Command::new("nginx")
            .args([Path::new("-p"), folder.path(), Path::new("-c"), &file, Path::new("-e"), &errors])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("nginx is needed for this test, as in `apt-get install nginx-light`: {error}")
            });
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = || fs::read_to_string(&errors).unwrap_or_default();
            assert!(process.try_wait().unwrap().is_none(), "nginx does not start: {}", said());
            assert!(begin.elapsed() < Duration::from_secs(20), "nginx does not listen: {}", said());
            thread::sleep(10 * MS);
        }
        Self { process, port, folder }
    }

    /// How often each line occurs in the access log.
    fn served(&self) -> BTreeMap<String, usize> {
        let mut served = BTreeMap::new();
        for line in fs::read_to_string(self.folder.path().join("access.log")).unwrap().lines() {
            *served.entry(line.to_owned()).or_default() += 1;
        }
        served
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Without a master it is one process.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A page: its file, and its canonical URL.
struct Page {
    file: String,
    path: String,
}

const FOLDERS: [&str; 6] = ["docs", "docs/guide", "docs/guide/deep er", "docs/api/v1", "docs/api/v2", "docs/über"];
const PAGES: usize = 300;

/// The ways to write a link.
const STYLES: usize = 10;

/// The one that leads to another URL (RFC 3986 §6.2.3), at which nginx has the same page.
const EMPTY_QUERY: usize = 9;

impl Page {
    fn new(n: usize) -> Self {
        let name = match n % 6 {
            0 => format!("page{n}.html"),
            1 => format!("with space {n}.html"),
            2 => format!("é{n}.html"),
            3 => format!("tilde~{n}.html"),
            4 => format!("a&b+{n}=c.html"),
            _ => format!("paren({n}),'!'.html"),
        };
        // The names differ between folders, so that a name does not identify its folder.
        let file = format!("{}/{name}", FOLDERS[(n / 6 + n) % FOLDERS.len()]);
        let path = format!("/{}", file.replace(' ', "%20").replace('é', "%C3%A9").replace('ü', "%C3%BC"));
        Self { file, path }
    }

    fn folder(&self) -> &str {
        self.path.rsplit_once('/').unwrap().0
    }

    /// A link to `to` on a page whose links are relative to `base`.
    fn link_from(&self, base: &str, style: usize) -> String {
        let relative = || format!("{}{}", "../".repeat(base.matches('/').count()), &self.path[1..]);
        let link = match style % STYLES {
            0 => self.path.clone(),
            1 => relative(),
            2 => format!("{}#section-{style}", relative()),
            // As authors write it.
            3 => format!("/{}", self.file),
            4 => self.path.replacen("/docs", "/%64oc%73", 1).replace("%C3", "%c3"),
            5 => format!("//docs.test{}", self.path),
            6 => format!("http://DOCS.test:80{}", self.path),
            EMPTY_QUERY => format!("{}?", self.path),
            7 => format!("/docs/nowhere/../.{}", self.path.strip_prefix("/docs").unwrap()),
            _ if self.folder() == base => format!("./{}", self.path.rsplit_once('/').unwrap().1),
            _ => format!("  {}\n", relative()),
        };
        link.replace('&', "&amp;")
    }
}

/// Writes the site; returns the expected log lines, each to occur exactly once.
fn write_site(root: &Path) -> BTreeMap<String, usize> {
    let write = |file: &str, text: &str| {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    let pages: Vec<Page> = (0..PAGES).map(Page::new).collect();
    let anchor = |href: &str| format!("<p>See <a href=\"{href}\">the next</a>.</p>\n");
    let mut expected: Vec<String> = Vec::new();
    for (n, page) in pages.iter().enumerate() {
        // Every eleventh page has a `<base>` elsewhere.
        let base = if n % 11 == 10 { "/docs/api/v1" } else { page.folder() };
        let mut html = format!("<!doctype html><title>Page {n}</title>");
        if n % 11 == 10 {
            html += "<base href=\"/docs/./api/v1/x.html\">";
        }
        // Two children make all pages reachable; the others give many paths to each.
        let to = [2 * n + 1, 2 * n + 2, n * 7 + 3, n / 2, n];
        for (style, to) in to.iter().enumerate() {
            let to = if style < 2 { *to } else { to % PAGES };
            if let Some(to) = pages.get(to) {
                html += &anchor(&to.link_from(base, n + style));
                if (n + style) % STYLES == EMPTY_QUERY {
                    expected.push(format!("200 docs.test {}?", to.path));
                }
            }
        }
        html += &anchor("/private/secret.html");
        html += &anchor("/docs/hidden/page.html");
        html += &anchor("http://elsewhere.test/docs/");
        html += &anchor("mailto:docs@docs.test");
        html += "<!-- <a href=/docs/commented.html> --><script>'<a href=/docs/scripted.html>'</script>";
        if n == 5 {
            html += &anchor("/docs/missing.html");
            html += &anchor("/docs/notes.txt");
            // Folders without the trailing slash, which nginx adds by a redirect.
            FOLDERS[1..].iter().for_each(|folder| html += &anchor(&format!("/{folder}")));
        }
        write(&format!("site/{}", page.file), &html);
        expected.push(format!("200 docs.test {}", page.path));
    }
    for folder in &FOLDERS[1..] {
        write(&format!("site/{folder}/index.html"), &anchor(&pages[0].link_from(&format!("/{folder}"), 1)));
        let path = format!("/{folder}").replace(' ', "%20").replace('ü', "%C3%BC");
        expected.push(format!("301 docs.test {path}"));
        expected.push(format!("200 docs.test {path}/"));
    }
    write("site/docs/notes.txt", "see <a href=/docs/from-a-text.html>");
    write("site/robots.txt", "user-agent: *\ndisallow: /docs/hidden/");
    expected.extend(["/docs/notes.txt", "/robots.txt"].map(|path| format!("200 docs.test {path}")));
    expected.push("404 docs.test /docs/missing.html".to_owned());
    // Pages without a link, linked only from places that do not count, or outside the scope.
    for file in ["orphan", "commented", "scripted", "from-a-text", "hidden/page"] {
        write(&format!("site/docs/{file}.html"), &anchor(&pages[0].path));
    }
    write("site/private/secret.html", "no");
    write("other/docs/index.html", "no");
    expected.into_iter().map(|line| (line, 1)).collect()
}

#[test]
fn every_reachable_page_is_fetched_exactly_once_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let expected = write_site(folder.path());
    let nginx = Nginx::start(folder);
    let scope = Scope { paths: vec!["/docs/".into()], ..Scope::default() };
    let items = Collect::new();
    let report = run(Crawler::new(links, CONTACT)
        .conducts(&actix_crawler::Conducts::new())
        .politeness(Politeness::default())
        .scope(scope)
        .rate(Rate::UNLIMITED)
        .per_domain(8)
        .resolve(format!("*.test:127.0.0.1:{}", nginx.port))
        .allow_private()
        .pipeline(items.clone())
        .seed("http://docs.test/docs/page0.html"));

    let served = nginx.served();
    let missing: Vec<_> = expected.keys().filter(|line| !served.contains_key(*line)).collect();
    let surplus: Vec<_> = served.iter().filter(|(line, count)| expected.get(*line) != Some(*count)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:#?}\nsurplus {surplus:#?}\n{report}");
    let folders = FOLDERS.len() - 1;
    let twice = expected.keys().filter(|line| line.ends_with('?')).count();
    assert!(twice > 20, "{twice}");
    assert_eq!(report.pages() as usize, PAGES + twice + folders + 1, "{report}");
    assert_eq!(items.take().len(), PAGES + twice + folders + 1);
    assert_eq!((report.stats.get("outcome/redirect") as usize, report.failed()), (folders, 1), "{report}");
    let dropped = ["scope/path", "robots/disallowed", "scope/host"].map(|why| report.stats.get(&format!("drop/{why}")));
    assert_eq!(dropped, [1, 1, 1], "{report}");
}
