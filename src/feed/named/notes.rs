//! Notes: which files a crawl's feed has written, in the folder of its state. Knows no feed, and not what is in the
//! files.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_128;

/// The files, by hashes of their names. Without a state they are known in this run alone.
#[derive(Default)]
pub(super) struct Notes {
    known: HashSet<u128>,
    to: Option<File>,
    syncs: bool,
}

/// The length of a hash.
const LENGTH: usize = 16;

impl Notes {
    /// Reads those of earlier runs.
    ///
    /// # Errors
    /// They cannot be read or added to.
    pub fn open(at: Option<&Path>, syncs: bool) -> io::Result<Self> {
        let Some(at) = at else { return Ok(Self::default()) };
        let mut to = OpenOptions::new().create(true).read(true).append(true).open(at)?;
        let mut bytes = Vec::new();
        to.read_to_end(&mut bytes)?;
        let (hashes, torn) = bytes.as_chunks::<LENGTH>();
        if !torn.is_empty() {
            to.set_len((bytes.len() - torn.len()) as u64)?;
        }
        Ok(Self { known: hashes.iter().map(|hash| u128::from_le_bytes(*hash)).collect(), to: Some(to), syncs })
    }

    /// Tells whether they are kept for the next run.
    pub fn are_stored(&self) -> bool {
        self.to.is_some()
    }

    /// Tells whether a file was written.
    pub fn has(&self, file: &Path) -> bool {
        self.known.contains(&hash(file))
    }

    /// Adds a file that is open, before the first record is written.
    ///
    /// # Errors
    /// It cannot be noted.
    pub fn add(&mut self, file: &Path) -> io::Result<()> {
        let hash = hash(file);
        if !self.known.insert(hash) {
            return Ok(());
        }
        let Some(to) = &mut self.to else { return Ok(()) };
        to.write_all(&hash.to_le_bytes())?;
        if self.syncs { to.sync_data() } else { Ok(()) }
    }
}

fn hash(file: &Path) -> u128 {
    xxh3_128(file.as_os_str().as_encoded_bytes())
}
