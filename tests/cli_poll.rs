//! `actix-crawler poll`, as a process.

#![cfg(feature = "cli")]

mod recorder;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Output, Stdio},
    time::Duration,
};

use recorder::{Answer, Asked, Recorder};
use serde_json::Value;

fn poll(arguments: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.arg("poll").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn one_line_an_answer_in_the_order_of_the_input_at_the_rate() {
    let api = Recorder::start(|asked: &Asked| {
        Answer::ok(asked.path.clone()).after(Duration::from_millis(asked.index as u64 % 3 * 40)).header("x-a", "b")
    });
    let input: String = (0..60).map(|n| format!("{}\n", api.url(&format!("/{n}")))).collect();
    let output = poll(&["-", "--rate", "50/s", "--allow-private", "--keep-header", "X-A"], &input);
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = lines(&output);
    assert_eq!(lines.len(), 60);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], index);
        assert_eq!((&line["status"], &line["body"]), (&200.into(), &format!("/{index}").into()));
        assert_eq!((&line["headers"]["x-a"], &line["attempts"]), (&"b".into(), &1.into()));
        assert!(line["started_at"].is_string() && line["elapsed"].is_number());
    }
    assert!(stderr(&output).contains("60 of 60 answered, 0 failed"), "{}", stderr(&output));
    assert!(api.arrivals().smallest_gap() >= Duration::from_millis(19));
}

#[test]
fn a_json_line_says_method_headers_and_body_and_a_failure_sets_the_code() {
    let api =
        Recorder::start(|asked: &Asked| if asked.path == "/gone" { Answer::status(404) } else { Answer::ok("ok") });
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let input = format!(
        "{{\"url\": \"{}\", \"method\": \"put\", \"headers\": {{\"x-b\": \"c\"}}, \"body\": {{\"id\": 1}}}}\n# none\n{}\n",
        api.url("/item"),
        api.url("/gone"),
    );
    std::fs::write(folder.path().join("in"), input).unwrap();
    let (input, out, bodies, summary) = (file("in"), file("out"), file("bodies"), file("summary"));
    let output = poll(
        &[
            "-i",
            &input,
            "-o",
            &out,
            "--save-dir",
            &bodies,
            "--summary",
            &summary,
            "--rate",
            "unlimited",
            "--allow-private",
        ],
        "",
    );
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let asked = api.asked().into_iter().find(|asked| asked.path == "/item").unwrap();
    assert_eq!((asked.method.as_str(), asked.body.as_slice()), ("PUT", br#"{"id":1}"#.as_slice()));
    assert_eq!((asked.header("x-b"), asked.header("content-type")), (Some("c"), Some("application/json")));
    assert_eq!(std::fs::read_to_string(folder.path().join("bodies/0")).unwrap(), "ok");
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 2);
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(summary).unwrap()).unwrap();
    assert_eq!((&summary["requests"], &summary["error_statuses"]["404"]), (&2.into(), &1.into()));
}

#[test]
fn a_wrong_line_is_a_line_of_the_output_and_the_code_says_so() {
    let api = Recorder::start(|asked: &Asked| Answer::ok(asked.path.clone()));
    let input = format!("{}\nnot a url\n{}\n", api.url("/a"), api.url("/b"));
    let output = poll(&["-", "--rate", "unlimited", "--allow-private"], &input);
    assert_eq!(output.status.code(), Some(3));
    let lines = lines(&output);
    assert_eq!((&lines[0]["body"], &lines[2]["body"]), (&"/a".into(), &"/b".into()));
    assert_eq!((&lines[1]["index"], &lines[1]["kind"]), (&1.into(), &"input".into()));
    assert!(lines[1]["error"].as_str().unwrap().starts_with("stdin line 2: "), "{}", lines[1]);
    assert!(stderr(&output).contains("2 of 3 answered, 1 failed"), "{}", stderr(&output));
}

#[test]
fn what_is_wrong_in_all_lines_is_said_once() {
    for (arguments, input, word) in [
        (&[][..], "", "nothing to ask for"),
        (&["not a url"], "", "not a url"),
        (&["-"], "# none\n", "no requests"),
        (&["https://example.org/"], "", "--contact"),
        (&["-"], "https://example.org/a\nhttps://example.org/b\n", "--contact"),
        (&["-", "--user-agent", "bot/1"], "https://example.org/a\n", "contact"),
    ] {
        let output = poll(arguments, input);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{}", stderr(&output));
        assert!(stderr(&output).contains(word), "{}", stderr(&output));
    }
}

#[test]
fn an_answer_does_not_wait_for_the_next_line_of_the_input() {
    let api = Recorder::start(|asked: &Asked| Answer::ok(asked.path.clone()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.args(["poll", "-", "--rate", "unlimited", "--allow-private"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for path in ["/a", "/b"] {
        writeln!(stdin, "{}", api.url(path)).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["body"], path);
    }
    drop(stdin);
    assert!(answers.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn a_request_that_failed_says_how_in_its_line_and_the_summary_has_no_pace_of_it() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}/");
    let output = poll(&[&url, "--retries", "0", "--allow-private"], "");
    assert_eq!(output.status.code(), Some(3));
    let line = &lines(&output)[0];
    assert_eq!((&line["kind"], &line["attempts"], &line["url"]), (&"connect".into(), &1.into(), &url.as_str().into()));
    assert!(line["elapsed"].as_f64().unwrap() > 0.0 && line["started_at"].is_string(), "{line}");
    assert!(!line["error"].as_str().unwrap().contains("http://"), "{line}");
    assert_eq!(stderr(&output).trim_end(), "0 of 1 answered, 1 failed");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let api = Recorder::start(|_| Answer::ok(""));
    for (arguments, code, words) in [
        (["--summary", "src"], 1, "--summary src is a directory"),
        (["--summary", "-"], 2, "--summary"),
        (["--save-dir", "Cargo.toml"], 1, "--save-dir Cargo.toml is a file"),
        (["--keep-header", "a b"], 2, "no header's name"),
        (["--method", "a b"], 2, "--method"),
    ] {
        let output = poll(&[&[&api.url("/"), "--allow-private"][..], &arguments].concat(), "");
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert!(api.asked().is_empty());
}

#[test]
fn an_argument_that_is_a_file_is_read_as_one() {
    let api = Recorder::start(|asked: &Asked| Answer::ok(asked.path.clone()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("urls").display().to_string();
    std::fs::write(&file, format!("{}\n# none\n{}\n", api.url("/a"), api.url("/b"))).unwrap();
    let output = poll(&[&file, &api.url("/c"), "--rate", "unlimited", "--allow-private"], "");
    assert!(output.status.success(), "{}", stderr(&output));
    let bodies: Vec<_> = lines(&output).iter().map(|line| line["body"].clone()).collect();
    assert_eq!(bodies, ["/a", "/b", "/c"]);
}

#[test]
fn an_answer_with_an_error_status_is_an_answer_in_the_summary() {
    let api = Recorder::start(|asked: &Asked| if asked.path == "/a" { Answer::ok("") } else { Answer::status(401) });
    let folder = tempfile::tempdir().unwrap();
    let summary = folder.path().join("summary").display().to_string();
    let arguments = [&api.url("/a"), &api.url("/b"), "--rate", "unlimited", "--allow-private", "--summary", &summary];
    let output = poll(&arguments, "");
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("2 of 2 answered (1 with status 401), 0 failed"), "{}", stderr(&output));
    // Regression: in JSON it was answered and failed.
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(summary).unwrap()).unwrap();
    assert_eq!((&summary["answered"], &summary["failed"]), (&2.into(), &0.into()), "{summary}");
    assert_eq!(summary["error_statuses"], serde_json::json!({"401": 1}));
}

#[test]
fn a_text_in_another_charset_is_text() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        for (kind, stream) in
            ["text/plain; charset=iso-8859-1", "application/octet-stream"].iter().zip(server.incoming())
        {
            let mut stream = stream.unwrap();
            BufReader::new(stream.try_clone().unwrap()).lines().find(|line| line.as_ref().unwrap().is_empty());
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: 4\r\n\r\n");
            stream.write_all(&[head.as_bytes(), b"caf\xe9"].concat()).unwrap();
        }
    });
    let output = poll(&[&url, &format!("{url}b"), "--concurrency", "1", "--rate", "20/s", "--allow-private"], "");
    served.join().unwrap();
    let lines = lines(&output);
    assert_eq!(lines[0]["body"], "café", "{}", lines[0]);
    assert_eq!((&lines[1]["body"], &lines[1]["body_base64"]), (&Value::Null, &"Y2Fm6Q==".into()), "{}", lines[1]);
}

const XML_IN_LATIN_2: &str = "<?xml version='1.0' encoding='iso-8859-2'?><a>ł</a>";

/// Regression: bytes that happen to be UTF-8 were taken for it whatever charset was named.
#[test]
fn a_named_charset_is_obeyed_also_where_the_bytes_could_be_utf_8() {
    let answers: [(&str, &[u8], &str); 8] = [
        ("text/plain; charset=iso-2022-jp", b"\x1b$BF|K\\\x1b(B", "日本"),
        ("text/csv; charset=utf-16le", b"a\0,\0b\0", "a,b"),
        ("application/x; charset=\"windows-1252\"", "é".as_bytes(), "Ã©"),
        ("text/html", b"<meta charset=windows-1252>\xc3\xa9", "<meta charset=windows-1252>Ã©"),
        ("text/plain", "é".as_bytes(), "é"),
        // RFC 7303 §3: without a charset in the header, the declaration counts.
        ("application/xml", b"<?xml version='1.0' encoding='iso-8859-2'?><a>\xb3</a>", XML_IN_LATIN_2),
        ("application/atom+xml", "<a>é</a>".as_bytes(), "<a>é</a>"),
        ("application/json; charset=iso-8859-1", "\"é\"".as_bytes(), "\"é\""),
    ];
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        for (kind, body, _) in answers {
            let (mut stream, _) = server.accept().unwrap();
            BufReader::new(stream.try_clone().unwrap()).lines().find(|line| line.as_ref().unwrap().is_empty());
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        }
    });
    let urls: Vec<_> = (0..answers.len()).map(|n| format!("{url}{n}")).collect();
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let output = poll(&[&urls[..], &["--concurrency", "1", "--rate", "50/s", "--allow-private"]].concat(), "");
    served.join().unwrap();
    for (line, (kind, _, text)) in lines(&output).iter().zip(answers) {
        assert_eq!(line["body"], text, "{kind}: {line}");
    }
    assert_eq!(lines(&output).len(), answers.len());
}

/// Regression: the other server got the name of the first (RFC 9110 §15.4).
#[test]
fn a_host_header_of_ones_own_stays_with_its_origin() {
    let other = Recorder::start(|_: &Asked| Answer::ok("there"));
    let away = other.url("/x");
    let api = Recorder::start(move |asked: &Asked| match asked.path.as_str() {
        "/near" => Answer::redirect("/home"),
        "/far" => Answer::redirect(away.clone()),
        _ => Answer::ok("home"),
    });
    let urls = [api.url("/near"), api.url("/far")];
    let output = poll(&[&urls[0], &urls[1], "-H", "hOst: mine.test", "--rate", "unlimited", "--allow-private"], "");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(api.by_host()["mine.test"].len(), 3, "its own origin hears it, also after a redirect");
    assert!(other.by_host().keys().all(|host| host != "mine.test") && other.count() == 1);
}

#[test]
fn a_user_agent_in_a_header_has_a_contact_too() {
    for (arguments, input) in [
        (&["-H", "User-Agent: Mozilla/5.0", "-"][..], "https://example.org/a\nhttps://example.org/b\n"),
        (&["-H", "user-agent: Mozilla/5.0", "https://example.org/"][..], ""),
    ] {
        let output = poll(&[&["--contact", "me@example.org"], arguments].concat(), input);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("`Mozilla/5.0` has no contact") && said.matches("Mozilla").count() == 1, "{said}");
    }
    let line = "{\"url\": \"https://example.org/\", \"headers\": {\"user-agent\": \"Mozilla/5.0\"}}\n";
    let output = poll(&["--contact", "me@example.org", "-"], line);
    assert_eq!((output.status.code(), &lines(&output)[0]["kind"]), (Some(3), &"input".into()));
}

#[test]
fn a_byte_order_mark_belongs_to_no_url() {
    let api = Recorder::start(|asked: &Asked| Answer::ok(asked.path.clone()));
    let output = poll(&["-", "--rate", "unlimited", "--allow-private"], &format!("\u{feff}{}\n", api.url("/a")));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

/// It was once lost without a word.
#[cfg(unix)]
#[test]
fn an_output_that_is_removed_while_it_is_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("answers.jsonl");
    let removed = output.clone();
    let api = Recorder::start(move |_| {
        drop(std::fs::remove_file(&removed));
        Answer::ok("ok")
    });
    let ended = poll(&[&api.url("/"), "--allow-private", "-o", output.to_str().unwrap()], "");
    let said = stderr(&ended);
    assert!(!ended.status.success() && said.contains("answers.jsonl") && said.contains("was removed"), "{said}");
}

/// The answers of yesterday were once gone when today's command was refused.
#[test]
fn an_output_keeps_what_is_in_it_until_the_first_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (output, urls, none) = (file("answers.jsonl"), file("urls.txt"), file("none.txt"));
    std::fs::write(&output, "yesterday's\n").unwrap();
    std::fs::write(&urls, "https://api.example.org/1\n").unwrap();
    std::fs::write(&none, "# nothing has failed\n").unwrap();
    let nowhere = file("no/such/folder/summary.json");
    for arguments in [
        &[&*urls, "-o", &output][..],
        &[&urls, "-o", &output, "--contact", "me@example.org", "--summary", &nowhere],
        &[&urls, "-o", &output, "--contact", "me@example.org", "--summary", "-"],
        &[&none, "-o", &output, "--contact", "me@example.org"],
    ] {
        let ended = poll(arguments, "");
        assert!(!ended.status.success(), "{arguments:?}");
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "yesterday's\n", "{arguments:?}: {}", stderr(&ended));
    }
    let api = Recorder::start(|_| Answer::ok("ok"));
    assert!(poll(&[&api.url("/"), "--allow-private", "-o", &output], "").status.success());
    let written = std::fs::read_to_string(&output).unwrap();
    assert!(written.starts_with("{\"index\":0") && written.lines().count() == 1, "{written}");
}
