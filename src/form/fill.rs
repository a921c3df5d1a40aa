//! Fill: sets, chooses and removes values of a form, as a person or a script does. Does not know how a form is sent.

use super::{
    Form,
    control::{ControlKind, FormControl},
    entry::{EntryValue, FormEntry},
    error::FormError,
    file::FormFile,
    lines::with_line_feeds,
};

/// The most names or values in an error.
const MAX_SHOWN: usize = 20;

impl Form<'_> {
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
            ControlKind::Textarea { .. } => {
                control.value = with_line_feeds(&value);
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
        self.find(name, "select, radio button or checkbox", FormControl::is_choice)?;
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
        self.find(name, "select, radio button or checkbox", FormControl::is_choice)?;
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
        self.added.push(FormEntry { name: name.into(), value: EntryValue::Text(value.into()) });
        self
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
