//! PostgresServer: a real server in a folder of its own, which ends with the last test that uses it.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    fs,
    net::TcpListener,
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
    pub port: u16,
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
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).unwrap();
        certificates(folder.path());
        if Uid::current().is_root() {
            // The server refuses to run as root.
            run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(folder.path()));
        }
        let mut initdb = as_postgres("initdb");
        initdb.args(["--no-sync", "-E", "UTF8", "--no-locale", "-U", "me", "-A", "scram-sha-256"]);
        run(initdb.arg("--pwfile").arg(password).arg("-D").arg(data));
        // Freed again for the server, which cannot report its port.
        let port = TcpListener::bind((ADDRESS, 0)).unwrap().local_addr().unwrap().port();
        let server = Self { folder, child: Mutex::new(None), port };
        server.begin();
        server
    }

    /// Starts the server again, and waits until it takes connections.
    pub fn begin(&self) {
        let mut server = as_postgres("postgres");
        server.arg("-D").arg(self.folder.path().join("data")).stderr(Stdio::null()).stdout(Stdio::null());
        for setting in [
            format!("listen_addresses={ADDRESS}"),
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
        let mut child = server.spawn().unwrap();
        while self.try_psql("postgres", "SELECT 1").is_none() {
            assert!(child.try_wait().unwrap().is_none(), "the server does not start");
            thread::sleep(Duration::from_millis(20));
        }
        *self.child() = Some(child);
    }

    /// Ends the server at once, as a crash does.
    pub fn crash(&self) {
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
        let (host, options) = if port == self.port { (ADDRESS, "") } else { ("127.0.0.1", "?sslmode=disable") };
        format!("postgres://me:{ESCAPED}@{host}:{port}/{database}{options}")
    }

    /// The certificate of the authority that signed the server's.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    pub fn address(&self) -> (&'static str, u16) {
        (ADDRESS, self.port)
    }

    /// What psql prints, a row a line, with tabs between the cells.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql).unwrap_or_else(|| panic!("psql fails: {sql}"))
    }

    /// A psql that reads statements from a pipe, in one session.
    pub fn session(&self, database: &str) -> Child {
        self.client(database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    fn client(&self, database: &str) -> Command {
        let mut psql = Command::new(binary("psql"));
        psql.env("PGPASSWORD", PASSWORD).args(["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1"]);
        psql.args(["-h", ADDRESS, "-p", &self.port.to_string(), "-U", "me", "-d", database]);
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

/// Makes an authority, and a certificate for the address.
fn certificates(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(folder.join("authority.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let (issuer, key) = (Issuer::new(authority, key), KeyPair::generate().unwrap());
    let server = CertificateParams::new([ADDRESS.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
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
