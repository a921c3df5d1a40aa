//! tmp
/// tmp
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy;
