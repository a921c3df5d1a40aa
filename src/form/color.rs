//! Color: a CSS colour as `<input type=color>` sends it, in eight bits of sRGB (HTML §4.10.5.1.14, CSS Color 4). Knows
//! no form.

use cssparser::{
    ParseError, Parser,
    color::{parse_hash_color, parse_named_color},
    match_ignore_ascii_case,
};

use super::{
    color_part::ColorPart,
    srgb::{hsl, hwb, in_space, of_lab, of_oklab, polar},
    system_colors::system_color,
};

/// Returns a colour as `#rrggbb`, without its opacity; black if it is none.
///
/// Known are the colours by number and by name, those of the system, such as `Canvas`, and the functions `rgb`, `hsl`,
/// `hwb`, `lab`, `lch`, `oklab`, `oklch` and `color`. `color-mix()` and colours relative to others are black in
/// Chromium too. So is what the attributes `alpha` and `colorspace` ask for: it sends neither.
pub(super) fn as_hex(text: &str) -> String {
    let [red, green, blue] = parse(text).unwrap_or_default();
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn parse(text: &str) -> Option<[u8; 3]> {
    if let Some(hex) = text.strip_prefix('#') {
        return parse_hash_color(hex.as_bytes()).ok().map(|(red, green, blue, _)| [red, green, blue]);
    }
    if let Ok((red, green, blue)) = parse_named_color(text) {
        return Some([red, green, blue]);
    }
    if let Some(color) = system_color(text) {
        return Some(color);
    }
    let mut parser = Parser::new(text);
    let name = parser.expect_function().ok()?.clone();
    let color = parser.parse_nested_block(|inside| Ok::<_, ParseError<()>>(function(&name, inside))).ok()??;
    parser.is_exhausted().then(|| color.map(byte))
}

/// Returns the colour of a function, in sRGB from 0 to 1; parts may lie outside.
fn function(name: &str, inside: &mut Parser<'_>) -> Option<[f64; 3]> {
    let space =
        if name.eq_ignore_ascii_case("color") { Some(inside.expect_ident().ok()?.to_ascii_lowercase()) } else { None };
    let parts = ColorParts::read(inside).ok()?;
    let hue = match_ignore_ascii_case! { name,
        "hsl" | "hsla" | "hwb" => Some(0),
        "lch" | "oklch" => Some(2),
        _ => None,
    };
    parts.has_angles_only_at(hue)?;
    match_ignore_ascii_case! { name,
        "rgb" | "rgba" => {
            parts.is_legacy_of(|parts| parts.iter().all(|part| part.is_percent()) || parts.iter().all(|part| part.is_number()))?;
            Some(parts.map([255.0; 3]).map(|part| part / 255.0))
        },
        "hsl" | "hsla" => {
            parts.is_legacy_of(|[_, saturation, lightness]| saturation.is_percent() && lightness.is_percent())?;
            let [_, saturation, lightness] = parts.map([1.0, 100.0, 100.0]);
            Some(hsl(parts.hue(0)?, (saturation / 100.0).max(0.0), lightness / 100.0))
        },
        "hwb" => {
            parts.is_modern()?;
            let [_, white, black] = parts.map([1.0, 100.0, 100.0]);
            Some(hwb(parts.hue(0)?, white / 100.0, black / 100.0))
        },
        "lab" => {
            parts.is_written_out()?;
            Some(of_lab(parts.map([100.0, 125.0, 125.0])))
        },
        "lch" => {
            parts.is_written_out()?;
            let [lightness, chroma, _] = parts.map([100.0, 150.0, 1.0]);
            Some(of_lab(polar(lightness, chroma, parts.hue(2)?)))
        },
        "oklab" => {
            parts.is_written_out()?;
            Some(of_oklab(parts.map([1.0, 0.4, 0.4])))
        },
        "oklch" => {
            parts.is_written_out()?;
            let [lightness, chroma, _] = parts.map([1.0, 0.4, 1.0]);
            Some(of_oklab(polar(lightness, chroma, parts.hue(2)?)))
        },
        "color" => {
            parts.is_modern()?;
            in_space(&space?, parts.map([1.0; 3]))
        },
        _ => None,
    }
}

/// The three parts of a colour, whose opacity is read and dropped.
struct ColorParts {
    given: [ColorPart; 3],
    /// With commas between them.
    is_legacy: bool,
    is_calculated: bool,
}

impl ColorParts {
    fn read(inside: &mut Parser<'_>) -> Result<Self, ()> {
        let comma = |inside: &mut Parser<'_>| inside.try_parse(|inside| inside.expect_comma().map_err(drop)).is_ok();
        let mut is_calculated = false;
        let mut part = |inside: &mut Parser<'_>| ColorPart::read(inside, &mut is_calculated);
        let first = part(inside)?;
        let is_legacy = comma(inside);
        let second = part(inside)?;
        if comma(inside) != is_legacy {
            return Err(());
        }
        let given = [first, second, part(inside)?];
        if !inside.is_exhausted() {
            let has_opacity = if is_legacy { comma(inside) } else { inside.expect_delim('/').is_ok() };
            let opacity = part(inside)?;
            if !has_opacity || matches!(opacity, ColorPart::Angle(_)) || !inside.is_exhausted() {
                return Err(());
            }
        }
        Ok(Self { given, is_legacy, is_calculated })
    }

    /// Returns the numbers, where 100 % are these. A missing one is zero.
    fn map(&self, whole: [f64; 3]) -> [f64; 3] {
        let [first, second, third] = self.given;
        let [of_first, of_second, of_third] = whole;
        let number = |part: ColorPart, whole: f64| match part {
            ColorPart::Number(number) | ColorPart::Angle(number) => number,
            ColorPart::Percent(percent) => percent * whole,
            ColorPart::None => 0.0,
        };
        [number(first, of_first), number(second, of_second), number(third, of_third)]
    }

    /// Returns a part in degrees; `None` if it is a percentage.
    fn hue(&self, at: usize) -> Option<f64> {
        match self.given.get(at)? {
            ColorPart::Number(degrees) | ColorPart::Angle(degrees) => Some(degrees.rem_euclid(360.0)),
            ColorPart::Percent(_) => None,
            ColorPart::None => Some(0.0),
        }
    }

    fn has_angles_only_at(&self, hue: Option<usize>) -> Option<()> {
        let is_angle = |(at, part): (usize, &ColorPart)| matches!(part, ColorPart::Angle(_)) && Some(at) != hue;
        (!self.given.iter().enumerate().any(is_angle)).then_some(())
    }

    fn is_modern(&self) -> Option<()> {
        (!self.is_legacy).then_some(())
    }

    /// Tells whether Chromium writes it as a colour: in these spaces it keeps a calculation as it is, and so has none.
    fn is_written_out(&self) -> Option<()> {
        (!self.is_legacy && !self.is_calculated).then_some(())
    }

    /// Tells whether it is well formed: with commas its parts are never missing, and as asked.
    fn is_legacy_of(&self, is_asked: impl Fn([ColorPart; 3]) -> bool) -> Option<()> {
        (!self.is_legacy || (!self.given.contains(&ColorPart::None) && is_asked(self.given))).then_some(())
    }
}

fn byte(part: f64) -> u8 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
    let byte = (part.clamp(0.0, 1.0) * 255.0).round() as u8;
    byte
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each as Chromium 156 has it in `input.value`.
    #[test]
    fn colours_are_those_of_a_browser() {
        for (text, expected) in [
            ("rgb(255, 0, 0)", "#ff0000"),
            ("rgb(255 0 0)", "#ff0000"),
            ("rgb(100% 50% 0%)", "#ff8000"),
            ("rgba(1,2,3,.5)", "#010203"),
            ("rgb(1 2 3 / 50%)", "#010203"),
            ("rgb(300 -5 12.5)", "#ff000d"),
            ("rgb(12.5 13.5 0.4)", "#0d0e00"),
            ("hsl(120,100%,50%)", "#00ff00"),
            ("hsl(120deg 100% 25%)", "#008000"),
            ("hsl(0.5turn 50% 50% / .3)", "#40bfbf"),
            ("hsl(none 50% 50%)", "#bf4040"),
            ("hwb(90 10% 20%)", "#73cc1a"),
            ("hwb(0 80% 80%)", "#808080"),
            ("lab(50% 40 59.5)", "#bf5700"),
            ("lab(50 40 59.5)", "#bf5700"),
            ("lch(52.2% 72.2 50)", "#cd561a"),
            ("oklab(40.1% 0.1143 0.045)", "#7d2429"),
            ("oklch(60% 0.15 50)", "#c46016"),
            ("oklch(70% 0.4 150)", "#00d600"),
            ("color(srgb 1 0.5 0)", "#ff8000"),
            ("color(display-p3 1 0 0)", "#ff0000"),
            ("color(display-p3 0 1 0)", "#00ff00"),
            ("color(srgb-linear 0.5 0.5 0.5)", "#bcbcbc"),
            ("color(rec2020 0.25 0.5 0.75)", "#0090cc"),
            ("color(a98-rgb 0.25 0.6 0.75)", "#009ac2"),
            ("color(prophoto-rgb 0.25 0.5 0.75)", "#009cd2"),
            ("color(xyz 0.3 0.3 0.3)", "#a2918f"),
            ("color(xyz-d50 0.3 0.3 0.3)", "#9793a5"),
            ("color(xyz-d65 0.3 0.3 0.3)", "#a2918f"),
            ("currentcolor", "#000000"),
            ("transparent", "#000000"),
            ("CanvasText", "#000000"),
            ("accentcolor", "#000000"),
            ("inherit", "#000000"),
            ("color-mix(in srgb, red, blue)", "#000000"),
            ("color-mix(in oklab, red, blue)", "#000000"),
            ("rgb(from red r g b)", "#000000"),
            ("#12345678", "#123456"),
            ("#abc8", "#aabbcc"),
            ("RED", "#ff0000"),
            ("rgb(1,2)", "#000000"),
            ("rgb(1 2 3 4)", "#000000"),
            ("rgb(1,2,3 / 4)", "#000000"),
            ("rgb(1 2 3", "#010203"),
            ("rgb( 1 , 2 , 3 )", "#010203"),
            ("rgb(/**/1 2 3)", "#010203"),
            ("rgb(none 0 0)", "#000000"),
            ("rgb(1,2%,3)", "#000000"),
            ("rgb(1 2% 3)", "#010503"),
            ("light-dark(red, blue)", "#000000"),
            ("hsl(120 100 50)", "#00ff00"),
            ("color(srgb 2 0 0)", "#ff0000"),
            ("color(srgb none 1 50%)", "#00ff80"),
            ("device-cmyk(0 1 1 0)", "#000000"),
            ("rgb(1e2 0 0)", "#640000"),
            ("hsl(1e1000 50% 50%)", "#bf4040"),
            ("color(foo 1 1 1)", "#000000"),
            ("RGB(1 2 3)", "#010203"),
            ("contrast-color(red)", "#000000"),
            ("var(--x)", "#000000"),
            ("red;", "#000000"),
            ("rgb(+1 2 3)", "#010203"),
            ("hsl(-120 100% 50%)", "#0000ff"),
            ("hsl(120 150% 50%)", "#00ff00"),
            ("hsl(120,100%,150%)", "#ffffff"),
            ("lab(150% 0 0)", "#ffffff"),
            ("oklch(1.5 0 0)", "#ffffff"),
            ("color(display-p3 0.25 0.5 0.75 / 0.5)", "#2081c5"),
            ("rgb(calc(1 + 2) 0 0)", "#030000"),
            ("rgb(calc(1 + 2), 0, 0)", "#030000"),
            ("rgb(calc(50% + 10%) 0 0)", "#990000"),
            ("rgb(calc(50% + 10) 0 0)", "#000000"),
            ("rgb(calc(50%) calc(10) 0)", "#800a00"),
            ("rgb(calc(2 * 3) calc(10 / 4) calc((1 + 2) * 3))", "#060309"),
            ("rgb(calc(1+2) 0 0)", "#000000"),
            ("rgb(calc(1 +2) 0 0)", "#000000"),
            ("rgb(calc(1 - 2) 0 0)", "#000000"),
            ("rgb(calc(300) 0 0)", "#ff0000"),
            ("rgb(calc(1 / 0) 0 0)", "#ff0000"),
            ("rgb(calc(0 / 0) 0 0)", "#000000"),
            ("rgb(calc(infinity) 0 0)", "#ff0000"),
            ("rgb(calc(-infinity) 0 0)", "#000000"),
            ("rgb(calc(NaN) 0 0)", "#000000"),
            ("rgb(calc(pi * 10) 0 0)", "#1f0000"),
            ("rgb(calc(e * 10) 0 0)", "#1b0000"),
            ("rgb(min(1, 2, 200) 0 0)", "#010000"),
            ("rgb(max(1, 2, 200) 0 0)", "#c80000"),
            ("rgb(clamp(1, 300, 20) 0 0)", "#140000"),
            ("hsl(calc(60deg + 60deg) 100% 50%)", "#00ff00"),
            ("hsl(calc(0.25turn + 30deg) 100% 50%)", "#00ff00"),
            ("hsl(calc(120) 100% 50%)", "#00ff00"),
            ("hsl(120 calc(50% + 50%) 50%)", "#00ff00"),
            ("hsl(120 calc(50 + 50) 50)", "#00ff00"),
            ("hsl(calc(100grad + 30deg), 100%, 50%)", "#00ff00"),
            ("hwb(calc(90) calc(10%) 20%)", "#73cc1a"),
            ("lab(calc(50% + 0%) calc(40) 59.5)", "#000000"),
            ("lch(52.2% 72.2 calc(50deg))", "#000000"),
            ("oklab(calc(0.401) 0.1143 0.045)", "#000000"),
            ("oklch(calc(60%) 0.15 calc(50))", "#000000"),
            ("color(srgb calc(0.5 + 0.5) 0.5 0)", "#ff8000"),
            ("color(srgb calc(50% + 50%) 0.5 0)", "#ff8000"),
            ("rgb(1 2 3 / calc(0.5))", "#010203"),
            ("rgb(1 2 3 / calc(50%))", "#010203"),
            ("rgb(1 2 3 / calc(1 +))", "#000000"),
            ("rgb(calc() 0 0)", "#000000"),
            ("rgb(calc(1 2) 0 0)", "#000000"),
            ("rgb(calc(none) 0 0)", "#000000"),
            ("rgb(calc(1 * 2%) 0 0)", "#050000"),
            ("rgb(calc(100% * 2) 0 0)", "#ff0000"),
            ("rgb(calc(100% / 2) 0 0)", "#800000"),
            ("rgb(calc(100% / 2%) 0 0)", "#000000"),
            ("rgb(calc(100% * 2%) 0 0)", "#000000"),
            ("rgb(calc(calc(1 + 1) + calc(2)) 0 0)", "#040000"),
            ("rgb(calc((1)) 0 0)", "#010000"),
            ("rgb(calc(1 + 2 0 0)", "#000000"),
            ("rgb(CALC(1 + 2) 0 0)", "#030000"),
            ("rgb(-webkit-calc(1 + 2) 0 0)", "#030000"),
            ("rgb(calc(2 * (3 - 1) / 4 + 7) 0 0)", "#080000"),
            ("rgb(calc(12.5) 0 0)", "#0d0000"),
            ("rgb(calc(12.4) 0 0)", "#0c0000"),
            ("rgb(calc(-5) 0 0)", "#000000"),
            ("hsl(120 calc(200%) 50%)", "#00ff00"),
            ("rgb(calc(1deg) 0 0)", "#000000"),
            ("hsl(calc(1 / 0) 100% 50%)", "#ff0000"),
            ("hsl(calc(10deg / 0) 100% 50%)", "#ff0000"),
            ("hsl(calc(10%) 100% 50%)", "#000000"),
            ("rgb(calc(1 + 2)0 0)", "#030000"),
            ("rgb(calc(1 + 2)calc(3)4)", "#030304"),
            ("rgb(calc(1/* */+ 2) 0 0)", "#000000"),
            ("rgb(calc(1 /**/ + 2) 0 0)", "#030000"),
            ("rgb(calc( 1 + 2 ) 0 0)", "#030000"),
            ("rgb(calc(1\n+\n2) 0 0)", "#030000"),
            ("rgb(calc(2*3) 0 0)", "#060000"),
            ("rgb(calc(6/3) 0 0)", "#020000"),
            ("rgb(calc(6/-3) 0 0)", "#000000"),
            ("rgb(calc(1 + -2) 0 0)", "#000000"),
            ("rgb(calc(10 - -2) 0 0)", "#0c0000"),
            ("rgb(calc(10 -2) 0 0)", "#000000"),
            ("rgb(calc(10- 2) 0 0)", "#000000"),
            ("rgb(calc(1e1) 0 0)", "#0a0000"),
            ("color(srgb calc(1 / 3) 0 0)", "#550000"),
            ("rgb(calc(1 + 2%) 0 0)", "#000000"),
            ("rgb(10% calc(5) 3)", "#1a0503"),
            ("rgb(10%, calc(5), 3%)", "#000000"),
            ("rgb(10, calc(5), 3)", "#0a0503"),
            ("rgb(10, calc(5%), 3)", "#000000"),
            ("rgb(200deg 0 0)", "#000000"),
            ("lab(1deg 0 0)", "#000000"),
            ("hsl(1 1deg 1)", "#000000"),
            ("Canvas", "#ffffff"),
            ("LinkText", "#0000ee"),
            ("VisitedText", "#551a8b"),
            ("ActiveText", "#ff0000"),
            ("ButtonFace", "#efefef"),
            ("ButtonText", "#000000"),
            ("ButtonBorder", "#767676"),
            ("Field", "#ffffff"),
            ("FieldText", "#000000"),
            ("Highlight", "#0041c6"),
            ("HighlightText", "#ffffff"),
            ("SelectedItem", "#1967d2"),
            ("SelectedItemText", "#ffffff"),
            ("Mark", "#ffff00"),
            ("MarkText", "#000000"),
            ("GrayText", "#808080"),
            ("AccentColor", "#000000"),
            ("AccentColorText", "#000000"),
            ("ActiveBorder", "#767676"),
            ("ActiveCaption", "#ffffff"),
            ("AppWorkspace", "#ffffff"),
            ("Background", "#ffffff"),
            ("ButtonHighlight", "#efefef"),
            ("ButtonShadow", "#efefef"),
            ("CaptionText", "#000000"),
            ("InactiveBorder", "#767676"),
            ("InactiveCaption", "#ffffff"),
            ("InactiveCaptionText", "#808080"),
            ("InfoBackground", "#ffffff"),
            ("InfoText", "#000000"),
            ("Menu", "#ffffff"),
            ("MenuText", "#000000"),
            ("Scrollbar", "#ffffff"),
            ("ThreeDDarkShadow", "#767676"),
            ("ThreeDFace", "#efefef"),
            ("ThreeDHighlight", "#767676"),
            ("ThreeDLightShadow", "#767676"),
            ("ThreeDShadow", "#767676"),
            ("Window", "#ffffff"),
            ("WindowFrame", "#767676"),
            ("WindowText", "#000000"),
            ("-webkit-link", "#000000"),
            ("-webkit-activelink", "#000000"),
            ("-webkit-focus-ring-color", "#000000"),
            ("-webkit-text", "#000000"),
            ("currentColor", "#000000"),
            ("-internal-light-dark(red, blue)", "#000000"),
            ("lab(50% 40 59.5 / calc(0.5))", "#000000"),
            ("lab(50% 40 59.5 / 0.5)", "#bf5700"),
            ("color(display-p3 calc(0.25) 0.5 0.75)", "#2081c5"),
            ("color(xyz calc(0.3) 0.3 0.3)", "#a2918f"),
            ("color(xyz calc(0.3) 0.3 0.3 / calc(1))", "#a2918f"),
            ("rgb(calc(min(1, 2) + max(3, 4)) 0 0)", "#050000"),
            ("rgb(min(1) 0 0)", "#010000"),
            ("rgb(min() 0 0)", "#000000"),
            ("rgb(min(1,) 0 0)", "#000000"),
            ("rgb(clamp(1, 2) 0 0)", "#000000"),
            ("rgb(clamp(none, 2, 1) 0 0)", "#010000"),
            ("rgb(clamp(10, 2, 1) 0 0)", "#0a0000"),
            ("rgb(min(1, 2%) 0 0)", "#000000"),
            ("rgb(min(10%, 20%) 0 0)", "#000000"),
            ("rgb(min(1 + 2, 2 * 4) 0 0)", "#030000"),
            ("rgb(min(calc(1), (2)) 0 0)", "#010000"),
            ("hsl(max(120deg, 0.1turn) 100% 50%)", "#00ff00"),
            ("hsl(max(120deg, 20) 100% 50%)", "#000000"),
            ("rgb(((1)) 0 0)", "#000000"),
            ("rgb(calc(((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))) 0 0)", "#010000"),
            ("hsl(calc(0 * 1deg + 120deg) 100% 50%)", "#00ff00"),
            ("hsl(calc(120deg / 1deg) 100% 50%)", "#000000"),
            ("rgb(calc(2 / 1 * 3) 0 0)", "#060000"),
            ("rgb(calc(10 - 2 - 3) 0 0)", "#050000"),
            ("rgb(calc(1 + 2)%, 0 0)", "#000000"),
            ("rgb(calc(1.5px) 0 0)", "#000000"),
            ("color(srgb calc(1 / 0) 0 0)", "#ff0000"),
            ("color(srgb calc(0 / 0) 0 0)", "#000000"),
            ("rgb(calc(1) , calc(2) , calc(3) , calc(0.4))", "#010203"),
            ("rgba(calc(1),2,3)", "#010203"),
            ("hwb(calc(1 / 0) 10% 20%)", "#cc1a1a"),
            ("hsl(calc(NaN) 100% 50%)", "#ff0000"),
            ("rgb(calc(-1 * infinity) 0 0)", "#000000"),
            ("rgb(calc(1 - infinity) 9 0)", "#000900"),
            ("rgb(calc(infinity - infinity) 9 0)", "#000900"),
            ("rgb(calc(10 * -1 + 20) 0 0)", "#0a0000"),
            ("rgb(calc(--1) 0 0)", "#000000"),
            ("rgb(calc(-(1)) 0 0)", "#000000"),
            ("rgb(calc(1 +(2)) 0 0)", "#000000"),
            ("rgb(calc(1 + (2)) 0 0)", "#030000"),
            ("rgb(calc((1)+ 2) 0 0)", "#000000"),
            ("rgb(calc((1) + 2) 0 0)", "#030000"),
            ("rgb(calc((1)*(2)) 0 0)", "#020000"),
            ("canvas", "#ffffff"),
            ("LINKTEXT", "#0000ee"),
            ("highlight", "#0041c6"),
            (" Canvas ", "#000000"),
            ("Canvas;", "#000000"),
        ] {
            assert_eq!(as_hex(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_colour(
            text in "(rgba?|hsla?|hwb|lab|lch|oklab|oklch|color)\\((srgb |xyz |rec2020 |prophoto-rgb )?([0-9e.+%-]{1,9}|none|, |/ |[0-9]+turn| |calc\\(|min\\(|\\(| [*/+-] |\\)){0,12}\\)?",
            other in "\\PC{0,20}",
        ) {
            for text in [text, other] {
                let hex = as_hex(&text);
                prop_assert!(hex.len() == 7 && hex[1..].bytes().all(|byte| byte.is_ascii_hexdigit()), "{hex}");
            }
        }
    }
}
