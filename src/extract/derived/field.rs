//! FieldRule: what a field of a struct is read from. Made by the macro, one `static` for each field.

use std::fmt::Display;

use super::{
    FieldValue, Piece, Source,
    locate::{Locate, Most},
    piece::{PiecePart, WantedPiece},
};
use crate::extract::selector_error::SelectorError;

/// What a field is read from.
pub struct FieldRule<P> {
    /// The name of its struct.
    of: &'static str,
    name: &'static str,
    place: P,
    wanted: WantedPiece,
}

impl<P> FieldRule<P> {
    pub const fn new(of: &'static str, name: &'static str, place: P) -> Self {
        Self { of, name, place, wanted: WantedPiece { part: PiecePart::Text, url: false, re: None, trim: false } }
    }

    #[must_use]
    pub const fn attr(mut self, name: &'static str) -> Self {
        self.wanted.part = PiecePart::Attr(name);
        self
    }

    #[must_use]
    pub const fn own_text(mut self) -> Self {
        self.wanted.part = PiecePart::OwnText;
        self
    }

    #[must_use]
    pub const fn raw_text(mut self) -> Self {
        self.wanted.part = PiecePart::RawText;
        self
    }

    #[must_use]
    pub const fn html(mut self) -> Self {
        self.wanted.part = PiecePart::Html;
        self
    }

    #[must_use]
    pub const fn inner_html(mut self) -> Self {
        self.wanted.part = PiecePart::InnerHtml;
        self
    }

    #[must_use]
    pub const fn url(mut self) -> Self {
        self.wanted.url = true;
        self
    }

    #[must_use]
    pub const fn re(mut self, pattern: &'static str) -> Self {
        self.wanted.re = Some(pattern);
        self
    }

    #[must_use]
    pub const fn trim(mut self) -> Self {
        self.wanted.trim = true;
        self
    }
}

impl<P: Locate> FieldRule<P> {
    /// Compiles what the field is found by.
    ///
    /// # Errors
    /// It cannot be compiled.
    pub fn check(&self) -> Result<(), SelectorError> {
        let regex = self.wanted.re.map_or(Ok(()), |pattern| crate::extract::regexes::regex(pattern).map(drop));
        self.place.check().and(regex).map_err(|error| self.name(error))
    }

    /// Reads a required field.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub fn one<T: FieldValue>(&self, from: &Source<'_>) -> Result<T, SelectorError> {
        self.required(from, T::of_piece)
    }

    /// Reads a field that may be missing.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn maybe<T: FieldValue>(&self, from: &Source<'_>) -> Result<Option<T>, SelectorError> {
        self.first(from, T::of_piece)
    }

    /// Reads a field with many values.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn many<T: FieldValue>(&self, from: &Source<'_>) -> Result<Vec<T>, SelectorError> {
        self.all(from, T::of_piece)
    }

    /// As [`one`](Self::one), by a function.
    ///
    /// # Errors
    /// It is missing, or cannot be read.
    pub fn one_by<T, E: Display>(
        &self,
        from: &Source<'_>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, SelectorError> {
        self.required(from, |piece| parsed(piece, &parse))
    }

    /// As [`maybe`](Self::maybe), by a function.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn maybe_by<T, E: Display>(
        &self,
        from: &Source<'_>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, SelectorError> {
        self.first(from, |piece| parsed(piece, &parse))
    }

    /// As [`many`](Self::many), by a function.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn many_by<T, E: Display>(
        &self,
        from: &Source<'_>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, SelectorError> {
        self.all(from, |piece| parsed(piece, &parse))
    }

    fn required<T>(
        &self,
        from: &Source<'_>,
        read: impl Fn(&Piece<'_>) -> Result<Option<T>, SelectorError>,
    ) -> Result<T, SelectorError> {
        let Some(piece) = self.piece(from)? else { return Err(self.name(self.place.missing(from))) };
        read(&piece).and_then(|value| value.ok_or_else(|| piece.missing())).map_err(|error| self.name(error))
    }

    fn first<T>(
        &self,
        from: &Source<'_>,
        read: impl Fn(&Piece<'_>) -> Result<Option<T>, SelectorError>,
    ) -> Result<Option<T>, SelectorError> {
        let Some(piece) = self.piece(from)? else { return Ok(None) };
        read(&piece).map_err(|error| self.name(error))
    }

    fn piece<'f>(&self, from: &'f Source<'f>) -> Result<Option<Piece<'f>>, SelectorError> {
        let found = self.place.find(from, Most::One).map_err(|error| self.name(error))?.into_iter().next();
        Ok(found.map(|found| Piece { found, wanted: self.wanted, from }))
    }

    fn all<T>(
        &self,
        from: &Source<'_>,
        read: impl Fn(&Piece<'_>) -> Result<Option<T>, SelectorError>,
    ) -> Result<Vec<T>, SelectorError> {
        let mut values = Vec::new();
        for found in self.place.find(from, Most::All).map_err(|error| self.name(error))? {
            values.extend(read(&Piece { found, wanted: self.wanted, from }).map_err(|error| self.name(error))?);
        }
        Ok(values)
    }

    /// Says which field an error is of.
    fn name(&self, error: SelectorError) -> SelectorError {
        // The others say themselves what was looked for, or in which field within.
        let tells = matches!(
            error,
            SelectorError::NoAttribute { .. } | SelectorError::Value { .. } | SelectorError::Nested { .. }
        );
        let found_by = self.place.written().filter(|_| tells);
        SelectorError::Field { field: self.name, of: self.of, found_by, source: Box::new(error) }
    }
}

fn parsed<T, E: Display>(piece: &Piece<'_>, parse: impl Fn(&str) -> Result<T, E>) -> Result<Option<T>, SelectorError> {
    let Some(text) = piece.text()? else { return Ok(None) };
    parse(&text).map(Some).map_err(|error| piece.refuse(&text, &format!("cannot be parsed: {error}")))
}
