//! GivenCookies: the cookies that a session has at the start, from the settings and from files. Knows no requests.

use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    SessionCookie, SessionSettings,
    cookies::Cookies,
    cookies_txt,
    saved::{Saved, SavedSession, VERSION, read_text},
};
use crate::error::{Error, Result};

/// The cookies that a session is given.
pub struct GivenCookies {
    name: String,
    cookies: Vec<SessionCookie>,
}

impl GivenCookies {
    /// Takes the cookies of the settings, and those of their file.
    ///
    /// # Errors
    /// The file cannot be read, or is of another form.
    pub fn new(name: &str, settings: Option<&SessionSettings>) -> Result<Self> {
        let mut cookies = settings.map(|settings| settings.cookies.clone()).unwrap_or_default();
        if let Some(path) = settings.and_then(|settings| settings.cookies_file.as_deref()) {
            cookies.extend(of_file(path, name)?);
        }
        Ok(Self { name: name.to_owned(), cookies })
    }

    /// Reads the file that sessions are saved in; there is none before the first run.
    ///
    /// # Errors
    /// It cannot be read, or is of another form.
    pub fn saved(path: &Path) -> Result<Saved> {
        match read_text(path) {
            Ok(text) => Saved::parse(&text).map_err(|why| invalid(path, &why)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Saved::default()),
            Err(error) => Err(Error::file(path, error)),
        }
    }

    /// Returns a number that is another one when other cookies are given.
    pub fn digest(&self) -> u64 {
        if self.cookies.is_empty() {
            return 0;
        }
        let one = |cookie: &SessionCookie| {
            let SessionCookie { name, value, domain, host_only, path, secure, http_only, expires } = cookie;
            format!("{name}\n{value}\n{domain}\n{path}\n{expires:?}\n{host_only} {secure} {http_only}\n")
        };
        xxh3_64(self.cookies.iter().map(one).collect::<String>().as_bytes())
    }

    /// Puts the cookies into a session. Those that were saved go before what was given already when they were; what is
    /// given for the first time goes before them. What is in the place of one that is given is for requests through all
    /// proxies.
    ///
    /// # Errors
    /// One that is given cannot be a cookie.
    pub fn fill(&self, cookies: &Cookies, saved: Option<&SavedSession>) -> Result<()> {
        let is_news = saved.is_some_and(|saved| saved.given != self.digest());
        let add_saved = || {
            for cookie in saved.iter().flat_map(|saved| &saved.cookies) {
                cookies.restore(cookie);
            }
        };
        if is_news {
            add_saved();
        }
        for cookie in &self.cookies {
            if cookie.as_set_cookie().is_none() {
                let what = format!("the cookie `{}` of session `{}`", cookie.name.escape_debug(), self.name);
                let why = "its name, value, domain or path has characters that none may have";
                return Err(Error::setting(what, why));
            }
            if !cookies.add(cookie) {
                tracing::debug!(session = self.name, cookie = cookie.name, "a cookie is expired, or not to be kept");
            }
        }
        if !is_news {
            add_saved();
        }
        Ok(())
    }
}

/// Reads the cookies of a file of either kind.
fn of_file(path: &Path, name: &str) -> Result<Vec<SessionCookie>> {
    let text = read_text(path).map_err(|error| Error::file(path, error))?;
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return cookies_txt::parse(&text).map_err(|why| invalid(path, &why));
    }
    let mut saved = Saved::parse(&text).map_err(|why| invalid(path, &why))?;
    let none = || invalid(path, &format!("it has no session `{name}`"));
    saved.sessions.remove(name).map(|session| session.cookies).ok_or_else(none)
}

fn invalid(path: &Path, why: &str) -> Error {
    Error::setting(path.display().to_string(), why)
}

impl Saved {
    /// Makes the content of a file of sessions with their names, what tells the cookies that they were given, and
    /// cookies.
    pub fn of(sessions: impl Iterator<Item = (String, u64, Vec<SessionCookie>)>) -> Self {
        let sessions = sessions.map(|(name, given, cookies)| (name, SavedSession { given, cookies }));
        Self { version: VERSION, sessions: sessions.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: a cookie that was corrected by one of these was what had been given already, so the saved one
    /// replaced it.
    #[test]
    fn cookies_that_differ_in_any_field_are_others() {
        let cookie = || SessionCookie::new("name", "value", "example.org");
        let mut cookies = vec![cookie(); 8];
        cookies[1].name.push('x');
        cookies[2].value.push('x');
        cookies[3].domain.push('x');
        cookies[4].path.push('x');
        cookies[5].secure ^= true;
        cookies[6].http_only ^= true;
        cookies[7].host_only ^= true;
        let mut expires = cookie();
        expires.expires = Some(7);
        cookies.push(expires);
        let of = |cookie: SessionCookie| GivenCookies { name: String::new(), cookies: vec![cookie] }.digest();
        let digests: std::collections::BTreeSet<_> = cookies.into_iter().map(of).collect();
        assert_eq!(digests.len(), 9);
    }

    /// What a server had set without a proxy once went through each proxy after a restart: so all of them were one
    /// visitor.
    #[cfg(feature = "cookies")]
    #[test]
    fn what_was_saved_is_for_no_proxy_but_a_new_value_of_what_is_given_is_for_all() {
        use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
        let url = url::Url::parse("http://e.org/").unwrap();
        let after_a_restart = |cookies: Vec<SessionCookie>, set: &'static str| {
            let given = GivenCookies { name: String::new(), cookies };
            let first = Cookies::new(&std::sync::Arc::default());
            given.fill(&first, None).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(SET_COOKIE, HeaderValue::from_static(set));
            first.take_in(&url, None, &headers);
            let saved = Saved::of([("default".to_owned(), given.digest(), first.list(None))].into_iter());
            let again = Cookies::new(&std::sync::Arc::default());
            given.fill(&again, saved.sessions.get("default")).unwrap();
            [None, Some(1)].map(|proxy| again.header(&url, proxy))
        };
        let sent = |cookie| Some(HeaderValue::from_static(cookie));
        assert_eq!(after_a_restart(Vec::new(), "sid=1"), [sent("sid=1"), None]);
        let login = SessionCookie::new("login", "old", "e.org");
        assert_eq!(after_a_restart(vec![login], "login=new"), [sent("login=new"), sent("login=new")]);
    }
}
