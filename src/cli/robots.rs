//! `robots`: what an origin's robots file says about paths, which line decides, and why.

use std::time::Duration;

use actix_crawler::{
    domain::registrable,
    fetcher::{http::Answer, redirect},
    outcome::FetchError,
    request::{Request, parse_url},
    robots::{MAX_BYTES, Robots, RobotsTxt, product_token},
    transport::{TransportSettings, body::BodyLimits},
};
use url::Url;

use super::{
    config::refuse_private,
    exit::{Exit, Failure},
    fetch::{failed, print},
    now,
    once::Once,
    options::RobotsOptions,
};

/// RFC 9309 §2.3.1.2: five consecutive redirects are followed.
const MAX_HOPS: usize = 5;

/// Asks for the robots file, and what it says of each path.
///
/// # Errors
/// No answer came.
pub fn run(options: &RobotsOptions) -> Result<Exit, Failure> {
    let url = parse_url(&options.url)?;
    let paths = options.paths.iter().map(|path| path_of(&url, path)).collect::<Result<Vec<_>, _>>()?;
    let asked = if paths.is_empty() { vec![url.clone()] } else { paths };
    let transport = options.network.over(TransportSettings::default())?;
    refuse_private(std::slice::from_ref(&url), &transport.guard)?;
    let user_agent = options.identity.user_agent(std::slice::from_ref(&url))?;
    let token = product_token(&user_agent).to_owned();
    let limits = transport.body;

    let file = robots_file(&url);
    let (at, answer) = actix_rt::System::new().block_on(async {
        let mut once = Once::new(transport, &user_agent)?;
        ask(&mut once, file).await
    })?;
    let mut text = String::new();
    describe(&mut text, &at, &answer, limits, &token, &asked).map_err(|error| failed(&at, Some(error)))?;
    print(text.as_bytes())?;
    Ok(Exit::Well)
}

/// The robots file of a URL's origin.
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

/// Follows redirects, each hop under a permit of its own domain.
async fn ask(once: &mut Once, file: Url) -> Result<(Url, Answer), Failure> {
    let mut at = file;
    for _ in 0..=MAX_HOPS {
        let answer = once.send(&Request::get(at.clone())).await.answer.map_err(|error| failed(&at, error))?;
        match redirect::target(answer.status, &answer.headers, &at) {
            Some(to) if matches!(to.scheme(), "http" | "https") && to != at => at = to,
            _ => return Ok((at, answer)),
        }
    }
    Err(Failure::failed(format!("{at}: more than {MAX_HOPS} redirects: a crawl takes that for no robots file")))
}

fn describe(
    text: &mut String,
    at: &Url,
    answer: &Answer,
    limits: BodyLimits,
    token: &str,
    asked: &[Url],
) -> Result<(), FetchError> {
    let (body, _) = answer.decoded(limits)?;
    let mut say = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    say(format!("{at}: {}, {} bytes, domain {}", answer.status, body.len(), registrable(at)));
    if body.len() > MAX_BYTES {
        say(format!("only the first {MAX_BYTES} bytes are read"));
    }
    say(format!("asked as {token}"));
    match Robots::from_status(answer.status, &body, token, now()) {
        Robots::Rules(rules) => {
            for line in rule_lines(&rules, asked) {
                say(line);
            }
        }
        Robots::AllowAll => {
            for url in asked {
                say(format!("allowed     {}: there is no robots file", path(url)));
            }
        }
        Robots::DenyAll { .. } => {
            for url in asked {
                let status = answer.status;
                say(format!("disallowed  {}: status {status} means not now, for every path; ask later", path(url)));
            }
        }
    }
    Ok(())
}

fn rule_lines(rules: &RobotsTxt, asked: &[Url]) -> Vec<String> {
    let mut lines = vec![format!("holds: {}", rules.group())];
    if let Some(spacing) = rules.spacing() {
        lines.push(format!("asks for {} between two requests", humantime::format_duration(whole(spacing))));
    }
    lines.extend(rules.sitemaps().iter().map(|sitemap| format!("sitemap: {sitemap}")));
    for url in asked {
        let decision = rules.decide(url).to_string();
        let (verb, why) = decision.split_once([':', ' ']).unwrap_or((&decision, ""));
        lines.push(format!("{verb:<11} {}: {}", path(url), why.trim()));
    }
    lines
}

/// To the millisecond: what nobody reads beyond.
fn whole(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn path(url: &Url) -> &str {
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}
