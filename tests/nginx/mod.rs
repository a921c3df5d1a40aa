//! Nginx: a real server for a folder of files, which ends with the test.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

/// A site on disk, served by nginx, that ends with it.
pub struct Nginx {
    child: Child,
    pub port: u16,
    pub files: tempfile::TempDir,
}

impl Nginx {
    pub fn serve(files: tempfile::TempDir) -> Self {
        let root = files.path().display();
        // Freed again for nginx, which cannot report its port.
        let port = TcpListener::bind("127.0.0.7:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "daemon off; master_process off; pid {root}/pid; error_log {root}/error;
             events {{ worker_connections 512; }}
             http {{
                 log_format asked '$host$uri $status'; access_log {root}/asked asked;
                 client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
                 fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
                 types {{ text/html html; text/xml xml; text/plain txt; application/gzip gz; image/gif gif; application/pdf pdf; }}
                 gzip on; gzip_types text/xml;
                 server {{ listen 127.0.0.7:{port}; root {root}/www; }}
             }}"
        );
        std::fs::write(files.path().join("nginx.conf"), config).unwrap();
        let path = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx", "/opt/homebrew/bin/nginx"];
        let binary = path.into_iter().find(|path| Path::new(path).exists());
        let binary = binary.expect("nginx is not installed, and this test needs it: apt-get install nginx-light");
        let child = Command::new(binary)
            .args(["-e", &format!("{root}/error"), "-c", &format!("{root}/nginx.conf")])
            .spawn()
            .unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.7", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "nginx did not start");
            thread::sleep(Duration::from_millis(20));
        }
        Self { child, port, files }
    }

    /// What nginx logs that it was asked for, sorted.
    pub fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.files.path().join("asked")).unwrap();
        let mut asked: Vec<_> = log.lines().map(str::to_owned).collect();
        asked.sort();
        asked
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // By its own process id, and waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
