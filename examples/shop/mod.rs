//! A shop on this machine whose orders only customers may see. Its form has a token that fits one visit (CSRF), and a
//! session ends after five pages.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// The pages that one session may see.
const PAGES: u32 = 5;

/// An open shop.
pub struct Shop {
    /// Its address, `http://127.0.0.1:…`.
    pub url: String,
    /// What was asked for, and with which status it answered: `POST /login 303`.
    pub asked: Arc<Mutex<Vec<String>>>,
}

/// What the shop remembers.
#[derive(Default)]
struct Checkout {
    /// The token of each visit, which is its number in the list.
    tokens: Vec<String>,
    /// How many pages each session has seen.
    sessions: Vec<u32>,
}

impl Shop {
    /// Opens a shop, on a thread of its own.
    pub fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (log, checkout) = (asked.clone(), Arc::<Mutex<Checkout>>::default());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, checkout) = (log.clone(), checkout.clone());
                thread::spawn(move || serve(stream, &checkout, &log));
            }
        });
        Ok(Self { url, asked })
    }
}

fn serve(mut stream: TcpStream, checkout: &Mutex<Checkout>, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let asked = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let (mut cookie, mut length) = (String::new(), 0);
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "cookie" => cookie = value.to_owned(),
                "content-length" => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let Ok(mut checkout_now) = checkout.lock() else { break };
        let (head, body) = checkout_now.answer(&asked, &cookie, &String::from_utf8_lossy(&body));
        drop(checkout_now);
        if let Ok(mut log) = log.lock() {
            log.push(format!("{asked} {}", head.get(..3).unwrap_or_default()));
        }
        write!(stream, "HTTP/1.1 {head}content-type: text/html\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
        line.clear();
    }
    Ok(())
}

impl Checkout {
    /// Returns the status with its headers, and the page.
    fn answer(&mut self, asked: &str, cookie: &str, body: &str) -> (String, String) {
        let cookie = |name: &str| cookie.split("; ").find_map(|cookie| cookie.strip_prefix(name)?.strip_prefix('='));
        match asked {
            "POST /login" => {
                let visit: Option<usize> = cookie("visit").and_then(|visit| visit.parse().ok());
                let token = visit.and_then(|visit| self.tokens.get(visit));
                let is_right = token.is_some_and(|token| body == format!("csrf={token}&user=alice&password=s3cret"));
                if !is_right {
                    return self.form("<p class=error>Wrong name, password or token</p>");
                }
                self.sessions.push(0);
                let session = self.sessions.len();
                (
                    format!("303 See Other\r\nlocation: /welcome\r\nset-cookie: sid={session}; HttpOnly\r\n"),
                    String::new(),
                )
            }
            "GET /login" => self.form(""),
            "GET /welcome" => ("200 OK\r\n".to_owned(), "<h1>Welcome</h1>".to_owned()),
            "GET /robots.txt" => ("404 Not Found\r\n".to_owned(), String::new()),
            _ => {
                let sid: usize = cookie("sid").and_then(|sid| sid.parse().ok()).unwrap_or(0);
                match sid.checked_sub(1).and_then(|sid| self.sessions.get_mut(sid)).filter(|pages| **pages < PAGES) {
                    None => ("302 Found\r\nlocation: /login\r\n".to_owned(), String::new()),
                    Some(pages) => {
                        *pages += 1;
                        ("200 OK\r\n".to_owned(), page(asked.trim_start_matches("GET ")))
                    }
                }
            }
        }
    }

    /// The form for a new visit.
    fn form(&mut self, error: &str) -> (String, String) {
        let visit = self.tokens.len();
        let token = format!("t{}", visit * 7_919 + 101);
        let form = format!(
            "{error}<form id=login method=post action=/login><input type=hidden name=csrf value={token}>\
             <input name=user><input name=password type=password><button>Log in</button></form>"
        );
        self.tokens.push(token);
        (format!("200 OK\r\nset-cookie: visit={visit}; HttpOnly\r\n"), form)
    }
}

/// The list of orders, and each of them.
fn page(path: &str) -> String {
    match path.strip_prefix("/orders/") {
        Some(number) => format!("<p class=order>Order {number}</p><a href=/orders>all</a>"),
        None => (1..=12).map(|number| format!("<a href=/orders/{number}>{number}</a> ")).collect(),
    }
}
