//! tmp
use std::{
    collections::HashMap,
    hash::Hash,
    sync::Arc,
    time::{Duration, Instant},
};
/// tmp
#[derive(Debug)]
pub struct RobotsTxt;
/// tmp
pub struct Decision(bool);
impl Decision {
    /// tmp
    pub fn is_allowed(&self) -> bool {
        self.0
    }
}
impl RobotsTxt {
    /// tmp
    pub fn decide(&self, _: &url::Url) -> Decision {
        Decision(true)
    }
    /// tmp
    pub fn spacing(&self) -> Option<Duration> {
        None
    }
}
/// tmp
#[derive(Debug, Clone)]
pub enum Robots {
    /// a
    Rules(Arc<RobotsTxt>),
    /// b
    AllowAll,
    /// c
    DenyAll {
        /// d
        until: Instant,
    },
}
impl Robots {
    /// tmp
    pub fn from_status(_s: u16, _b: &[u8], _t: &str, _n: Instant) -> Self {
        Self::AllowAll
    }
    /// tmp
    pub fn unreachable(now: Instant, _f: u32) -> Self {
        Self::DenyAll { until: now + Duration::from_secs(1) }
    }
}
/// tmp
pub enum Look<'a> {
    /// a
    Known(&'a Robots),
    /// b
    Missing,
    /// c
    Fetching,
}
/// tmp
pub struct RobotsCache<K>(HashMap<K, Robots>);
impl<K> Default for RobotsCache<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}
impl<K: Eq + Hash + Clone> RobotsCache<K> {
    /// tmp
    pub fn look(&mut self, k: &K, now: Instant) -> Look<'_> {
        match self.0.get(k) {
            Some(Robots::DenyAll { until, .. }) if *until <= now => Look::Missing,
            Some(r) => Look::Known(r),
            None => Look::Missing,
        }
    }
    /// tmp
    pub fn fetching(&mut self, _k: K) {}
    /// tmp
    pub fn store(&mut self, k: K, r: Robots, _now: Instant) {
        self.0.insert(k, r);
    }
}
/// tmp
pub fn product_token(ua: &str) -> &str {
    ua.split(['/', ' ']).next().unwrap_or_default()
}
