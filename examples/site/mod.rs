//! A small site on this machine, so that the examples run without a network. It serves on a thread of its own.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// Serves `page(path)` at every path, 404 where it gives nothing, and returns the site's address, `http://127.0.0.1:…`.
pub fn serve(page: fn(&str) -> Option<String>) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, page));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, page: fn(&str) -> Option<String>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(request) = lines.next().transpose()? {
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
        let (status, body) = page(&path).map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\r\n{body}")?;
    }
    Ok(())
}
