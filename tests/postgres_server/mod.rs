//! PostgresServer: a real server in a folder of its own, which ends with the last test that uses it.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The address of the servers, which no cluster of the system has.
const ADDRESS: &str = "127.0.0.54";

/// What no error, no log and no `Debug` may show.
pub const PASSWORD: &str = "geheim%zZ";

/// The same in a URL.
const ESCAPED: &str = "geheim%25zZ";

pub struct PostgresServer {
    folder: tempfile::TempDir,
    child: Mutex<Option<Child>>,
    address: String,
    pub port: u16,
    /// What it is started with besides.
    settings: Vec<String>,
}

impl PostgresServer {
    /// The server that the tests of a process share, each with a database of its own.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// Makes a cluster and starts its server.
    pub fn start() -> Self {
        Self::start_at(ADDRESS)
    }

    /// The same at another address.
    pub fn start_at(address: &str) -> Self {
        let folder = folder(address);
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let mut initdb = as_postgres("initdb");
        initdb.args(["--no-sync", "-E", "UTF8", "--no-locale", "-U", "me", "-A", "scram-sha-256"]);
        run(initdb.arg("--pwfile").arg(password).arg("-D").arg(&data));
        // Also from other addresses of this machine.
        let mut access = fs::OpenOptions::new().append(true).open(data.join("pg_hba.conf")).unwrap();
        access.write_all(b"host all all all scram-sha-256\n").unwrap();
        Self::begin_in(folder, address, Vec::new())
    }

    fn begin_in(folder: tempfile::TempDir, address: &str, settings: Vec<String>) -> Self {
        // Freed again for the server, which cannot report its port.
        let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        let server = Self { folder, child: Mutex::new(None), address: address.to_owned(), port, settings };
        server.begin();
        server
    }

    /// Makes a copy that follows this server and can take its place.
    pub fn standby(&self) -> Self {
        let folder = folder(&self.address);
        let data = folder.path().join("data");
        let mut copy = as_postgres("pg_basebackup");
        copy.env("PGPASSWORD", PASSWORD).args(["-X", "stream", "--checkpoint=fast", "--no-sync", "-U", "me"]);
        run(copy.args(["-h", &self.address, "-p", &self.port.to_string()]).arg("-D").arg(&data));
        fs::write(data.join("standby.signal"), "").unwrap();
        let (host, port) = (&self.address, self.port);
        let from = format!("primary_conninfo=host={host} port={port} user=me password={PASSWORD}");
        let standby = Self::begin_in(folder, &self.address, vec![from]);
        self.until("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "1");
        standby
    }

    /// From now on a commit is answered when the standby has it on its disk.
    pub fn commit_on_standby_too(&self) {
        self.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.psql("postgres", "SELECT pg_reload_conf()");
        self.until("SELECT sync_state FROM pg_stat_replication", "sync");
    }

    /// Stops what sends to the standby.
    pub fn stop_sending(&self) {
        let sender = self.psql("postgres", "SELECT pid FROM pg_stat_replication").parse().unwrap();
        kill(Pid::from_raw(sender), Signal::SIGSTOP).unwrap();
    }

    /// Makes a primary of a standby.
    pub fn promote(&self) {
        assert_eq!(self.psql("postgres", "SELECT pg_promote(true, 30)"), "t");
    }

    /// The URL of a database of this server or of another, whichever takes writes.
    pub fn url_of_primary(&self, other: &Self, database: &str) -> String {
        let [one, two] = [self, other].map(|server| format!("{}:{}", server.address, server.port));
        format!("postgres://me:{ESCAPED}@{one},{two}/{database}?target_session_attrs=read-write")
    }

    fn until(&self, sql: &str, answer: &str) {
        for _ in 0..500 {
            if self.psql("postgres", sql) == answer {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("waited for {answer}: {sql}");
    }

    /// Starts the server again, and waits until it takes connections.
    pub fn begin(&self) {
        let mut server = as_postgres("postgres");
        server.arg("-D").arg(self.folder.path().join("data")).stderr(Stdio::null()).stdout(Stdio::null());
        for setting in [
            format!("listen_addresses={}", self.address),
            format!("port={}", self.port),
            "unix_socket_directories=".to_owned(),
            // Nobody pulls this machine's plug.
            "fsync=off".to_owned(),
            "max_connections=40".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", self.folder.path().join("server.pem").display()),
            format!("ssl_key_file={}", self.folder.path().join("key.pem").display()),
        ] {
            server.args(["-c", &setting]);
        }
        server.args(self.settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
        let mut child = server.spawn().unwrap();
        while self.try_psql("postgres", "SELECT 1").is_none() {
            assert!(child.try_wait().unwrap().is_none(), "the server does not start");
            thread::sleep(Duration::from_millis(20));
        }
        *self.child() = Some(child);
    }

    /// Sends a signal to each process of the server.
    pub fn signal(&self, signal: Signal) {
        let Some(first) = self.first() else { return };
        // So that it starts none meanwhile. It may have ended.
        let _ = kill(first, Signal::SIGSTOP);
        while stat(first).is_some_and(|(state, _)| !matches!(state, 'T' | 'Z')) {
            thread::yield_now();
        }
        for process in self.processes() {
            let _ = kill(process, signal);
        }
    }

    /// Ends each process of the server, without a word to anybody.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
        if let Some(mut child) = self.child().take() {
            let _ = child.wait();
        }
    }

    /// How long the server's processes have used a processor so far, with those that have ended.
    pub fn cpu(&self) -> Duration {
        let ticks = self.processes().into_iter().filter_map(|process| {
            let (_, stat) = stat(process)?;
            let of_ended = if Some(process) == self.first() { stat[13] + stat[14] } else { 0 };
            Some(stat[11] + stat[12] + of_ended)
        });
        // Of a hundredth of a second each, whatever the system's own are.
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    fn first(&self) -> Option<Pid> {
        self.child().as_ref().map(|child| Pid::from_raw(child.id().cast_signed()))
    }

    /// The first one, and those that it has started.
    fn processes(&self) -> Vec<Pid> {
        let first = self.first();
        let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
        let all = names.filter_map(|name| name.to_str()?.parse().ok().map(Pid::from_raw));
        let parent = |process| stat(process).and_then(|(_, stat)| Some(Pid::from_raw(stat[1].try_into().ok()?)));
        all.filter(|process| Some(*process) == first || first.is_some() && parent(*process) == first).collect()
    }

    /// Ends the server at once, as a crash does.
    pub fn crash(&self) {
        self.signal(Signal::SIGCONT);
        if let Some(mut child) = self.child().take() {
            // By its own process id, and waited for; it ends those of its connections.
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGQUIT);
            let _ = child.wait();
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of a new database.
    pub fn database(&self, name: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    pub fn url(&self, database: &str) -> String {
        self.url_at(self.port, database)
    }

    /// The URL by way of another port.
    pub fn url_at(&self, port: u16, database: &str) -> String {
        // What is between reads along, so it is not encrypted there.
        let (host, options) = if port == self.port { (&*self.address, "") } else { ("127.0.0.1", "?sslmode=disable") };
        format!("postgres://me:{ESCAPED}@{host}:{port}/{database}{options}")
    }

    /// The certificate of the authority that signed the server's.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.address.parse().unwrap(), self.port)
    }

    /// What psql prints, a row a line, with tabs between the cells.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|| panic!("psql fails: {sql}"))
    }

    /// A psql that reads statements from a pipe, in one session.
    pub fn session(&self, database: &str) -> Child {
        self.client(database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the script of a dump.
    pub fn run_script(&self, database: &str, script: &str) {
        let mut psql = self.client(database).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        psql.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(psql.wait().unwrap().success(), "the script fails");
    }

    fn client(&self, database: &str) -> Command {
        let mut psql = Command::new(binary("psql"));
        psql.env("PGPASSWORD", PASSWORD).args(["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1"]);
        psql.args(["-h", &self.address, "-p", &self.port.to_string(), "-U", "me", "-d", database]);
        psql
    }

    pub fn try_psql(&self, database: &str, sql: &str) -> Option<String> {
        let output = self.client(database).args(["-c", sql]).stderr(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        output.status.success().then(|| said.trim_end_matches('\n').to_owned())
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.crash();
    }
}

/// A folder that the server may use, which refuses to run as root.
fn folder(address: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), address);
    if Uid::current().is_root() {
        run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder.path()));
    }
    folder
}

/// The state of a process and its numbers, of which the state is the first and its parent the next.
fn stat(process: Pid) -> Option<(char, Vec<u64>)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    Some((rest.chars().next()?, rest.split_whitespace().map(|word| word.parse().unwrap_or_default()).collect()))
}

/// Makes an authority, and a certificate for the address.
fn certificates(folder: &Path, address: &str) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(folder.join("authority.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let (issuer, key) = (Issuer::new(authority, key), KeyPair::generate().unwrap());
    let server = CertificateParams::new([address.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("server.pem"), server.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    fs::set_permissions(folder.join("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program of PostgreSQL, as a user that it accepts.
fn as_postgres(program: &str) -> Command {
    let program = binary(program);
    let mut command = if Uid::current().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

/// Where Debian has the programs of the newest version, or else where the path has them.
fn binary(program: &str) -> PathBuf {
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().collect();
    versions.sort_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    let debian = versions.last().map(|version| version.path().join("bin").join(program));
    debian.filter(|path| Path::exists(path)).unwrap_or_else(|| PathBuf::from(program))
}
