//! Stores: the databases for a windowed frontier, each a driver of [`Store`](super::windowed::store::Store). Only a
//! driver names its database's crate.

#[cfg_attr(not(feature = "disk"), path = "no_fjall.rs")]
pub mod fjall;
#[cfg(feature = "cluster")]
pub(crate) mod postgres;
#[cfg(test)]
pub(super) mod tables;
