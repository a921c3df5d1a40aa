//! The names and paths of a scope that no URL can have: everything would be outside of them, and nothing would say why.

use url::Url;

use super::Scope;
use crate::{
    domain::{by_domain::domain_name, registrable},
    error::{Error, Result},
};

impl Scope {
    /// Checks that URLs can have what it names.
    ///
    /// # Errors
    /// Some name or path that none can have.
    pub(crate) fn check(&self) -> Result<()> {
        match self.wrong().into_iter().next() {
            Some((list, index, why)) => Err(Error::setting(format!("scope.{list}[{index}]"), why)),
            None => Ok(()),
        }
    }

    /// Returns the names and paths that no URL can have: the list, the index in it, and what to write.
    pub(crate) fn wrong(&self) -> Vec<(&'static str, usize, String)> {
        let hosts = self.hosts.iter().map(|host| domain_name("", host).err().map(Error::into_why));
        let domains = self.domains.iter().map(|domain| wrong_domain(domain));
        let paths = self.paths.iter().map(|path| wrong_path(path));
        let of = |list| move |(index, why): (usize, Option<String>)| why.map(|why| (list, index, why));
        let wrong = hosts.enumerate().filter_map(of("hosts"));
        let wrong = wrong.chain(domains.enumerate().filter_map(of("domains")));
        wrong.chain(paths.enumerate().filter_map(of("paths"))).collect()
    }
}

fn wrong_domain(domain: &str) -> Option<String> {
    let name = match domain_name("", domain) {
        Ok(name) => name,
        Err(error) => return Some(error.into_why()),
    };
    let whole = registrable(&Url::parse(&format!("http://{name}/")).ok()?);
    let is_host = whole.as_str() != name;
    is_host.then(|| format!("it is a host of {whole}; write {whole}, or name the host in scope.hosts"))
}

fn wrong_path(path: &str) -> Option<String> {
    let is_prefix = path.starts_with('/') && !path.contains(['?', '#']);
    let why = "a prefix of paths begins with / and has neither ? nor #; write it like /docs/, and a rule about queries in \
               scope.allow";
    (!is_prefix).then(|| why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_url_can_have_is_told_with_its_place_and_what_to_write() {
        let scope: Scope = serde_json::from_str(
            r#"{"hosts": ["Bücher.example", "cdn.net:8080", "https://cdn.net", "*.cdn.net", "::1", "10.0.0.1", ""],
                "domains": ["example.org", "docs.example.org", "localhost"],
                "paths": ["/docs", "docs", "/a?b=1", "/café"]}"#,
        )
        .unwrap();
        let places: Vec<_> = scope.wrong().into_iter().map(|(list, index, _)| format!("{list}[{index}]")).collect();
        let expected = ["hosts[1]", "hosts[2]", "hosts[3]", "hosts[6]", "domains[1]", "paths[1]", "paths[2]"];
        assert_eq!(places, expected);
        assert!(scope.wrong()[4].2.contains("write example.org"), "{}", scope.wrong()[4].2);
        assert!(scope.check().unwrap_err().to_string().starts_with("scope.hosts[1]: "));
    }
}
