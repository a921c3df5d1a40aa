//! What the registry remembers of domains, and for whom.

use std::time::Duration;

use url::Url;

use super::*;
use crate::{
    conduct::{
        AskedSpacing,
        cooling::{CoolingCause, Refusals},
    },
    rate::Rate,
};

const S: Duration = Duration::from_secs(1);

fn join(tenant: &Tenant, name: &str, rate: Rate) -> Arc<Tenancy> {
    tenant.join(&Domain::new(name), Terms::rate(rate), Arc::new(()), Instant::now())
}

#[test]
fn a_domain_that_was_never_asked_leaves_nothing_behind() {
    let conducts = Conducts::new();
    drop(join(&conducts.tenant(&DomainKey::Host), "e.org", Rate::per_second(1)));
    assert_eq!(conducts.len(), 0);
}

#[test]
fn what_a_domain_taught_outlives_its_tenants() {
    let (conducts, now) = (Conducts::new(), Instant::now());
    let tenant = conducts.tenant(&DomainKey::Host);
    let asked = AskedSpacing { spacing: 3 * S, until: now + 3_600 * S };
    join(&tenant, "e.org", Rate::UNLIMITED).ask_for(asked, now);
    assert_eq!(conducts.len(), 1);
    assert_eq!(join(&tenant, "e.org", Rate::UNLIMITED).asked(now), Some(asked));
    assert_eq!(tenant.lessons(&Domain::new("e.org"), now).asked(now), Some(asked));
}

#[test]
fn a_start_still_counts_when_the_tenant_that_made_it_has_left() {
    let (conducts, now) = (Conducts::new(), Instant::now());
    let tenant = conducts.tenant(&DomainKey::Host);
    let first = join(&tenant, "e.org", Rate::per_minute(1));
    let mut permit = first.grant(now, now).unwrap();
    permit.try_start(now).unwrap();
    permit.wrote(now);
    drop((permit, first));
    assert!(join(&tenant, "e.org", Rate::per_minute(1)).grant(now, now + 50 * S).is_err());
}

#[test]
fn functions_share_with_their_clones_only() {
    let conducts = Conducts::new();
    let all = || DomainKey::By(Arc::new(|_: &Url| "all".to_owned()));
    let (one, other) = (all(), all());
    let [first, clone, apart] = [&one, &one.clone(), &other].map(|key| conducts.tenant(key));
    let held = [&first, &clone].map(|tenant| join(tenant, "all", Rate::UNLIMITED));
    assert_eq!(conducts.len(), 1);
    let more = [join(&apart, "all", Rate::UNLIMITED), join(&conducts.tenant(&DomainKey::Host), "all", Rate::UNLIMITED)];
    assert_eq!(conducts.len(), 3);
    drop((held, more));
}

#[test]
fn what_is_remembered_ends_by_itself() {
    let (conducts, now) = (Conducts::new(), Instant::now());
    let tenant = conducts.tenant(&DomainKey::Host);
    for n in 0..1_000 {
        let refusals = Refusals { in_a_row: 3, limit: 8, until: now + S, why: CoolingCause::Status(503) };
        let refused = Lessons::new(Some(refusals), None);
        tenant.recall(&Domain::new(&format!("d{n}.org")), refused, now);
    }
    assert_eq!(conducts.len(), 1_000);
    conducts.table.sweep(now + 100_000 * S);
    assert_eq!(conducts.len(), 0);
}
