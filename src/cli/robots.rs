//! `robots`: shows what an origin's robots file says about paths, which line decides, and why.

use std::time::Duration;

use actix_crawler::{
    Request, ThrottledClient,
    client::Response,
    internals::refusal,
    politeness::DomainKey,
    robots::{MAX_BYTES, Robots, RobotsTxt, product_token},
    transport::TransportSettings,
};
use url::Url;

use super::{
    block_on,
    config::refuse_private,
    console::print,
    exit::{Exit, Failure},
    now, once,
    options::RobotsOptions,
};

/// RFC 9309 §2.3.1.2: five consecutive redirects are followed.
const MAX_HOPS: usize = 5;

/// Runs the command.
///
/// # Errors
/// No complete response came.
pub fn run(options: &RobotsOptions) -> Result<Exit, Failure> {
    let url = Request::parse(&options.url)?.url;
    let paths = options.paths.iter().map(|path| path_of(&url, path)).collect::<Result<Vec<_>, _>>()?;
    let asked = if paths.is_empty() { vec![url.clone()] } else { paths };
    let transport = options.network.over(TransportSettings::default())?;
    refuse_private(std::slice::from_ref(&url), &transport.guard)?;
    let user_agent = options.identity.user_agent(std::slice::from_ref(&url))?;
    let token = product_token(&user_agent).to_owned();

    let client = once::client(transport, user_agent)?;
    let response = block_on(ask(&client, robots_file(&url)))?;
    print(describe(&response, &token, &asked).as_bytes())?;
    Ok(Exit::Well)
}

/// Returns the robots file of a URL's origin.
fn robots_file(url: &Url) -> Url {
    let mut file = url.clone();
    file.set_path("/robots.txt");
    file.set_query(None);
    file.set_fragment(None);
    file
}

fn path_of(url: &Url, path: &str) -> Result<Url, Failure> {
    let joined = url.join(path).map_err(|error| Failure::usage(format!("`{path}` is no path: {error}")))?;
    if joined.origin() != url.origin() {
        return Err(Failure::usage(format!("`{path}` is of another origin than {url}, with a robots file of its own")));
    }
    Ok(joined)
}

/// Requests the file and follows its redirects, as many as a crawl does.
async fn ask(client: &ThrottledClient, file: Url) -> Result<Response, Failure> {
    let mut at = file;
    for _ in 0..=MAX_HOPS {
        let response = once::get(client, &at, &[]).await?;
        match response.redirect_target() {
            Some(to) if matches!(to.scheme(), "http" | "https") && to != at => at = to,
            _ => return Ok(response),
        }
    }
    Err(Failure::failed(format!("{at}: more than {MAX_HOPS} redirects: a crawl takes that for no robots file")))
}

fn describe(response: &Response, token: &str, asked: &[Url]) -> String {
    let (at, status, body) = (response.url(), response.status(), response.bytes());
    let mut text = String::new();
    let mut say = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    say(format!("{at}: {status}, {} bytes, domain {}", body.len(), DomainKey::RegistrableDomain.domain(at)));
    if body.len() > MAX_BYTES {
        say(format!("only the first {MAX_BYTES} bytes are read"));
    }
    say(format!("asked as {token}"));
    let robots = Robots::from_status(status, body, token, now());
    let is_refusal = refusal(status, response.headers(), response.started_at() + response.elapsed()).is_some();
    match robots {
        Robots::Rules(rules) => {
            for line in rule_lines(&rules, at, asked) {
                say(line);
            }
        }
        Robots::AllowAll if !is_refusal => {
            for url in asked {
                say(format!("allowed     {}: there is no robots file", path(url)));
            }
        }
        Robots::AllowAll | Robots::DenyAll { .. } => {
            for url in asked {
                say(format!("disallowed  {}: status {status} means not now, for every path; ask later", path(url)));
            }
        }
    }
    text
}

fn rule_lines(rules: &RobotsTxt, file: &Url, asked: &[Url]) -> Vec<String> {
    let mut lines = vec![format!("holds: {}", rules.group())];
    if let Some(spacing) = rules.spacing() {
        lines.push(format!("asks for {} between two requests", humantime::format_duration(whole(spacing))));
    }
    lines.extend(rules.sitemaps_from(file).iter().map(|sitemap| format!("sitemap: {sitemap}")));
    for url in asked {
        let decision = rules.decide(url).to_string();
        let (verb, why) = decision.split_once([':', ' ']).unwrap_or((&decision, ""));
        lines.push(format!("{verb:<11} {}: {}", path(url), why.trim()));
    }
    lines
}

/// Rounds down to milliseconds.
fn whole(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn path(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}
