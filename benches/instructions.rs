//! Instructions: what is done for every page, permit and link, counted by valgrind. Fails where one needs more than its
//! bound, so that it is seen when something gets slower. Needs valgrind:
//! `cargo bench --profile instructions --bench instructions --features testing`
//!
//! Each case is run twice, the second time with twice as many repetitions. The difference is the cost of what was
//! repeated, without that of the beginning and the end. Instructions are not time: they do not show how threads wake
//! each other. But they do not depend on what else the machine does, and hardly on the machine, if it has AVX2.
#![allow(clippy::print_stdout, reason = "a measurement prints")]

use std::{
    env,
    error::Error,
    fmt::Write as _,
    hint::black_box,
    num::NonZeroU32,
    process::{Command, ExitCode},
    time::Instant,
};

use actix_crawler::{
    extract,
    internals::Engine,
    prelude::*,
    testing::{Answer, Arrival, Site},
};

/// What is counted.
struct Case {
    name: &'static str,
    what: &'static str,
    run: fn(u32) -> Result<()>,
    repetitions: u32,
    /// The most instructions for one, some 8 % more than were counted when it was set. One that is raised needs a
    /// reason; one that is far above the count is lowered.
    bound: u64,
}

const CASES: [Case; 4] = [
    Case { name: "scan", what: "title and links of a page of 12 KiB", run: scan, repetitions: 500, bound: 200_000 },
    Case { name: "link", what: "a new link, from its URL to the queue", run: link, repetitions: 5_000, bound: 9_600 },
    Case {
        name: "permit",
        what: "a permit, from its domain to its end",
        run: permit,
        repetitions: 4_000,
        bound: 7_600,
    },
    Case {
        name: "page",
        what: "a page with 40 links, from permit to line",
        run: page,
        repetitions: 500,
        bound: 376_000,
    },
];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let ended = match (arguments.next(), arguments.next()) {
        (Some(name), Some(repetitions)) => repeat(&name, &repetitions),
        (name, _) => count(name.as_deref()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn repeat(name: &str, repetitions: &str) -> std::result::Result<bool, Box<dyn Error>> {
    let case = CASES.iter().find(|case| case.name == name).ok_or("there is no such case")?;
    (case.run)(repetitions.parse()?)?;
    Ok(true)
}

/// Counts all cases, or one. Tells whether each is within its bound.
fn count(name: Option<&str>) -> std::result::Result<bool, Box<dyn Error>> {
    let mut is_within = true;
    for Case { name, what, repetitions, bound, .. } in
        CASES.iter().filter(|case| name.is_none_or(|name| name == case.name))
    {
        let once = instructions(name, *repetitions)?;
        let twice = instructions(name, 2 * repetitions)?;
        let each = twice.saturating_sub(once) / u64::from(*repetitions);
        let verdict = if each <= *bound { "" } else { " — too many" };
        println!("{name:>7}  {each:>8} of {bound:>8}  {what}{verdict}");
        is_within &= each <= *bound;
    }
    Ok(is_within)
}

/// Returns how many instructions a run needs, of all threads.
fn instructions(name: &str, repetitions: u32) -> std::result::Result<u64, Box<dyn Error>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg(env::current_exe()?).args([name, &repetitions.to_string()]);
    let output = valgrind.output().map_err(|error| format!("valgrind cannot be run, is it installed? {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let counted = told.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim().parse());
    match counted {
        Some(Ok(count)) if output.status.success() => Ok(count),
        _ => Err(format!("{name} was not counted: {}\n{told}", output.status).into()),
    }
}

fn scan(repetitions: u32) -> Result<()> {
    let (page, url) = (html(7, 1_000), Request::parse("http://site.test/7")?.url);
    for _ in 0..repetitions {
        black_box(extract::scan(black_box(&page), &url));
    }
    Ok(())
}

fn link(repetitions: u32) -> Result<()> {
    actix_rt::System::new().block_on(async {
        let now = now();
        let mut engine = Engine::new(NonZeroU32::MAX, now);
        for page in 0..repetitions {
            engine.admit([Request::parse(&format!("http://site.test/page/{page}"))?], now);
        }
        Ok(())
    })
}

fn permit(repetitions: u32) -> Result<()> {
    // As many in both runs, so that only the permits differ.
    const DOMAINS: u32 = 10_000;
    actix_rt::System::new().block_on(async {
        let (now, at_once) = (now(), NonZeroU32::new(repetitions).unwrap_or(NonZeroU32::MIN));
        let mut engine = Engine::new(at_once, now);
        for domain in 0..DOMAINS {
            engine.admit(
                [0, 1].map(|page| Request::parse(&format!("http://d{domain}.test/{page}"))).into_iter().flatten(),
                now,
            );
        }
        engine.grant(now);
        engine.end_permits().await;
        Ok(())
    })
}

fn page(repetitions: u32) -> Result<()> {
    #[derive(serde::Serialize)]
    struct Item {
        url: String,
        title: Option<String>,
        links: usize,
    }
    let spider = |page: &Response| {
        let links: Vec<_> = page.links().collect();
        let item = Item { url: page.url().to_string(), title: page.title().map(str::to_owned), links: links.len() };
        Ok(Parsed::new().item(item).follow(links))
    };
    let answer = move |arrival: &Arrival| {
        let number = arrival.path()[1..].parse().unwrap_or(0);
        Answer::html(html(number, repetitions.into()))
    };
    let site = Site::new("http://site.test").respond("/", answer);
    let run = site.run(|| {
        let crawler = Crawler::new(spider, "bench/1.0 (+https://example.org/)").seed("http://site.test/0");
        let crawler = crawler.ignore_robots().rate(Rate::UNLIMITED).per_domain(32);
        crawler.pipeline(JsonLines::create(env::temp_dir().join("instructions.jsonl"))).run()
    })?;
    assert_eq!(run.into_output()?.pages(), u64::from(repetitions));
    Ok(())
}

/// Page `n` of a tree in which each page leads to ten others and to thirty anywhere. What it takes to make it is
/// counted with the page.
fn html(n: u64, pages: u64) -> String {
    const WORDS: &str = "words to read, and more of them words to read, and more of them words to read, and more of them \
                         words to read, and more of them words to read, and more of them words to read, and more of them";
    let mut html = format!("<!doctype html><head><title>Page {n}</title></head><body><h1>Page {n}</h1>");
    let children = (1..=10).map(|child| 10 * n + child).filter(|child| *child < pages);
    let anywhere = (1..=30).map(|nth| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(nth * 7_919) % pages);
    for link in children.chain(anywhere) {
        // Writing to a String cannot fail.
        let _ = writeln!(html, "<p>{WORDS} <a href=\"/{link}\">page {link}</a></p>");
    }
    html
}

#[allow(clippy::disallowed_methods, reason = "the clock is made of this one reading")]
fn now() -> Instant {
    Instant::now()
}
