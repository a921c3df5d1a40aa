//! NetworkOptions: the options of who asks and how to connect, which every command that sends requests has.

use std::{path::PathBuf, time::Duration};

use actix_crawler::transport::{IpNet, OriginCredentials};
use clap::Args;

use super::super::values;

/// Who asks.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Who asks")]
pub struct IdentityOptions {
    /// Where site owners can reach you: a URL or a mail address; required unless every URL is loopback
    #[arg(long, value_name = "URL-or-mail")]
    pub contact: Option<String>,
    /// The whole User-Agent, with a contact in it, as `mybot/1.0 (+https://example.org/bot)` [default: made of
    /// --contact]
    #[arg(long, value_name = "UA", conflicts_with = "contact")]
    pub user_agent: Option<String>,
}

/// How to connect.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Network")]
pub struct NetworkOptions {
    /// Connect to private, loopback and link-local addresses too [default: they are refused]
    #[arg(long)]
    pub allow_private: bool,
    /// Connect to the addresses of this network too, although they are private, as 10.1.0.0/16; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = values::network)]
    pub allow_address: Vec<IpNet>,
    /// Connect to this address for a host: HOST:ADDR or HOST:ADDR:PORT, also with `*.example.org`; may be repeated
    #[arg(long, value_name = "HOST:ADDR")]
    pub resolve: Vec<String>,
    /// Send requests through this proxy: http://, https://, socks5:// or socks5h://[name:password@]host:port; several
    /// take turns
    #[arg(long, value_name = "URL")]
    pub proxy: Vec<String>,
    /// Send requests through the proxies that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name
    #[arg(long)]
    pub proxy_env: bool,
    /// Trust the certificate authorities in this PEM file too; may be repeated
    #[arg(long, value_name = "FILE.pem")]
    pub ca: Vec<PathBuf>,
    /// Accept any certificate from this host, for sites of your own; may be repeated
    #[arg(long, value_name = "HOST")]
    pub insecure: Vec<String>,
    /// Send a name and a password to this origin only, as https://example.org=NAME:PASSWORD; may be repeated
    #[arg(long, value_name = "ORIGIN=NAME:PASSWORD", value_parser = values::user)]
    pub user: Vec<OriginCredentials>,
    /// The longest that one request may take, as `30s`; a bare number is seconds [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = values::deadline)]
    pub timeout: Option<Duration>,
    /// The largest body in bytes, as `500k` or `10M` [default: 10Mi]
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub max_body: Option<u64>,
    /// Read answers that have both Transfer-Encoding and Content-Length, by the former alone, as curl does [default:
    /// they fail]
    #[arg(long)]
    pub chunked_over_length: bool,
}
