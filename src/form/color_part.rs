//! ColorPart: one part of a CSS colour: a number, a percentage, an angle, or a calculation with them (CSS Values 4
//! §10). Knows no colours.

use cssparser::{ParseError, Parser, Token, match_ignore_ascii_case};

/// A part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ColorPart {
    Number(f64),
    /// From 0 to 1.
    Percent(f64),
    /// In degrees.
    Angle(f64),
    None,
}

/// How deep calculations may be nested.
const MAX_DEPTH: u32 = 64;

impl ColorPart {
    /// Reads a part, and notes whether it is calculated.
    pub fn read(inside: &mut Parser<'_>, is_calculated: &mut bool) -> Result<Self, ()> {
        let token = inside.next().map_err(drop)?.clone();
        match &token {
            Token::Ident(word) if word.eq_ignore_ascii_case("none") => Ok(Self::None),
            Token::Function(name) => {
                *is_calculated = true;
                Ok(function(name, inside, MAX_DEPTH)?.finite())
            }
            token => Self::plain(token),
        }
    }

    fn plain(token: &Token<'_>) -> Result<Self, ()> {
        Ok(match token {
            Token::Number { value, .. } => Self::Number(finite(*value)),
            Token::Percentage { unit_value, .. } => Self::Percent(finite(*unit_value)),
            Token::Dimension { value, unit, .. } => {
                let degrees = match_ignore_ascii_case! { unit,
                    "deg" => 1.0,
                    "grad" => 0.9,
                    "rad" => 180.0 / std::f64::consts::PI,
                    "turn" => 360.0,
                    _ => return Err(()),
                };
                Self::Angle(finite(*value) * degrees)
            }
            _ => return Err(()),
        })
    }

    pub fn is_percent(self) -> bool {
        matches!(self, Self::Percent(_))
    }

    pub fn is_number(self) -> bool {
        matches!(self, Self::Number(_))
    }

    /// Calculates with two parts of one kind.
    fn with(self, other: Self, calculate: impl Fn(f64, f64) -> f64) -> Result<Self, ()> {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => Ok(Self::Number(calculate(one, other))),
            (Self::Percent(one), Self::Percent(other)) => Ok(Self::Percent(calculate(one, other))),
            (Self::Angle(one), Self::Angle(other)) => Ok(Self::Angle(calculate(one, other))),
            _ => Err(()),
        }
    }

    /// Changes the number of a part.
    fn map(self, calculate: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Number(number) => Self::Number(calculate(number)),
            Self::Percent(percent) => Self::Percent(calculate(percent)),
            Self::Angle(degrees) => Self::Angle(calculate(degrees)),
            Self::None => Self::None,
        }
    }

    /// Of what is no number, zero is left (CSS Values 4 §10.9.1), and of an endless angle too.
    fn finite(self) -> Self {
        match self {
            Self::Angle(degrees) if !degrees.is_finite() => Self::Angle(0.0),
            other => other.map(|number| if number.is_nan() { 0.0 } else { number.clamp(-LARGEST, LARGEST) }),
        }
    }
}

/// What is larger is cut off wherever it matters.
const LARGEST: f64 = f32::MAX as f64;

/// Infinity, which a number too long for it becomes, is cut off wherever it matters; of an angle nothing is left.
fn finite(value: f32) -> f64 {
    f64::from(value).clamp(-LARGEST, LARGEST)
}

/// Calculates a function, whose name was read.
fn function(name: &str, inside: &mut Parser<'_>, depth: u32) -> Result<ColorPart, ()> {
    match_ignore_ascii_case! { name,
        "calc" | "-webkit-calc" => in_brackets(inside, depth, sum),
        "min" => in_brackets(inside, depth, |inside, depth| extreme(inside, depth, f64::min)),
        "max" => in_brackets(inside, depth, |inside, depth| extreme(inside, depth, f64::max)),
        "clamp" => in_brackets(inside, depth, clamp),
        _ => Err(()),
    }
}

/// Calculates all that is in brackets, of which the first was read.
fn in_brackets(
    inside: &mut Parser<'_>,
    depth: u32,
    calculate: impl FnOnce(&mut Parser<'_>, u32) -> Result<ColorPart, ()>,
) -> Result<ColorPart, ()> {
    let depth = depth.checked_sub(1).ok_or(())?;
    let calculated = inside.parse_nested_block(|inside| {
        let part = calculate(inside, depth).ok();
        Ok::<_, ParseError<()>>(part.filter(|_| inside.is_exhausted()))
    });
    calculated.ok().flatten().ok_or(())
}

/// A sum; around its signs there is white space.
fn sum(inside: &mut Parser<'_>, depth: u32) -> Result<ColorPart, ()> {
    let mut total = product(inside, depth)?;
    loop {
        let before = inside.state();
        if !is_blank(inside) {
            inside.reset(&before);
            return Ok(total);
        }
        let sign = match inside.next() {
            Ok(Token::Delim('+')) => 1.0,
            Ok(Token::Delim('-')) => -1.0,
            _ => {
                inside.reset(&before);
                return Ok(total);
            }
        };
        if !is_blank(inside) {
            return Err(());
        }
        total = total.with(product(inside, depth)?, |one, other| one + sign * other)?;
    }
}

fn is_blank(inside: &mut Parser<'_>) -> bool {
    matches!(inside.next_including_whitespace(), Ok(Token::WhiteSpace(_)))
}

/// A product; one of two factors is a number, and what is divided by is one.
fn product(inside: &mut Parser<'_>, depth: u32) -> Result<ColorPart, ()> {
    let mut total = factor(inside, depth)?;
    loop {
        let before = inside.state();
        let divides = match inside.next() {
            Ok(Token::Delim('*')) => false,
            Ok(Token::Delim('/')) => true,
            _ => {
                inside.reset(&before);
                return Ok(total);
            }
        };
        total = match (total, factor(inside, depth)?) {
            (part, ColorPart::Number(by)) if divides => part.map(|number| number / by),
            (part, ColorPart::Number(by)) => part.map(|number| number * by),
            (ColorPart::Number(by), part) if !divides => part.map(|number| number * by),
            _ => return Err(()),
        };
    }
}

fn factor(inside: &mut Parser<'_>, depth: u32) -> Result<ColorPart, ()> {
    let token = inside.next().map_err(drop)?.clone();
    match &token {
        Token::ParenthesisBlock => in_brackets(inside, depth, sum),
        Token::Function(name) => function(name, inside, depth),
        Token::Ident(word) => Ok(ColorPart::Number(match_ignore_ascii_case! { word,
            "pi" => std::f64::consts::PI,
            "e" => std::f64::consts::E,
            "infinity" => f64::INFINITY,
            "-infinity" => f64::NEG_INFINITY,
            "nan" => f64::NAN,
            _ => return Err(()),
        })),
        token => ColorPart::plain(token),
    }
}

/// The least or the largest of several; Chromium takes no percentages here.
fn extreme(inside: &mut Parser<'_>, depth: u32, of_two: impl Fn(f64, f64) -> f64) -> Result<ColorPart, ()> {
    let mut extreme = sum(inside, depth)?;
    while !inside.is_exhausted() {
        inside.expect_comma().map_err(drop)?;
        extreme = extreme.with(sum(inside, depth)?, &of_two)?;
    }
    if extreme.is_percent() { Err(()) } else { Ok(extreme) }
}

/// A part between two others, of which each may be missing, and the first holds where they contradict each other.
fn clamp(inside: &mut Parser<'_>, depth: u32) -> Result<ColorPart, ()> {
    let bound =
        |inside: &mut Parser<'_>| match inside.try_parse(|inside| inside.expect_ident_matching("none").map_err(drop)) {
            Ok(()) => Ok(None),
            Err(()) => sum(inside, depth).map(Some),
        };
    let least = bound(inside)?;
    inside.expect_comma().map_err(drop)?;
    let mut part = sum(inside, depth)?;
    inside.expect_comma().map_err(drop)?;
    if let Some(most) = bound(inside)? {
        part = part.with(most, f64::min)?;
    }
    if let Some(least) = least {
        part = part.with(least, f64::max)?;
    }
    Ok(part)
}
