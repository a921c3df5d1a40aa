//! Submit: makes the request of a filled form (HTML §4.10.22.3, "form submission algorithm"). Knows no values of
//! controls.

use std::collections::HashSet;

use url::Url;

use super::{
    ChosenSubmitter, Form,
    control::{FormControl, SubmitterOverrides},
    encode,
    entry::{Submitter, entry_list},
    error::FormError,
};
use crate::request::Request;

/// The encoding of a form's entries.
#[derive(Clone, Copy)]
enum Enctype {
    Urlencoded,
    Multipart,
    Plain,
}

impl Form<'_> {
    /// Submits the form by this button, whose name and value are sent too, and whose `formaction`, `formmethod` and
    /// `formenctype` apply. An image is clicked at its corner.
    ///
    /// # Errors
    /// The selector is invalid, or matches no enabled submit button of the form.
    pub fn click(self, css: &str) -> Result<Self, FormError> {
        self.click_at(css, 0, 0)
    }

    /// Like [`Form::click`], at this pixel of an image.
    ///
    /// # Errors
    /// Like [`Form::click`].
    pub fn click_at(mut self, css: &str, x: u32, y: u32) -> Result<Self, FormError> {
        let matching = self.page.document().select(css)?;
        let matching: HashSet<_> = matching.iter().map(|element| element.node().id()).collect();
        let is_it =
            |control: &FormControl| control.is_submit() && !control.is_disabled && matching.contains(&control.node);
        let at = self.controls.iter().position(is_it).ok_or_else(|| FormError::NoButton { css: css.to_owned() })?;
        self.submitter = ChosenSubmitter::Button(Submitter { at, point: (x, y) });
        Ok(self)
    }

    /// Submits the form without a button, like a script's `form.submit()`.
    #[must_use]
    pub fn without_button(mut self) -> Self {
        self.submitter = ChosenSubmitter::Script;
        self
    }

    /// Makes the request that a browser would send. Without [`Form::click`] the first enabled submit button is used, as
    /// with the Enter key.
    ///
    /// Names, values and the query are encoded in the charset that the form accepts, or else in the page's. Files are
    /// sent with `multipart/form-data` only; other encodings send their names.
    ///
    /// # Errors
    /// The form sends nothing (`method=dialog`), or its action is not an `http` or `https` URL.
    pub fn submit(self) -> Result<Request, FormError> {
        let submitter = self.submitter();
        let none = SubmitterOverrides::default();
        let overrides = submitter.and_then(|button| Some(&self.controls.get(button.at)?.overrides)).unwrap_or(&none);
        let own = |name: &str| self.element.attr(name).map(str::to_owned);
        let method = overrides.method.clone().or_else(|| own("method")).unwrap_or_default();
        if method.eq_ignore_ascii_case("dialog") {
            return Err(FormError::Dialog);
        }
        let mut url = self.action(overrides.action.clone().or_else(|| own("action")))?;
        let encoding = self.encoding();
        let mut entries = entry_list(&self.controls, submitter, encoding);
        entries.extend(self.added.iter().cloned());
        if !method.eq_ignore_ascii_case("post") {
            url.set_query(Some(&encode::urlencoded(&entries, encoding)));
            return Ok(Request::get(url));
        }
        let enctype = Enctype::named(overrides.enctype.clone().or_else(|| own("enctype")));
        let (content_type, body) = match enctype {
            Enctype::Urlencoded => {
                ("application/x-www-form-urlencoded".to_owned(), encode::urlencoded(&entries, encoding).into_bytes())
            }
            Enctype::Plain => ("text/plain".to_owned(), encode::plain(&entries, encoding)),
            Enctype::Multipart => {
                let (boundary, body) = encode::multipart(&entries, encoding);
                (format!("multipart/form-data; boundary={boundary}"), body)
            }
        };
        url.set_fragment(None);
        Ok(Request::post(url, body).header("content-type", content_type))
    }

    fn submitter(&self) -> Option<Submitter> {
        let is_usable = |control: &FormControl| control.is_submit() && !control.is_disabled;
        match self.submitter {
            ChosenSubmitter::Button(button) => Some(button),
            ChosenSubmitter::Script => None,
            ChosenSubmitter::First => {
                let at = self.controls.iter().position(is_usable)?;
                Some(Submitter { at, point: (0, 0) })
            }
        }
    }

    /// Resolves the action; if it is empty, it is the page itself, whatever its base.
    fn action(&self, action: Option<String>) -> Result<Url, FormError> {
        let action = action.unwrap_or_default();
        let refuse = || FormError::Action { action: action.clone() };
        let url = match action.trim() {
            "" => self.page.url().clone(),
            action => self.page.join(action).map_err(|_| refuse())?,
        };
        if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(refuse()) }
    }
}

impl Enctype {
    /// Parses the attribute; an unknown value means `application/x-www-form-urlencoded`.
    fn named(name: Option<String>) -> Self {
        let name = name.unwrap_or_default();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("multipart/form-data") => Self::Multipart,
            () if is("text/plain") => Self::Plain,
            () => Self::Urlencoded,
        }
    }
}
