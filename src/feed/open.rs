//! Open: the sink that a feed's description asks for. The only file that knows all of them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Compression, Earlier, Feed, Format, Opening, Outputs, Sink, Temporary,
    bucket::Bucket,
    files::{
        codec::Codec,
        csv::CsvLayout,
        json_array::JsonArrayLayout,
        json_lines::JsonLinesLayout,
        layout::Layout,
        streams::FeedStreams,
        text_sink::{StreamOutput, TextSink},
        xml::XmlLayout,
    },
    named::{FeedFiles, NamedFeed},
    names::{FileNames, NameValues},
    outputs::check_folder_to_be,
    parquet, postgres, sqlite,
    target::FeedTarget,
    uploads::Spooled,
};
use crate::error::Error;

impl Feed {
    /// Opens it outside a crawl, to write records to it oneself.
    ///
    /// ```
    /// use actix_crawler::feed::{Feed, Opening, Record, Sink};
    ///
    /// # let dir = std::env::temp_dir();
    /// # let path = dir.join(format!("prices-{}.csv", std::process::id()));
    /// let mut prices = Feed::to(&*path).fields(["ean", "price"]).open(Opening::Fresh)?;
    /// let item = serde_json::json!({"ean": "4006", "price": 3.5, "name": "tea"});
    /// prices.write(&Record::of(&item, "https://shop.example/tea").unwrap()).unwrap();
    /// prices.close().unwrap();
    /// assert_eq!(std::fs::read_to_string(&path).unwrap(), "ean,price\n4006,3.5\n");
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), actix_crawler::Error>(())
    /// ```
    ///
    /// # Errors
    /// The name, the format or a setting is wrong, or it cannot be written.
    pub fn open(&self, opening: Opening) -> Result<Box<dyn Sink>, Error> {
        self.open_for("", opening, false)
    }

    /// Opens the sink, for the crawl of this name. With `syncs`, what it commits is on the disk itself.
    ///
    /// # Errors
    /// The name, the format or a setting is wrong, or it cannot be written.
    pub(crate) fn open_for(&self, spider: &str, opening: Opening, syncs: bool) -> Result<Box<dyn Sink>, Error> {
        self.check()?;
        if self.append && opening == Opening::Fresh {
            let adding = Self { append: false, earlier: Earlier::Anyones, ..self.clone() };
            return adding.open_for(spider, Opening::Resumed, syncs);
        }
        if self.is_uploaded() && self.spool.is_none() {
            let temporary = Temporary::default();
            temporary.make()?;
            let sink = Self { spool: Some(temporary.path()), ..self.clone() }.open_for(spider, opening, syncs)?;
            return Ok(Box::new(Spooled { sink, temporary }));
        }
        let sink: Box<dyn Sink> = match self.resolve(spider)? {
            ResolvedTarget::Several(names, bucket) => {
                let (feed, spider) = (self.clone(), spider.to_owned());
                Box::new(FeedFiles::new(NamedFeed { feed, names, spider, opening, syncs, bucket })?)
            }
            ResolvedTarget::Object(bucket, file) => bucket.open_file(self, &file, opening, syncs)?,
            ResolvedTarget::One(target) => self.open_at(&target, opening, syncs)?,
        };
        if self.fields.is_empty() { Ok(sink) } else { Ok(Box::new(Selecting { fields: self.fields.clone(), sink })) }
    }

    /// Checks that it can be opened, and that no other of these outputs is the same. Changes nothing of what is there.
    ///
    /// # Errors
    /// As [`Feed::open`].
    pub(crate) fn check_for_opening(
        &self,
        spider: &str,
        opening: Opening,
        syncs: bool,
        outputs: &Outputs,
    ) -> Result<(), Error> {
        self.check()?;
        if self.append && opening == Opening::Fresh {
            let adding = Self { append: false, earlier: Earlier::Anyones, ..self.clone() };
            return adding.check_for_opening(spider, Opening::Resumed, syncs, outputs);
        }
        if let Some(spool) = &self.spool {
            check_folder_to_be(spool).map_err(|source| Error::file(spool, source))?;
        }
        match self.resolve(spider)? {
            ResolvedTarget::Several(names, bucket) => {
                outputs.take_name(&self.to, self.to.clone())?;
                let (feed, spider) = (self.clone(), spider.to_owned());
                FeedFiles::check(NamedFeed { feed, names, spider, opening, syncs, bucket })
            }
            ResolvedTarget::Object(..) => outputs.take_name(&self.to, self.to.clone()),
            ResolvedTarget::One(target) => {
                match (&target, self.written_as()?) {
                    // Several tables may be in one database, and several feeds write to one table.
                    (FeedTarget::File(_), Format::Sqlite) => {}
                    (FeedTarget::File(path), _) => outputs.take(path)?,
                    _ => {}
                }
                self.check_at(&target, opening)
            }
        }
    }

    fn resolve(&self, spider: &str) -> Result<ResolvedTarget, Error> {
        let fill = |names: &FileNames| {
            names.fill(&NameValues { time: std::time::SystemTime::UNIX_EPOCH, batch: 0, domain: "", spider })
        };
        Ok(match (self.names()?, self.target()?) {
            (Some(names), FeedTarget::File(path)) if names.are_filled() => {
                let names = if path == self.to { names } else { FileNames::of(&path.to_string_lossy())? };
                ResolvedTarget::Several(names, None)
            }
            (_, FeedTarget::Bucket(location)) => {
                let spool = self.spool.as_deref().unwrap_or(Path::new(""));
                let bucket = Bucket::open(&location, spool, self.upload_time())?;
                let names = bucket.names(&location.key)?;
                if names.are_filled() {
                    ResolvedTarget::Several(names, Some(bucket))
                } else {
                    ResolvedTarget::Object(bucket, fill(&names).into())
                }
            }
            (Some(names), FeedTarget::File(path)) if path == self.to => {
                ResolvedTarget::One(FeedTarget::File(fill(&names).into()))
            }
            (_, target) => ResolvedTarget::One(target),
        })
    }

    fn target(&self) -> Result<FeedTarget, Error> {
        if self.is_path { Ok(FeedTarget::File(self.to.clone())) } else { FeedTarget::of(&self.to) }
    }

    /// Opens one file of the feed.
    ///
    /// # Errors
    /// As [`Feed::open`].
    pub(super) fn open_file(&self, path: &Path, opening: Opening, syncs: bool) -> Result<Box<dyn Sink>, Error> {
        self.open_at(&FeedTarget::File(path.to_owned()), opening, syncs)
    }

    /// Opens a file that is there, and that this crawl has not written yet.
    ///
    /// # Errors
    /// As [`Feed::open`].
    pub(super) fn open_anyones_file(&self, path: &Path, syncs: bool) -> Result<Box<dyn Sink>, Error> {
        let adding = Self { earlier: Earlier::Anyones, ..self.clone() };
        adding.open_file(path, Opening::Resumed, syncs)
    }

    /// Checks one file of the feed.
    ///
    /// # Errors
    /// As [`Feed::open`].
    pub(super) fn check_file(&self, path: &Path, opening: Opening) -> Result<(), Error> {
        self.check_at(&FeedTarget::File(path.to_owned()), opening)
    }

    fn check_at(&self, target: &FeedTarget, opening: Opening) -> Result<(), Error> {
        let format = self.written_as()?;
        let path = match (target, format) {
            (FeedTarget::Postgres(url), _) => return postgres::check(url, self.table_at(target), opening),
            (FeedTarget::File(path), Format::Sqlite) => return sqlite::check(path, &self.table_at(target), opening),
            (FeedTarget::File(path), Format::Parquet) => return parquet::check(path, opening),
            (FeedTarget::File(path), _) => path,
            // What cannot go there is refused, and nothing is written to stdout before the first record but a
            // beginning.
            _ if matches!(format, Format::Parquet | Format::Sqlite | Format::Postgres) => {
                return self.open_at(target, opening, false).map(drop);
            }
            _ => return Ok(()),
        };
        let text = TextFeed { target, codec: self.codec(), opening, syncs: false, streams: &self.streams };
        match format {
            Format::Json => text.check(path, JsonArrayLayout::default()),
            Format::Xml => text.check(path, XmlLayout),
            Format::Csv => text.check(path, self.csv(target, opening)),
            _ => text.check(path, JsonLinesLayout::new(self.may_lack_end(opening))),
        }
    }

    fn codec(&self) -> Codec {
        match self.compressed_by() {
            None => Codec::Plain,
            Some(Compression::Gzip) => Codec::Gzip,
            Some(Compression::Zstd) => Codec::Zstd,
        }
    }

    fn csv(&self, target: &FeedTarget, opening: Opening) -> CsvLayout {
        let given = self.columns.clone().or_else(|| (!self.fields.is_empty()).then(|| self.fields.clone()));
        CsvLayout::new(target.to_string(), given, self.escape_formulas, self.may_lack_end(opening))
    }

    /// Tells whether a last record without an end may be whole. What an earlier run of this crawl has so left, a kill
    /// has torn.
    fn may_lack_end(&self, opening: Opening) -> bool {
        self.earlier == Earlier::Anyones && opening == Opening::Resumed
    }

    fn open_at(&self, target: &FeedTarget, opening: Opening, syncs: bool) -> Result<Box<dyn Sink>, Error> {
        let format = self.written_as()?;
        match (target, format) {
            (FeedTarget::Postgres(url), _) => return postgres::open(url, self.table_at(target), opening),
            (FeedTarget::File(path), Format::Sqlite) => {
                return sqlite::open(path, self.table_at(target), opening, syncs);
            }
            _ => {}
        }
        let text = TextFeed { target, codec: self.codec(), opening, syncs, streams: &self.streams };
        match format {
            Format::JsonLines => text.open(JsonLinesLayout::new(self.may_lack_end(opening))),
            Format::Json => text.open(JsonArrayLayout::default()),
            Format::Xml => text.open(XmlLayout),
            Format::Csv => text.open(self.csv(target, opening)),
            Format::Parquet => match target {
                FeedTarget::File(path) => parquet::open(path, &self.fields, opening, syncs),
                _ => Err(Error::setting(
                    target.to_string(),
                    "a Parquet file is written at its end, so it cannot go to stdout",
                )),
            },
            Format::Sqlite | Format::Postgres => {
                Err(Error::setting(target.to_string(), "there is no database; write to shop.sqlite or postgres://…"))
            }
        }
    }
}

/// Where the records of a feed go.
enum ResolvedTarget {
    /// To several files, of a bucket or of this machine.
    Several(FileNames, Option<Arc<Bucket>>),
    /// To one object, which is gathered in a file.
    Object(Arc<Bucket>, PathBuf),
    One(FeedTarget),
}

/// A feed of text.
struct TextFeed<'t> {
    target: &'t FeedTarget,
    codec: Codec,
    opening: Opening,
    syncs: bool,
    streams: &'t FeedStreams,
}

impl TextFeed<'_> {
    fn open<L: Layout>(self, layout: L) -> Result<Box<dyn Sink>, Error> {
        Ok(match self.target {
            // Whatever goes to a bucket goes to a file first.
            FeedTarget::Stdout | FeedTarget::Bucket(_) => {
                Box::new(TextSink::stdout(layout, self.codec, self.opening, self.stream())?)
            }
            FeedTarget::File(path) => Box::new(self.file(path, layout)?),
            FeedTarget::Postgres(_) => {
                return Err(Error::setting(self.target.to_string(), "a table has no format; leave `format` out"));
            }
        })
    }

    fn check<L: Layout>(self, path: &Path, layout: L) -> Result<(), Error> {
        TextSink::check(path, layout, self.codec, self.opening, &self.streams.ends)
    }

    fn file<L: Layout>(&self, path: &Path, layout: L) -> Result<TextSink<L>, Error> {
        TextSink::open(path, layout, self.codec, self.opening, self.syncs, self.stream())
    }

    fn stream(&self) -> StreamOutput {
        StreamOutput { of: self.streams.clone(), name: self.target.to_string() }
    }
}

/// A sink that gets some of the fields.
struct Selecting {
    fields: Vec<String>,
    sink: Box<dyn Sink>,
}

impl Sink for Selecting {
    fn write(&mut self, record: &super::Record) -> Result<(), super::SinkError> {
        self.sink.write(&record.select(&self.fields))
    }

    fn commit(&mut self) -> Result<(), super::SinkError> {
        self.sink.commit()
    }

    fn stored(&mut self) -> Vec<bool> {
        self.sink.stored()
    }

    fn close(&mut self) -> Result<(), super::SinkError> {
        self.sink.close()
    }

    fn bytes(&self) -> u64 {
        self.sink.bytes()
    }
}
