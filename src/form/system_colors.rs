//! SystemColors: the colours of the system (CSS Color 4 §6.2, Appendix A), as Chromium has them on Linux without a
//! theme.

/// Returns a colour by its name, in eight bits of sRGB.
pub(super) fn system_color(name: &str) -> Option<[u8; 3]> {
    COLORS.iter().find(|(_, names)| names.iter().any(|known| known.eq_ignore_ascii_case(name))).map(|(color, _)| *color)
}

/// Those that are not black.
const COLORS: [([u8; 3], &[&str]); 11] = [
    (
        [0xff; 3],
        &[
            "ActiveCaption",
            "AppWorkspace",
            "Background",
            "Canvas",
            "Field",
            "HighlightText",
            "InactiveCaption",
            "InfoBackground",
            "Menu",
            "Scrollbar",
            "SelectedItemText",
            "Window",
        ],
    ),
    ([0xef; 3], &["ButtonFace", "ButtonHighlight", "ButtonShadow", "ThreeDFace"]),
    (
        [0x76; 3],
        &[
            "ActiveBorder",
            "ButtonBorder",
            "InactiveBorder",
            "ThreeDDarkShadow",
            "ThreeDHighlight",
            "ThreeDLightShadow",
            "ThreeDShadow",
            "WindowFrame",
        ],
    ),
    ([0x80; 3], &["GrayText", "InactiveCaptionText"]),
    ([0x00, 0x00, 0xee], &["LinkText"]),
    ([0x55, 0x1a, 0x8b], &["VisitedText"]),
    ([0xff, 0x00, 0x00], &["ActiveText"]),
    ([0x00, 0x41, 0xc6], &["Highlight"]),
    ([0x19, 0x67, 0xd2], &["SelectedItem"]),
    ([0xff, 0xff, 0x00], &["Mark"]),
    ([0; 3], &["CanvasText"]),
];
