//! CookiesTxt: the file of cookies that curl, wget and browsers write, "Netscape HTTP Cookie File". Knows no sessions.

use super::SessionCookie;

/// What a line for a cookie that scripts must not see begins with.
const HTTP_ONLY: &str = "#HttpOnly_";

/// Reads the cookies of a file. Each line has seven fields with tabs between them: domain, whether it holds for the
/// hosts below too, path, whether it needs TLS, the second since 1970 at which it expires or 0, name, value.
///
/// # Errors
/// A line has another form; the message says which one.
pub fn parse(text: &str) -> Result<Vec<SessionCookie>, String> {
    let mut cookies = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_end_matches('\r');
        let (line, http_only) = line.strip_prefix(HTTP_ONLY).map_or((line, false), |rest| (rest, true));
        if line.trim().is_empty() || (line.starts_with('#') && !http_only) {
            continue;
        }
        let read = read_line(line).map_err(|why| format!("line {}: {why}", index + 1))?;
        cookies.push(SessionCookie { http_only, ..read });
    }
    Ok(cookies)
}

fn read_line(line: &str) -> Result<SessionCookie, String> {
    let mut fields = line.splitn(7, '\t');
    let mut next = || fields.next();
    // Some programs leave the last tab out where the value is empty.
    let (Some(domain), Some(below), Some(path), Some(secure), Some(expires), Some(name), value) =
        (next(), next(), next(), next(), next(), next(), next())
    else {
        return Err("it needs seven fields with tabs between them, as curl --cookie-jar writes them".to_owned());
    };
    let is_set = |field: &str| match field {
        field if field.eq_ignore_ascii_case("true") => Ok(true),
        field if field.eq_ignore_ascii_case("false") => Ok(false),
        // Never repeated: it may be a part of a value.
        _ => Err("its second and fourth field are TRUE or FALSE".to_owned()),
    };
    // Some programs write fractions, and -1 for a cookie that lasts as long as the session.
    let seconds = expires.split_once('.').map_or(expires, |(whole, _)| whole);
    let seconds: i64 = seconds.parse().map_err(|_| "its fifth field is a number of seconds since 1970".to_owned())?;
    Ok(SessionCookie {
        host_only: !is_set(below)?,
        path: path.to_owned(),
        secure: is_set(secure)?,
        expires: u64::try_from(seconds).ok().filter(|seconds| *seconds > 0),
        ..SessionCookie::new(name, value.unwrap_or_default(), domain.trim_start_matches('.'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_of_curl_is_read() {
        let text = "# Netscape HTTP Cookie File\r\n# https://curl.se/docs/http-cookies.html\r\n\r\n\
            #HttpOnly_shop.example\tFALSE\t/\tTRUE\t0\tsid\ts3cret\r\n\
            .shop.example\tTRUE\t/de\tFALSE\t4102444800\tlang\tde\r\n\
            shop.example\tfalse\t/\tfalse\t1700000000.5\tempty\r\n\
            shop.example\tFALSE\t/\tFALSE\t-1\ttabs\ta\tb\r\n";
        let cookies = parse(text).unwrap();
        let sid =
            SessionCookie { secure: true, http_only: true, ..SessionCookie::new("sid", "s3cret", "shop.example") };
        let lang = SessionCookie {
            host_only: false,
            path: "/de".to_owned(),
            expires: Some(4_102_444_800),
            ..SessionCookie::new("lang", "de", "shop.example")
        };
        let empty = SessionCookie { expires: Some(1_700_000_000), ..SessionCookie::new("empty", "", "shop.example") };
        assert_eq!(cookies, [sid, lang, empty, SessionCookie::new("tabs", "a\tb", "shop.example")]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line_and_no_value_is_repeated() {
        for (text, says) in [
            ("# x\nsid=s3cret", "line 2: it needs seven fields"),
            ("e.org\tyes\t/\tFALSE\t0\tsid\ts3cret", "line 1: its second and fourth"),
            ("e.org\tTRUE\t/\tFALSE\ts3cret\tsid\tx", "line 1: its fifth"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(says) && !why.contains("s3cret"), "{why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\PC\t\r\n#]{0,200}") {
            let _ = parse(&text);
        }
    }
}
