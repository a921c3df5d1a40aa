//! Quota: how much of its limit a server says is left, and how to make it last. Knows no clock and no network.
//!
//! Supported are `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers, its latest form and earlier
//! ones), the older triplet `RateLimit-Limit/-Remaining/-Reset`, and the `X-RateLimit-…` headers of GitHub, Twitter,
//! OpenAI and others, whose reset is seconds, an instant (seconds or milliseconds since 1970), or text like `6m0s`.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

/// A quota as a server reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests left.
    pub left: u64,
    /// Time until the quota is full again.
    pub reset: Duration,
    /// Requests in a full quota, if reported.
    pub limit: Option<u64>,
}

/// How to make a quota last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Enough is left: no slowdown.
    Free,
    /// The rest is spread over the remaining time.
    Slow {
        /// The least time between two starts.
        spacing: Duration,
        /// The remaining time.
        reset: Duration,
    },
    /// Nothing is left for this long.
    Wait(Duration),
}

/// The share of the quota (one in this many) at which spreading begins. Before it, bursts are not slowed.
const RESERVE: u64 = 10;

/// The smallest reserve, also if the limit is not reported.
const MIN_RESERVE: u64 = 10;

/// The longest reset that is accepted, a day: otherwise a server could block a client for ever.
const MAX_RESET: Duration = Duration::from_secs(86_400);

/// The wait for an exhausted quota that resets in 0 s, because the server rounded the seconds down.
const ROUNDED_DOWN: Duration = Duration::from_secs(1);

/// Larger numbers are instants in seconds rather than durations: 2001.
const EPOCH_SECONDS: f64 = 1e9;

/// Larger numbers are instants in milliseconds: 2001 too.
const EPOCH_MILLISECONDS: f64 = 1e12;

impl Quota {
    /// Returns how to make the quota last if `unseen` requests were sent that the server had not counted yet.
    pub fn spread(&self, unseen: u32) -> Spread {
        let left = self.left.saturating_sub(u64::from(unseen));
        if left == 0 {
            return Spread::Wait(if self.reset.is_zero() { ROUNDED_DOWN } else { self.reset });
        }
        let reserve = self.limit.map_or(MIN_RESERVE, |limit| (limit / RESERVE).max(MIN_RESERVE));
        if left > reserve {
            return Spread::Free;
        }
        let spacing = self.reset / u32::try_from(left).unwrap_or(u32::MAX);
        Spread::Slow { spacing, reset: self.reset }
    }
}

/// Reads the strictest quota in the headers. `now` is the calendar time for instants; the server's own `Date` has
/// priority, so that a wrong clock here does no harm.
pub fn read(headers: &HeaderMap, now: SystemTime) -> Option<Quota> {
    // Most responses have no quota: one scan of the names is cheaper than a look-up for each possible name.
    if !headers.keys().any(|name| name.as_str().starts_with("ratelimit") || name.as_str().starts_with("x-rate")) {
        return None;
    }
    let date = text(headers, "date").and_then(|date| httpdate::parse_http_date(date).ok());
    let now = date.unwrap_or(now);
    let policy = all(headers, "ratelimit-policy").flat_map(items).collect::<Vec<_>>();
    let structured = all(headers, "ratelimit").flat_map(items).filter_map(|item| item.quota(&policy));
    // The draft's older form is one list of three: `limit=100, remaining=50, reset=5`.
    let old_form = all(headers, "ratelimit").filter_map(one_list);
    let families = FAMILIES.iter().filter_map(|family| family.quota(headers, now));
    let strictest =
        structured.chain(old_form).chain(families).max_by(|a, b| a.strictness().total_cmp(&b.strictness()))?;
    Some(Quota { reset: strictest.reset.min(MAX_RESET), ..strictest })
}

impl Quota {
    /// Seconds for each request left.
    fn strictness(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "compared, not counted")]
        let left = self.left as f64;
        self.reset.as_secs_f64().max(0.001) / left.max(0.001)
    }
}

/// The header names of one family of servers.
struct Family {
    limit: &'static str,
    remaining: &'static str,
    reset: &'static str,
}

const FAMILIES: [Family; 4] = [
    Family { limit: "ratelimit-limit", remaining: "ratelimit-remaining", reset: "ratelimit-reset" },
    Family { limit: "x-ratelimit-limit", remaining: "x-ratelimit-remaining", reset: "x-ratelimit-reset" },
    Family { limit: "x-rate-limit-limit", remaining: "x-rate-limit-remaining", reset: "x-rate-limit-reset" },
    Family {
        limit: "x-ratelimit-limit-requests",
        remaining: "x-ratelimit-remaining-requests",
        reset: "x-ratelimit-reset-requests",
    },
];

impl Family {
    fn quota(&self, headers: &HeaderMap, now: SystemTime) -> Option<Quota> {
        let left = whole(text(headers, self.remaining)?)?;
        let reset = reset(text(headers, self.reset)?, now)?;
        // `RateLimit-Limit: 100, 100;w=60` has a policy after the number.
        let limit = text(headers, self.limit).and_then(|limit| whole(limit.split([',', ';']).next()?));
        Some(Quota { left, reset, limit })
    }
}

/// One member of a structured list: `"default";r=50;t=30`.
struct ListMember<'a> {
    name: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl ListMember<'_> {
    fn get(&self, key: &str) -> Option<u64> {
        self.parameters.iter().find(|(name, _)| *name == key).and_then(|(_, value)| whole(value))
    }

    fn quota(&self, policies: &[ListMember<'_>]) -> Option<Quota> {
        let policy = policies.iter().find(|policy| policy.name == self.name);
        let limit = policy.and_then(|policy| policy.get("q"));
        // Without a reset, assume the whole window.
        let reset = self.get("t").or_else(|| policy?.get("w"))?;
        Some(Quota { left: self.get("r")?, reset: Duration::from_secs(reset), limit })
    }
}

fn items(list: &str) -> impl Iterator<Item = ListMember<'_>> {
    list.split(',').map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        ListMember { name, parameters: parts.filter_map(|part| part.split_once('=')).collect() }
    })
}

fn one_list(list: &str) -> Option<Quota> {
    let find = |key| {
        let pairs = list.split(',').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == key).find_map(|(_, value)| whole(value))
    };
    Some(Quota { left: find("remaining")?, reset: Duration::from_secs(find("reset")?), limit: find("limit") })
}

fn reset(value: &str, now: SystemTime) -> Option<Duration> {
    let Ok(number) = value.trim().parse::<f64>() else {
        return humantime::parse_duration(value.trim()).ok();
    };
    let since_epoch = |seconds: f64| {
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        Some(at.duration_since(now).unwrap_or_default())
    };
    match number {
        instant if instant >= EPOCH_MILLISECONDS => since_epoch(instant / 1_000.0),
        instant if instant >= EPOCH_SECONDS => since_epoch(instant),
        seconds => Duration::try_from_secs_f64(seconds).ok(),
    }
}

fn whole(text: &str) -> Option<u64> {
    text.trim().trim_matches('"').parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn all<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn quota(headers: &[(&'static str, &str)]) -> Option<Quota> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        read(&headers.collect(), SystemTime::UNIX_EPOCH + 1_700_000_000 * S)
    }

    fn told(left: u64, reset: u32, limit: Option<u64>) -> Option<Quota> {
        Some(Quota { left, reset: reset * S, limit })
    }

    #[test]
    fn every_usual_way_to_tell_a_quota_is_read() {
        let policy = ("ratelimit-policy", r#""burst";q=100;w=60,"daily";q=1000;w=86400"#);
        assert_eq!(quota(&[policy, ("ratelimit", r#""burst";r=50;t=30"#)]), told(50, 30, Some(100)));
        assert_eq!(quota(&[policy, ("ratelimit", r#""burst";r=0"#)]), told(0, 60, Some(100)));
        assert_eq!(quota(&[("ratelimit", "limit=100, remaining=50, reset=5")]), told(50, 5, Some(100)));
        let triplet = [("ratelimit-limit", "10, 10;w=1"), ("ratelimit-remaining", "3"), ("ratelimit-reset", "1")];
        assert_eq!(quota(&triplet), told(3, 1, Some(10)));
        let github = [("x-ratelimit-remaining", "58"), ("x-ratelimit-reset", "1700000060")];
        assert_eq!(quota(&github), told(58, 60, None));
        assert_eq!(quota(&[github[0], ("x-ratelimit-reset", "1700000060000")]), told(58, 60, None));
        assert_eq!(quota(&[github[0], ("x-ratelimit-reset", "20")]), told(58, 20, None));
        assert_eq!(quota(&[github[0], ("x-ratelimit-reset", "1600000000")]), told(58, 0, None), "it has passed");
        let spelled = [("x-ratelimit-remaining-requests", "9"), ("x-ratelimit-reset-requests", "6m0s")];
        assert_eq!(quota(&spelled), told(9, 360, None));
        assert_eq!(quota(&[("x-ratelimit-remaining", "58")]), None, "without a reset there is nothing to spread over");
    }

    #[test]
    fn the_servers_own_clock_goes_before_ours() {
        let by_date = [
            ("date", "Tue, 14 Nov 2023 22:13:00 GMT"),
            ("x-ratelimit-remaining", "1"),
            ("x-ratelimit-reset", "1700000000"),
        ];
        assert_eq!(quota(&by_date), told(1, 20, None));
    }

    #[test]
    fn of_several_quotas_the_strictest_holds() {
        let two = [
            ("ratelimit", r#""a";r=50;t=30, "b";r=5;t=30"#),
            ("x-ratelimit-remaining", "7"),
            ("x-ratelimit-reset", "1"),
        ];
        assert_eq!(quota(&two), told(5, 30, None));
    }

    #[test]
    fn a_quota_is_spread_only_when_it_runs_out() {
        let quota = |left| Quota { left, reset: 10 * S, limit: Some(500) };
        assert_eq!(quota(51).spread(0), Spread::Free);
        assert_eq!(quota(50).spread(0), Spread::Slow { spacing: S / 5, reset: 10 * S });
        assert_eq!(quota(50).spread(45), Spread::Slow { spacing: 2 * S, reset: 10 * S }, "45 more are on their way");
        assert_eq!(quota(50).spread(50), Spread::Wait(10 * S));
        assert_eq!(Quota { reset: Duration::ZERO, ..quota(0) }.spread(0), Spread::Wait(S));
    }

    proptest! {
        #[test]
        fn no_header_however_wrong_holds_us_for_more_than_a_day(name in 0_usize..6, value in "[ -~]{0,40}", left in "[ -~]{0,8}") {
            let names = ["ratelimit", "ratelimit-policy", "ratelimit-reset", "x-ratelimit-reset", "date", "x-rate-limit-reset"];
            let mut headers = HeaderMap::new();
            headers.insert(names[name], value.parse().unwrap());
            headers.insert("x-ratelimit-remaining", left.parse().unwrap());
            headers.insert("ratelimit-remaining", "0".parse().unwrap());
            if let Some(quota) = read(&headers, SystemTime::UNIX_EPOCH) {
                prop_assert!(quota.reset <= MAX_RESET);
            }
        }
    }
}
