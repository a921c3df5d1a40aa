//! DeviceName: the names that are devices on Windows, whatever their ending. Knows no files.

/// Those without a number.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Tells whether a name of a file or a folder is that of a device on Windows, as `aux.com` and `COM1.txt` are.
pub(crate) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port = port.is_some_and(|number| {
        let mut signs = number.chars();
        matches!((signs.next(), signs.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
    });
    is_port || DEVICES.contains(&stem.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_one_whatever_its_ending_and_a_word_that_begins_so_is_none() {
        for device in ["con", "AUX.com", "nul.co", "Com1.de", "LPT².txt", "prn .x", "CONIN$"] {
            assert!(is_device(device), "{device}");
        }
        for name in ["come.to", "console", "com.example", "com10", "auxiliary.org", "e.org", "a.con", ""] {
            assert!(!is_device(name), "{name}");
        }
    }
}
