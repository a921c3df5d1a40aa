//! Form: fills in and submits a form of a page as a browser would (HTML §4.10.22, "form submission"). Runs no scripts
//! and ignores `required` and `pattern`; use [`Form::add`], [`Form::enable`] and [`Form::remove`] for what a script
//! would do.
//!
//! Where the standard leaves something to the look of a page, a request is that of no browser in particular:
//! `wrap=hard` breaks lines by the count of characters, which browsers do by their width, and the colours of the system
//! are Chromium's on Linux.

mod color;
mod color_part;
mod control;
mod encode;
mod entry;
mod error;
mod file;
mod fill;
mod lines;
mod owned;
mod srgb;
mod submit;
mod system_colors;
mod value;

use std::{collections::HashSet, fmt};

use encoding_rs::{Encoding, UTF_8};
use scraper::ElementRef;

use self::{
    control::FormControl,
    entry::{FormEntry, Submitter, entry_list},
    owned::controls_of,
};
pub use self::{error::FormError, file::FormFile, owned::MAX_CONTROLS};
use crate::response::Response;

/// A form of a page with the values of its controls.
///
/// Created by [`Response::form`]. Each method takes and returns the form, so that calls can be chained:
///
/// ```
/// use actix_crawler::prelude::*;
///
/// let page = Response::html(
///     "https://e.org/login?next=1",
///     "<form id=login action=/session method=post>
///          <input type=hidden name=csrf value=t0ken> <input name=user> <input name=password type=password>
///          <label><input type=checkbox name=remember value=yes></label>
///          <select name=lang><option>en<option value=de>German</select> <button name=go>Log in</button>
///      </form>",
/// );
/// let request = page
///     .form("#login")?
///     .set("user", "ada")?
///     .set("password", "p&q")?
///     .choose("lang", "German")?
///     .check("remember")?
///     .submit()?;
/// assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "https://e.org/session"));
/// assert_eq!(request.body, "csrf=t0ken&user=ada&password=p%26q&remember=yes&lang=de&go=");
/// # Ok::<(), actix_crawler::Error>(())
/// ```
#[derive(Clone)]
pub struct Form<'a> {
    page: &'a Response,
    element: ElementRef<'a>,
    controls: Vec<FormControl>,
    left_out: usize,
    submitter: ChosenSubmitter,
    /// Entries that were added, sent after those of the controls.
    added: Vec<FormEntry>,
}

/// Shows the names only: a value may be a password.
impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form")
            .field("page", &self.page.url().as_str())
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}

/// What submits a form.
#[derive(Clone, Copy, Debug)]
enum ChosenSubmitter {
    /// Its first enabled submit button, if there is one.
    First,
    Button(Submitter),
    /// A script, without a button.
    Script,
}

impl Response {
    /// Reads the form that matches `css`, or the form around the first matching element. Controls belong to it by
    /// `form=` wherever they are, and so do those of a form that opens between the rows of a table.
    ///
    /// # Errors
    /// Nothing matches, the selector is invalid, or there is no form.
    pub fn form(&self, css: &str) -> Result<Form<'_>, FormError> {
        let element = self.document().first(css)?.node();
        let around = std::iter::once(element).chain(element.ancestors().filter_map(ElementRef::wrap));
        let form = around.into_iter().find(|element| element.value().name() == "form");
        let form =
            form.ok_or_else(|| FormError::NoForm { css: css.to_owned(), element: element.value().name().to_owned() })?;
        let (controls, left_out) = controls_of(form, self.document());
        Ok(Form { page: self, element: form, controls, left_out, submitter: ChosenSubmitter::First, added: Vec::new() })
    }
}

impl Form<'_> {
    /// Returns the names of the form's controls without duplicates, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let names = self.controls.iter().map(|control| control.name.as_str()).filter(|name| !name.is_empty());
        names.filter(|name| seen.insert(*name)).collect()
    }

    /// Returns the values that would be sent for one name now, without the button's.
    ///
    /// ```
    /// # use actix_crawler::prelude::*;
    /// let page = Response::html("https://e.org/", "<form><input name=token value=7><input type=checkbox name=on></form>");
    /// let form = page.form("form")?;
    /// assert_eq!((form.values("token"), form.values("on")), (vec!["7".to_owned()], vec![]));
    /// # Ok::<(), actix_crawler::Error>(())
    /// ```
    pub fn values(&self, name: &str) -> Vec<String> {
        let entries = entry_list(&self.controls, None, self.encoding());
        let named = entries.iter().chain(&self.added).filter(|entry| entry.name == name);
        named.map(|entry| entry.value.as_text().to_owned()).collect()
    }

    /// Returns how many controls beyond the first [`MAX_CONTROLS`] were not read.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Returns the encoding ("pick an encoding for the form", §4.10.22.5).
    fn encoding(&self) -> &'static Encoding {
        let encoding_of = |label: &str| Encoding::for_label(label.as_bytes());
        let accepted = self.element.attr("accept-charset").unwrap_or_default();
        // The standard splits at white space; browsers split at commas too, as HTML 4 did (§17.3).
        let accepted = accepted.split([' ', '\t', '\n', '\x0c', '\r', ',']).find_map(encoding_of);
        // Without a known label the standard uses UTF-8, Chromium the page's charset.
        let encoding = accepted.or_else(|| encoding_of(self.page.encoding())).unwrap_or(UTF_8);
        // UTF-16 and "replacement" are for decoding only.
        encoding.output_encoding()
    }
}

#[cfg(test)]
mod tests;
