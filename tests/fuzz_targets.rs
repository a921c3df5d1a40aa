//! The fuzz targets over their seeds, and over what the fuzzer found once: whole, cut short, and with bytes exchanged.
//! So they build in every build, and what they claim holds.
#![cfg(all(
    feature = "cookies",
    feature = "feeds",
    feature = "jmespath",
    feature = "readability",
    feature = "warc",
    feature = "xpath"
))]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::{collections::BTreeSet, fs, path::Path};

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");

/// A target by its name, which its folder of seeds has too.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 12] = [
    ("archive", targets::archive::fuzz),
    ("charset", targets::charset::fuzz),
    ("codings", targets::codings::fuzz),
    ("cookies", targets::cookies::fuzz),
    ("document", targets::document::fuzz),
    ("form", targets::form::fuzz),
    ("headers", targets::headers::fuzz),
    ("robots", targets::robots::fuzz),
    ("selector", targets::selector::fuzz),
    ("sitemap", targets::sitemap::fuzz),
    ("url", targets::url::fuzz),
    ("wire", targets::wire::fuzz),
];

#[test]
fn every_seed_of_every_fuzz_target_keeps_what_the_target_claims() {
    for (name, fuzz) in TARGETS {
        let seeds = fs::read_dir(Path::new(FUZZ).join("corpus").join(name)).unwrap();
        let mut seeds: Vec<_> = seeds.map(|seed| seed.unwrap().path()).collect();
        seeds.sort();
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            // So that a failure tells its seed.
            let _shown = Shown(&seed);
            let input = fs::read(&seed).unwrap();
            fuzz(&input);
            for nth in 1..16 {
                let at = input.len() * nth / 16;
                fuzz(&input[..at]);
                let mut changed = input.clone();
                if let Some(byte) = changed.get_mut(at) {
                    *byte ^= 1 << (nth % 8);
                    fuzz(&changed);
                }
            }
        }
    }
}

#[test]
fn every_fuzz_target_is_run_here_and_has_a_binary() {
    let names = |folder: &str| -> BTreeSet<String> {
        let files = fs::read_dir(Path::new(FUZZ).join(folder)).unwrap();
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let run: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), run);
    assert_eq!(names("corpus"), run);
    let manifest = fs::read_to_string(Path::new(FUZZ).join("Cargo.toml")).unwrap();
    for name in run {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

struct Shown<'a>(&'a Path);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}", self.0.display());
        }
    }
}
