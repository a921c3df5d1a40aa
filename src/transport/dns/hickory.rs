//! HickoryLookUp: queries the system's name servers directly and respects the TTL of their answers.

use std::{fmt, io, sync::Arc, thread, time::Duration};

use hickory_resolver::{
    ResolverBuilder, TokioResolver,
    net::{DnsError, NetError, NoRecords, runtime::TokioRuntimeProvider},
    proto::{op::ResponseCode, rr::IntoName},
};
use tokio::{
    runtime::Builder,
    sync::{Semaphore, mpsc},
};

use super::{
    LookUp, NEGATIVE_TTL,
    names::{Cause, NotFound, PendingLookUp},
};
use crate::clock;
use crate::error::{Error, Result};
use crate::outcome::local_fault::LocalFault;

/// Queries name servers on a thread of its own.
pub struct HickoryLookUp {
    /// Unbounded as a channel, bounded by its content: one ticket for each name that someone waits for, plus abandoned
    /// ones that have not been removed yet.
    tickets: mpsc::UnboundedSender<PendingLookUp>,
}

/// The most concurrent look-ups. Each may open two sockets, for IPv4 and IPv6, in addition to the crawl's.
const MAX_AT_ONCE: usize = 128;

/// The longest time that an answer is cached: a site that moves is found within the hour, whatever its TTL.
const MAX_TTL: Duration = Duration::from_secs(3600);

impl HickoryLookUp {
    /// Starts the thread. It ends after this value is dropped and the last look-up is done.
    ///
    /// # Errors
    /// The system configures no name server, or cannot start the thread.
    pub fn new() -> Result<Self> {
        Self::start(TokioResolver::builder_tokio().map_err(unable)?)
    }

    fn start(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self> {
        // Answers are cached in one place only, `Names`, which is bounded.
        builder.options_mut().cache_size = 0;
        let resolver = builder.build().map_err(unable)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::Start)?;
        let (tickets, inbox) = mpsc::unbounded_channel();
        thread::Builder::new()
            .name("crawler-dns".to_owned())
            .spawn(move || runtime.block_on(serve(resolver.into(), inbox)))
            .map_err(Error::Start)?;
        Ok(Self { tickets })
    }
}

fn unable(error: impl fmt::Display) -> Error {
    Error::Start(io::Error::other(format!("the system's name servers are not to be had: {error}")))
}

impl LookUp for HickoryLookUp {
    fn look_up(&self, ticket: PendingLookUp) {
        // If the thread has ended, the ticket is dropped, which notifies the waiters.
        drop(self.tickets.send(ticket));
    }
}

async fn serve(resolver: Arc<TokioResolver>, mut tickets: mpsc::UnboundedReceiver<PendingLookUp>) {
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    while let Some(ticket) = tickets.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Some(ticket) = ticket.if_wanted() else { continue };
        let resolver = resolver.clone();
        tokio::spawn(async move {
            look_up(&resolver, ticket).await;
            drop(place);
        });
    }
}

async fn look_up(resolver: &TokioResolver, ticket: PendingLookUp) {
    // A name with a dot is absolute; only single labels use the machine's search domains.
    let name = if ticket.name().contains('.') { format!("{}.", ticket.name()) } else { ticket.name().to_owned() };
    let answer = match name.as_str().into_name() {
        Ok(name) => resolver.lookup_ip(name).await,
        // No name server need be asked: a part of it is longer than 63 bytes, for instance.
        Err(error) => {
            let not_found = NotFound { why: error.to_string().into(), cause: Cause::GivenUp };
            return ticket.fill(Err(not_found), NEGATIVE_TTL, clock::now());
        }
    };
    let now = clock::now();
    match answer {
        Ok(found) => {
            let ttl = found.valid_until().saturating_duration_since(now).min(MAX_TTL);
            ticket.fill(Ok(found.iter().collect()), ttl, now);
        }
        Err(error) => {
            let cause = cause(&error);
            let ttl = if cause == Cause::NoAddress { NEGATIVE_TTL } else { Duration::ZERO };
            ticket.fill(Err(NotFound { why: in_words(&error).into(), cause }), ttl, now);
        }
    }
}

/// What an error tells of the name servers: only that a name or an address does not exist is an answer. All else is
/// none, such as a message that is cut off or cannot be read.
fn cause(error: &NetError) -> Cause {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, .. }))
            if matches!(*response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
        {
            Cause::NoAddress
        }
        NetError::Io(error) => match LocalFault::of(error) {
            Some(fault) if fault.is_shortage() => Cause::Fault(fault),
            _ => Cause::Fault(LocalFault::NameServers),
        },
        _ => Cause::Fault(LocalFault::NameServers),
    }
}

/// Shortens hickory's description of a negative answer to its response code.
fn in_words(error: &NetError) -> String {
    match error {
        error if error.is_nx_domain() => "no such host".to_owned(),
        error if error.is_no_records_found() => "its name servers know no address".to_owned(),
        NetError::Timeout => "the name servers do not answer in time".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddr, UdpSocket},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use hickory_resolver::config::{NameServerConfig, ResolverConfig};

    use super::*;
    use crate::{
        outcome::FetchError,
        transport::dns::{Overrides, Resolver},
    };

    /// A name server that answers 192.0.2.7 with a TTL of a day, denies names that begin with `none`, never answers
    /// names that begin with `slow`, and answers in part only for those that begin with `cut`.
    fn name_server(asked: Arc<AtomicUsize>) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((_, client)) = socket.recv_from(&mut buffer) {
                asked.fetch_add(1, Ordering::SeqCst);
                let end = 12 + buffer[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
                let (question, kind) = (&buffer[12..end], buffer[end - 3]);
                if question[1..].starts_with(b"slow") {
                    continue;
                }
                let (code, answers) = (3 * u8::from(question[1..].starts_with(b"none")), u8::from(kind == 1));
                let mut answer = buffer[..2].to_vec();
                let is_cut = 2 * u8::from(question[1..].starts_with(b"cut"));
                answer.extend([
                    0x81 | is_cut,
                    0x80 | code,
                    0,
                    1,
                    0,
                    answers * u8::from(code + is_cut == 0),
                    0,
                    0,
                    0,
                    0,
                ]);
                answer.extend(question);
                if answer[7] == 1 {
                    // The queried name, A, IN, 86,400 s, four bytes.
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 1, 0x51, 0x80, 0, 4, 192, 0, 2, 7]);
                }
                socket.send_to(&answer, client).unwrap();
            }
        });
        address
    }

    fn resolver(server: SocketAddr) -> Resolver {
        let mut config = NameServerConfig::udp(server.ip());
        config.connections[0].port = server.port();
        let config = ResolverConfig::from_name_servers(vec![config]);
        let look_up = HickoryLookUp::start(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()));
        Resolver::with(Overrides::default(), Arc::new(look_up.unwrap()))
    }

    #[tokio::test]
    async fn name_servers_are_asked_once_and_a_slow_name_holds_up_no_other() {
        let asked = Arc::new(AtomicUsize::new(0));
        let resolver = resolver(name_server(asked.clone()));
        let slow = tokio::spawn({
            let resolver = resolver.clone();
            async move { resolver.resolve("slow.example", 80).await }
        });
        let expected: Vec<SocketAddr> = vec![([192, 0, 2, 7], 80).into()];
        let many = (0..20).map(|_| resolver.resolve("www.example", 80));
        for found in futures_util::future::join_all(many).await {
            assert_eq!(found.as_ref(), Ok(&expected));
        }
        assert_eq!(resolver.resolve("www.example.", 80).await.as_ref(), Ok(&expected));
        assert!(!slow.is_finished());
        slow.abort();
        assert!(asked.load(Ordering::SeqCst) <= 4, "A and AAAA for each of two names");
        let error = resolver.resolve("none.example", 80).await.unwrap_err().to_string();
        assert_eq!(error, "no address for `none.example`: no such host");
    }

    /// RFC 2181 §9: an answer with the bit TC is to be ignored, and asked for by TCP. Regression: where that failed
    /// too, it counted as the name server's word that there is no such host.
    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_none_and_a_name_that_can_be_none_is_not_asked_for() {
        let asked = Arc::new(AtomicUsize::new(0));
        let resolver = resolver(name_server(asked.clone()));
        let cut = resolver.resolve("cut.example", 80).await;
        assert!(matches!(cut, Err(FetchError::Local(LocalFault::NameServers, _))), "{cut:?}");
        let before = asked.load(Ordering::SeqCst);
        let too_long = resolver.resolve(&format!("{}.example", "x".repeat(64)), 80).await;
        assert!(matches!(too_long, Err(FetchError::Dns(_))), "{too_long:?}");
        assert_eq!(asked.load(Ordering::SeqCst), before);
    }
}
