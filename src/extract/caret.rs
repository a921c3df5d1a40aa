//! Caret: an expression with a mark under its fault, for the messages of errors. Knows no language.

/// The most characters shown before and after a fault.
const AROUND: usize = 50;

/// Returns the line of `text` that has byte `at`, indented, and under it a caret at that place. Begins with a line end.
pub(super) fn caret(text: &str, at: usize) -> String {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let before = before.rsplit('\n').next().unwrap_or_default();
    let after = after.split('\n').next().unwrap_or_default();
    // Tabs would move the caret.
    let plain = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let (before, after) = (plain(before), plain(after));
    let hidden = before.chars().count().saturating_sub(AROUND);
    let cut = |hidden: bool| if hidden { "…" } else { "" };
    let start = format!("{}{}", cut(hidden > 0), before.chars().skip(hidden).collect::<String>());
    let end: String = after.chars().take(AROUND).collect();
    let indent = " ".repeat(start.chars().count());
    format!("\n    {start}{end}{}\n    {indent}^", cut(end.len() < after.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_fault_in_its_line() {
        assert_eq!(caret("p[", 1), "\n    p[\n     ^");
        assert_eq!(caret("é >", 3), "\n    é >\n      ^");
        assert_eq!(caret("a,\nb\t!\nc", 5), "\n    b !\n      ^");
        assert_eq!(caret("", 0), "\n    \n    ^");
        assert_eq!(caret("p", 9), "\n    p\n     ^");
        let long = caret(&"x".repeat(1_000), 500);
        assert_eq!(long.lines().nth(1).unwrap().chars().count(), 4 + 1 + 50 + 50 + 1);
        assert_eq!(long.lines().nth(2).unwrap().chars().count(), 4 + 1 + 50 + 1);
    }
}
