//! Form: fills in and submits a form of a page as a browser would (HTML §4.10.22, "form submission"). Runs no scripts
//! and ignores `required` and `pattern`; use [`Form::add`], [`Form::enable`] and [`Form::remove`] for what a script
//! would do.

mod control;
mod encode;
mod entry;
mod error;
mod value;

use std::{collections::HashSet, fmt};

use encoding_rs::{Encoding, UTF_8};
use scraper::ElementRef;
use url::Url;

pub use self::{control::MAX_CONTROLS, entry::FormFile, error::FormError};
use self::{
    control::{Choice, ControlKind, FormControl, SubmitterOverrides, controls_of},
    entry::{FormEntry, Submitter, Value, entry_list},
};
use crate::{request::Request, response::Response};

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
    submitter: Chosen,
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
enum Chosen {
    /// Its first enabled submit button, if there is one.
    First,
    Button(Submitter),
    /// A script, without a button.
    Script,
}

/// The most names or values in an error.
const MAX_SHOWN: usize = 20;

/// The encoding of a form's entries.
#[derive(Clone, Copy)]
enum Enctype {
    Urlencoded,
    Multipart,
    Plain,
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
        let (controls, left_out) = controls_of(form);
        Ok(Form { page: self, element: form, controls, left_out, submitter: Chosen::First, added: Vec::new() })
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

    /// Sets the value of the first enabled control of this name: an input, a text area or, as a script can, a hidden
    /// input. In a select, checkboxes or radio buttons it chooses this value, like [`Form::choose`].
    ///
    /// # Errors
    /// There is no such control, or it cannot have this value.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Result<Self, FormError> {
        let value = value.into();
        let can_hold = |control: &FormControl| {
            !matches!(
                control.kind,
                ControlKind::File { .. } | ControlKind::Submit | ControlKind::Image | ControlKind::OtherButton
            )
        };
        let at = self.find(name, "control with a value", can_hold)?;
        let Some(control) = self.controls.get_mut(at) else { return Ok(self) };
        match &control.kind {
            ControlKind::Text { of, bounds, .. } => {
                let held = of.sanitized(&value, *bounds);
                if held.is_empty() && !value.is_empty() {
                    return Err(FormError::NoValue { name: name.to_owned(), kind: of.name(), value });
                }
                control.value = held;
                Ok(self)
            }
            ControlKind::Textarea => {
                control.value = value.replace("\r\n", "\n").replace('\r', "\n");
                Ok(self)
            }
            _ => self.choose(name, &value),
        }
    }

    /// Chooses an option by its value or text, or checks the radio button or checkbox with this value. In a select with
    /// `multiple`, and for checkboxes, earlier choices stay: see [`Form::uncheck`].
    ///
    /// # Errors
    /// No select, radio button or checkbox of this name has this value.
    pub fn choose(mut self, name: &str, value: &str) -> Result<Self, FormError> {
        let can_choose = |control: &FormControl| {
            matches!(
                control.kind,
                ControlKind::Select { .. } | ControlKind::Radio { .. } | ControlKind::Checkbox { .. }
            )
        };
        self.find(name, "select, radio button or checkbox", can_choose)?;
        let offers = |control: &FormControl| control.name == name && !control.is_disabled && control.offers(value);
        let Some(at) = self.controls.iter().position(offers) else {
            let named = self.controls.iter().filter(|control| control.name == name);
            let values = named.flat_map(FormControl::choices).take(MAX_SHOWN).collect();
            return Err(FormError::NoChoice { name: name.to_owned(), value: value.to_owned(), values });
        };
        if matches!(self.controls.get(at).map(|control| &control.kind), Some(ControlKind::Radio { .. })) {
            self.clear_radios(name);
        }
        if let Some(control) = self.controls.get_mut(at) {
            control.choose(value);
        }
        Ok(self)
    }

    /// Checks the first checkbox of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn check(mut self, name: &str) -> Result<Self, FormError> {
        let at = self.find(name, "checkbox", |control| matches!(control.kind, ControlKind::Checkbox { .. }))?;
        if let Some(control) = self.controls.get_mut(at) {
            control.kind = ControlKind::Checkbox { is_checked: true };
        }
        Ok(self)
    }

    /// Unchecks all checkboxes and radio buttons of this name, and deselects all options of its selects.
    ///
    /// # Errors
    /// There are none.
    pub fn uncheck(mut self, name: &str) -> Result<Self, FormError> {
        let can_choose = |control: &FormControl| {
            matches!(
                control.kind,
                ControlKind::Select { .. } | ControlKind::Radio { .. } | ControlKind::Checkbox { .. }
            )
        };
        self.find(name, "select, radio button or checkbox", can_choose)?;
        self.controls.iter_mut().filter(|control| control.name == name).for_each(FormControl::clear);
        Ok(self)
    }

    /// Chooses a file for the file input of this name. With `multiple`, each call adds one; otherwise the last call
    /// wins.
    ///
    /// ```
    /// # use actix_crawler::{form::FormFile, prelude::*};
    /// let html = "<form method=post enctype=multipart/form-data><input type=file name=photo></form>";
    /// let page = Response::html("https://e.org/up", html);
    /// let request = page.form("form")?.file("photo", FormFile::new("a.png", "image/png", &b"\x89PNG"[..]))?.submit()?;
    /// assert!(request.headers[0].1.starts_with("multipart/form-data; boundary="));
    /// # Ok::<(), actix_crawler::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no file input of this name.
    pub fn file(mut self, name: &str, file: FormFile) -> Result<Self, FormError> {
        let at = self.find(name, "file input", |control| matches!(control.kind, ControlKind::File { .. }))?;
        if let Some(FormControl { kind: ControlKind::File { files, is_multiple }, .. }) = self.controls.get_mut(at) {
            if !*is_multiple {
                files.clear();
            }
            files.push(file);
        }
        Ok(self)
    }

    /// Enables the controls of this name, as a script would once others are filled in.
    #[must_use]
    pub fn enable(mut self, name: &str) -> Self {
        self.controls.iter_mut().filter(|control| control.name == name).for_each(|control| control.is_disabled = false);
        self
    }

    /// Removes the controls of this name, and entries added under it.
    #[must_use]
    pub fn remove(mut self, name: &str) -> Self {
        self.controls.iter_mut().filter(|control| control.name == name).for_each(|control| control.is_disabled = true);
        self.added.retain(|entry| entry.name != name);
        self
    }

    /// Adds a name and a value after those of the controls, as a script would.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.added.push(FormEntry { name: name.into(), value: Value::Text(value.into()) });
        self
    }

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
        self.submitter = Chosen::Button(Submitter { at, point: (x, y) });
        Ok(self)
    }

    /// Submits the form without a button, like a script's `form.submit()`.
    #[must_use]
    pub fn without_button(mut self) -> Self {
        self.submitter = Chosen::Script;
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
            Chosen::Button(button) => Some(button),
            Chosen::Script => None,
            Chosen::First => {
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

    /// Finds the first enabled control of this name that is suitable.
    fn find(
        &self,
        name: &str,
        wanted: &'static str,
        is_wanted: impl Fn(&FormControl) -> bool,
    ) -> Result<usize, FormError> {
        let is_it = |control: &FormControl| control.name == name && is_wanted(control);
        if let Some(at) = self.controls.iter().position(|control| is_it(control) && !control.is_disabled) {
            return Ok(at);
        }
        if self.controls.iter().any(is_it) {
            return Err(FormError::Disabled { name: name.to_owned() });
        }
        let names = self.names().into_iter().take(MAX_SHOWN).map(str::to_owned).collect();
        Err(FormError::NoControl { name: name.to_owned(), wanted, names })
    }

    fn clear_radios(&mut self, name: &str) {
        let radios = self.controls.iter_mut().filter(|control| control.name == name);
        radios.filter(|control| matches!(control.kind, ControlKind::Radio { .. })).for_each(FormControl::clear);
    }
}

impl FormControl {
    /// Tells whether `value` can be chosen here.
    fn offers(&self, value: &str) -> bool {
        match &self.kind {
            ControlKind::Select { options, .. } => options.iter().any(|option| option.is(value)),
            ControlKind::Checkbox { .. } | ControlKind::Radio { .. } => self.value == value,
            _ => false,
        }
    }

    /// Returns the values that can be chosen here.
    fn choices(&self) -> Vec<String> {
        match &self.kind {
            ControlKind::Select { options, .. } => options.iter().map(|option| option.value.clone()).collect(),
            _ => vec![self.value.clone()],
        }
    }

    fn choose(&mut self, value: &str) {
        match &mut self.kind {
            ControlKind::Checkbox { is_checked } | ControlKind::Radio { is_checked } => *is_checked = true,
            ControlKind::Select { options, is_multiple } => {
                // A value has priority over a text.
                let chosen = options.iter().position(|option| option.value == value && !option.is_disabled);
                let chosen = chosen.or_else(|| options.iter().position(|option| option.is(value)));
                for (at, option) in options.iter_mut().enumerate() {
                    option.is_selected = Some(at) == chosen || (*is_multiple && option.is_selected);
                }
            }
            _ => {}
        }
    }

    fn clear(&mut self) {
        match &mut self.kind {
            ControlKind::Checkbox { is_checked } | ControlKind::Radio { is_checked } => *is_checked = false,
            ControlKind::Select { options, .. } => options.iter_mut().for_each(|option| option.is_selected = false),
            _ => {}
        }
    }
}

impl Choice {
    /// Tells whether `value` refers to this option, and it can be chosen.
    fn is(&self, value: &str) -> bool {
        !self.is_disabled && (self.value == value || self.text == value)
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

#[cfg(test)]
mod tests;
