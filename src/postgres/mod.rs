//! Postgres: how a PostgreSQL database is reached, for feeds and for crawls that machines share. Knows no SQL.

mod address;
mod background;
mod connection;
mod said;
mod tls;

pub(crate) use self::{
    background::Background,
    connection::{Connection, Server},
    said::{is_unreachable, said},
};
