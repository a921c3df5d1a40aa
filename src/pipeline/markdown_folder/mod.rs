//! MarkdownFolder: writes each page to a file of its own, as Markdown with front matter, and lists them in `llms.txt`.
//! Does not know how a page becomes Markdown.

mod contents;
mod file_name;
mod page;

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use actix::{Actor, Context, Handler};

pub use self::page::{HasMarkdown, MarkdownPage};
use super::{CrawlEnded, Pipeline, PipelineError, Running, Scraped, Start};
use crate::{
    disk::{replaced_file::replace, synced_folder::sync_name},
    error::Error,
    feed::check_folder_to_be,
};

/// Writes each page to a file of its own in a folder for its host: `example.org/docs-install-0f6a….md`. The name
/// depends on the URL alone, so a later crawl gives the same page the same name. At the end, `llms.txt` in the folder
/// lists the pages.
///
/// The folder must be new or empty, unless the crawl resumes its state, or has one and was killed before it was first
/// stored: then the pages of earlier runs are kept, and one that is fetched again replaces its file. No file that holds
/// something else is ever replaced; its page fails. A file is there whole or not at all, and is passed to the operating
/// system before its item is acknowledged, so a killed process loses none; if the crawl has a state, it is on the disk
/// by then.
///
/// ```
/// use actix_crawler::{pipeline::{MarkdownFolder, MarkdownPage}, prelude::*};
///
/// fn pages(page: &Response) -> Result<Parsed<MarkdownPage>> {
///     // With the feature `readability`: page.markdown().main()
///     let text = page.markdown().without_images().to_string();
///     Ok(Parsed::of([MarkdownPage::of(page, text)]).follow(page.links()))
/// }
///
/// let crawler = Crawler::new(pages, "docsbot/1.0 (+https://example.org/bot)")
///     .seed("https://docs.example.org/")
///     .state("crawl/")
///     .pipeline(MarkdownFolder::create("docs/"));
/// ```
#[derive(Clone, Debug)]
pub struct MarkdownFolder {
    dir: PathBuf,
}

impl MarkdownFolder {
    /// Writes to this folder, which is created if necessary.
    pub fn create(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Creates the folder, and refuses one that holds something unless that is of this crawl.
    fn open(&self, start: &Start) -> Result<(), Error> {
        let fail = |source| Error::file(&self.dir, source);
        fs::create_dir_all(&self.dir).map_err(fail)?;
        self.look(start)
    }

    fn look(&self, start: &Start) -> Result<(), Error> {
        let fail = |source| Error::file(&self.dir, source);
        let goes_on = start.resumes() || start.restarts() > 0;
        if goes_on || fs::read_dir(&self.dir).map_err(fail)?.next().is_none() {
            return Ok(());
        }
        // A crawl that was killed before its state was first stored has left pages, and no list of them.
        if !(start.has_state() && contents::is_begun(&self.dir).map_err(fail)?) {
            let why = "the folder is not empty; name a new one, or go on with the state of the crawl that wrote it";
            return Err(Error::setting(self.dir.display().to_string(), why));
        }
        Ok(())
    }
}

impl<I: HasMarkdown + Send + Sync + 'static> Pipeline<I> for MarkdownFolder {
    fn check(&self, start: &Start) -> Result<(), Error> {
        check_folder_to_be(&self.dir).map_err(|source| Error::file(&self.dir, source))?;
        if self.dir.exists() { self.look(start) } else { Ok(()) }
    }

    fn start(&self, start: &Start) -> Result<Running<I>, Error> {
        self.open(start)?;
        let writer = FolderWriter { dir: self.dir.clone(), syncs: start.has_state() };
        Ok(Running::start(start, move || writer))
    }
}

struct FolderWriter {
    dir: PathBuf,
    /// Whether a file is on the disk itself when its item is acknowledged, as what the state says of its page is.
    syncs: bool,
}

impl Actor for FolderWriter {
    type Context = Context<Self>;
}

impl<I: HasMarkdown + Send + Sync + 'static> Handler<Scraped<I>> for FolderWriter {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, scraped: Scraped<I>, _: &mut Self::Context) -> Self::Result {
        match scraped.markdown_page() {
            Some(page) => self.write(page),
            None => Err(PipelineError::dropped("it has no Markdown")),
        }
    }
}

impl Handler<CrawlEnded> for FolderWriter {
    type Result = Result<(), PipelineError>;

    fn handle(&mut self, _: CrawlEnded, _: &mut Self::Context) -> Self::Result {
        let contents = contents::of(&self.dir).map_err(|error| unwritable(&self.dir, &error))?;
        self.write_whole(&self.dir.join(contents::NAME), contents.as_bytes())
            .map_err(|error| unwritable(&self.dir.join(contents::NAME), &error))
    }
}

impl FolderWriter {
    fn write(&self, page: &MarkdownPage) -> Result<(), PipelineError> {
        let path = self.dir.join(page.file_name());
        if !is_free(&path, page).map_err(|error| unwritable(&path, &error))? {
            return Err(PipelineError::refused(format!("{} holds something else; move it away", path.display())));
        }
        self.write_whole(&path, page.to_string().as_bytes()).map_err(|error| unwritable(&path, &error))
    }

    /// Writes a file beside its place and moves it there, so that nobody sees a part of it.
    fn write_whole(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let is_new = !folder.is_dir();
        fs::create_dir_all(folder)?;
        if is_new && self.syncs {
            sync_name(folder)?;
        }
        let part = folder.join(format!(".{}.part", name.to_string_lossy()));
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(content)?;
            if self.syncs { file.sync_all() } else { Ok(()) }
        };
        let written = write().and_then(|()| replace(&part, path));
        if written.is_err() {
            // What is left of it is overwritten by the next attempt.
            let _ = fs::remove_file(&part);
        }
        written?;
        if self.syncs { sync_name(path) } else { Ok(()) }
    }
}

/// Tells whether there is no such file, or it is of the same page.
fn is_free(path: &Path, page: &MarkdownPage) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    let expected = page.beginning();
    let mut found = Vec::with_capacity(expected.len());
    file.take(expected.len() as u64).read_to_end(&mut found)?;
    Ok(found == expected.as_bytes())
}

fn unwritable(path: &Path, error: &io::Error) -> PipelineError {
    PipelineError::broken(format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests;
