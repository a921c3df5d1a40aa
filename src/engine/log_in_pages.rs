//! LogInPages: the pages to log in at, by their URLs, that other pages redirect to. Knows no session.

use url::Url;

use super::frequent::Frequent;
use crate::stats::RedirectTarget;

/// Counts redirects to pages to log in at, whatever their query: it often names the page that was asked for.
#[derive(Debug, Default)]
pub struct LogInPages(Frequent);

/// Words in the paths of such pages.
const WORDS: [&str; 9] =
    ["login", "logon", "signin", "signon", "sso", "authenticate", "anmelden", "anmeldung", "connexion"];

/// The same of two words, as in `log-in` and `users/sign_in`.
const PAIRS: [(&str, &str); 4] = [("log", "in"), ("log", "on"), ("sign", "in"), ("sign", "on")];

impl LogInPages {
    /// Notes a redirect.
    pub fn note(&mut self, from: &Url, to: &Url) {
        if is_log_in(to) && !is_log_in(from) {
            let mut page = to.clone();
            page.set_query(None);
            page.set_fragment(None);
            // What servers of Java put behind a path is the session.
            let path = page.path().split(';').next().unwrap_or_default().to_owned();
            page.set_path(&path);
            self.0.count(&page);
        }
    }

    /// Returns the one that most pages redirect to.
    pub fn most(&self) -> Option<RedirectTarget> {
        self.0.top(1).pop()
    }
}

fn is_log_in(url: &Url) -> bool {
    url.path_segments().into_iter().flatten().any(|segment| {
        let segment = segment.to_ascii_lowercase();
        let words: Vec<_> = segment.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let is_pair = |pair: &[&str]| matches!(pair, [first, second] if PAIRS.contains(&(first, second)));
        words.iter().any(|word| WORDS.contains(word)) || words.windows(2).any(is_pair)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("https://shop.example/").unwrap().join(path).unwrap()
    }

    #[test]
    fn a_page_to_log_in_at_is_told_by_its_path_and_counted_whatever_its_query() {
        for path in
            ["/login", "/de/Login.aspx", "/users/sign_in", "/wp-login.php", "/account/log-in?next=/", "/sso/saml"]
        {
            assert!(is_log_in(&url(path)), "{path}");
        }
        for path in ["/", "/plugins", "/blog/in", "/design-inspiration", "/catalogue?login=1"] {
            assert!(!is_log_in(&url(path)), "{path}");
        }
        let mut pages = LogInPages::default();
        assert_eq!(pages.most(), None);
        for page in ["/orders/1", "/orders/2", "/login"] {
            pages.note(&url(page), &url(&format!("/login?next={page}")));
        }
        pages.note(&url("/orders/3"), &url("/login;jsessionid=3F"));
        pages.note(&url("/orders/4"), &url("/"));
        assert_eq!(pages.most(), Some(RedirectTarget { url: "https://shop.example/login".into(), times: 3 }));
    }
}
