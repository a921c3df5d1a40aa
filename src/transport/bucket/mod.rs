//! Bucket connector: HTTP to object stores, as the crate `object_store` asks for it. Takes no permits: a bucket is the
//! user's own and not crawled, so neither politeness nor the address guard is for it.

mod body;
mod io;

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    Uri,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, USER_AGENT},
};
use object_store::{
    ClientConfigKey, ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
        HttpResponseBody, HttpService,
    },
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

use self::{body::ResponseBody, io::HyperIo};
use super::tls::{Tls, TlsSettings};

/// Connects to the servers of object stores.
#[derive(Debug)]
pub(crate) struct BucketConnector {
    /// Whether the metadata service of this machine's cloud may be asked for credentials. Elsewhere its address is
    /// nobody's, or somebody else's.
    pub asks_machine: bool,
}

/// Why a request to the metadata service was not made.
#[derive(Debug, thiserror::Error)]
#[error("the metadata service of this machine is not asked for credentials")]
pub(crate) struct MachineNotAsked;

/// Where `object_store` looks for the metadata service by itself.
const METADATA_SERVICES: [&str; 2] = ["169.254.169.254", "metadata.google.internal"];

/// The longest that a connection may take, with TLS.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The longest between a request's beginning and its answer: a part of 8 MiB at 1 Mbit/s takes 67 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// The longest for the remainder of an answer whose connection is used again.
const REUSE_WITHIN: Duration = Duration::from_secs(1);

impl HttpConnector for BucketConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let tls = Tls::new(&TlsSettings::default())
            .map_err(|error| object_store::Error::Generic { store: "TLS", source: error.into() })?;
        let allows = options.get_config_value(&ClientConfigKey::AllowHttp);
        Ok(HttpClient::new(BucketClient {
            tls: tls.direct(),
            asks_machine: self.asks_machine,
            allows_http: allows.is_some_and(|allows| allows == "true"),
            headers: options.get_default_headers().cloned().unwrap_or_default(),
            idle: Mutex::default(),
        }))
    }
}

type Sender = SendRequest<HttpRequestBody>;

struct BucketClient {
    tls: Arc<ClientConfig>,
    asks_machine: bool,
    /// Without it a secret might go unencrypted.
    allows_http: bool,
    headers: HeaderMap,
    /// The last connection to each server.
    idle: Mutex<HashMap<String, Sender>>,
}

impl fmt::Debug for BucketClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketClient").finish_non_exhaustive()
    }
}

/// What went wrong, for the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Wrong(String);

fn wrong(kind: HttpErrorKind, why: impl fmt::Display) -> HttpError {
    HttpError::new(kind, Wrong(why.to_string()))
}

/// Names the kind of an error, by which it is decided whether the request is sent again.
fn failed(error: hyper::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_closed() || error.is_canceled() || error.is_incomplete_message() || error.is_body_write_aborted()
    {
        HttpErrorKind::Request
    } else if error.is_parse() || error.is_user() {
        HttpErrorKind::Unknown
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error)
}

type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for BucketClient {
    // What `async_trait` makes of an `async fn`.
    fn call<'s, 'a>(&'s self, request: HttpRequest) -> ResponseFuture<'a>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            let (request, server) = self.prepared(request)?;
            if !self.asks_machine && METADATA_SERVICES.contains(&&*server.host) {
                return Err(HttpError::new(HttpErrorKind::Unknown, MachineNotAsked));
            }
            let answer = async {
                let mut sender = self.sender(&server).await?;
                let response = sender.send_request(request).await.map_err(failed)?;
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).insert(server.name, sender);
                Ok(response.map(|body| HttpResponseBody::new(ResponseBody::new(body))))
            };
            let late = |_| wrong(HttpErrorKind::Timeout, "no answer came in time");
            timeout(ANSWER_WITHIN, answer).await.map_err(late)?
        })
    }
}

struct BucketServer {
    /// With its scheme and its port.
    name: String,
    host: String,
    port: u16,
    is_secure: bool,
}

impl BucketClient {
    /// Returns the request as it goes on the wire, and where it goes.
    fn prepared(&self, mut request: HttpRequest) -> Result<(HttpRequest, BucketServer), HttpError> {
        let uri = request.uri();
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.allows_http => false,
            Some("http") => {
                let why = "the endpoint is not encrypted; allow that by AWS_ALLOW_HTTP=true, or as your store calls it";
                return Err(wrong(HttpErrorKind::Unknown, why));
            }
            _ => return Err(wrong(HttpErrorKind::Unknown, "the endpoint is no http or https URL")),
        };
        let none = || wrong(HttpErrorKind::Unknown, "the endpoint has no host");
        let authority = uri.authority().ok_or_else(none)?.clone();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        let target = target.parse::<Uri>().map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let named =
            HeaderValue::from_str(authority.as_str()).map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let length = request.body().content_length();
        let has_body = !matches!(request.method().as_str(), "GET" | "HEAD" | "DELETE") || length > 0;
        *request.uri_mut() = target;
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        headers.entry(HOST).or_insert(named);
        if has_body {
            headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
        }
        let agent = concat!("actix-crawler/", env!("CARGO_PKG_VERSION"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(agent));
        let name = format!("{} {host}:{port}", if is_secure { "https" } else { "http" });
        Ok((request, BucketServer { name, host, port, is_secure }))
    }

    /// Returns a connection: the last one, if it can be used again.
    async fn sender(&self, server: &BucketServer) -> Result<Sender, HttpError> {
        let last = self.idle.lock().unwrap_or_else(PoisonError::into_inner).remove(&server.name);
        if let Some(mut sender) = last
            && matches!(timeout(REUSE_WITHIN, sender.ready()).await, Ok(Ok(())))
        {
            return Ok(sender);
        }
        let late = |_| wrong(HttpErrorKind::Connect, "it cannot be connected to in time");
        timeout(CONNECT_WITHIN, self.dial(server)).await.map_err(late)?
    }

    async fn dial(&self, server: &BucketServer) -> Result<Sender, HttpError> {
        let connect = |error| HttpError::new(HttpErrorKind::Connect, error);
        let stream = TcpStream::connect((&*server.host, server.port)).await.map_err(connect)?;
        stream.set_nodelay(true).map_err(connect)?;
        if !server.is_secure {
            return begun(stream).await;
        }
        let name =
            ServerName::try_from(server.host.clone()).map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await.map_err(connect)?;
        begun(stream).await
    }
}

async fn begun<S>(stream: S) -> Result<Sender, HttpError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(HyperIo::new(stream)).await.map_err(failed)?;
    // Ends with the connection, whose errors its requests have too.
    tokio::spawn(connection);
    Ok(sender)
}
