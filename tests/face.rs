//! The public face: what programs outside the crate must not make or name does not compile, each for the reason given.
//! Documentation tests cannot tell: on a stable compiler, `compile_fail` is content with any error.

mod outsider;

use std::collections::BTreeSet;

use outsider::Outsider;

/// What outsiders may write: it tells a wrong path to the crate from a refusal.
const ALLOWED: &str = "use actix_crawler::{Crawler, Domain, Permit, ThrottledClient, frontier::Frontier};
pub fn due(permit: &Permit) -> (&Domain, std::time::Instant) { (permit.domain(), permit.due()) }";

/// Refused while names are resolved. One line each.
const UNNAMEABLE: [&str; 19] = [
    "use actix_crawler::permit::Permit as _0;",
    "use actix_crawler::permit::Gate as _1;",
    "use actix_crawler::permit::Tenancy as _2;",
    "use actix_crawler::conduct::throttle::Throttle as _3;",
    "use actix_crawler::conduct::Conduct as _4;",
    "use actix_crawler::conducts::PermitQueue as _5;",
    "use actix_crawler::fetcher::http::Http as _6;",
    "use actix_crawler::fetcher::stack::FetchStack as _7;",
    "use actix_crawler::engine::Scheduler as _8;",
    "use actix_crawler::transport::SharedTransport as _9;",
    "use actix_crawler::transport::Transport as _10;",
    "use actix_crawler::transport::connector::Connector as _11;",
    "use actix_crawler::transport::connection::Connection as _12;",
    "use actix_crawler::transport::sockets::Sockets as _13;",
    "use actix_crawler::transport::wire::ResponseDecoder as _14;",
    "use actix_crawler::client::attempt::attempt as _15;",
    "use actix_crawler::clock::now as _16;",
    "use actix_crawler::fetcher::fetch::Fetch as _17;",
    "use actix_crawler::transport::network::in_memory as _18;",
];

/// Refused later, each with its code.
const UNMAKEABLE: [(&str, &str); 7] = [
    ("pub fn clone(p: actix_crawler::Permit) -> actix_crawler::Permit { p.clone() }", "E0599"),
    (
        "pub fn forge() { actix_crawler::Permit { tenancy: todo!(), due: todo!(), state: todo!(), is_last: todo!(), place: todo!() }; }",
        "E0451",
    ),
    ("pub fn make() -> actix_crawler::Permit { actix_crawler::Permit::granted(todo!(), todo!(), todo!()) }", "E0624"),
    ("pub fn default() -> actix_crawler::Permit { Default::default() }", "E0277"),
    ("pub fn start(p: &mut actix_crawler::Permit) { p.try_start(std::time::Instant::now()); }", "E0624"),
    ("pub fn join(c: &actix_crawler::Conducts) { c.tenant(todo!()); }", "E0624"),
    // Its error would be a page without items, of which nobody hears.
    (
        "pub fn of(p: &actix_crawler::Response) -> actix_crawler::Parsed<String> { actix_crawler::Parsed::of(p.text_of(\"h1\")) }",
        "E0277",
    ),
];

#[test]
fn what_outsiders_must_not_make_or_name_does_not_compile_each_for_its_reason() {
    let outsider = Outsider::new(ALLOWED);
    let refused = outsider.errors(&UNNAMEABLE.join("\n"));
    for (number, line) in UNNAMEABLE.iter().enumerate() {
        let codes = codes_of(&refused, number);
        assert!(codes.iter().eq(["E0603"]), "{line}: {codes:?}, of {refused:#?}");
    }
    // One at a time: fields are checked only where all types fit.
    for (program, code) in UNMAKEABLE {
        let refused = outsider.errors(program);
        assert!(codes_of(&refused, 0).iter().eq([code]), "{program}: {refused:#?}");
    }
}

/// The codes of the errors on a line, counted from 0.
fn codes_of(errors: &[String], number: usize) -> BTreeSet<String> {
    let place = format!("outsider.rs:{}:", number + 1);
    let on_line = errors.iter().filter(|error| error.contains(&place));
    on_line.filter_map(|error| Some(error.split("error[").nth(1)?.split(']').next()?.to_owned())).collect()
}
