//! Open: the sink that a feed's description asks for. The only file that knows all of them.

use std::path::Path;

use super::{
    Compression, Earlier, Feed, Format, Opening, Sink, Temporary,
    bucket::Bucket,
    files::{
        codec::Codec, csv::CsvLayout, json_array::JsonArrayLayout, json_lines::JsonLinesLayout, layout::Layout,
        text_sink::TextSink, xml::XmlLayout,
    },
    named::Named,
    names::{Names, Values},
    parquet, postgres, sqlite,
    target::Target,
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
        let sink: Box<dyn Sink> = match (self.names()?, self.target()?) {
            (Some(names), Target::File(path)) if names.are_filled() => {
                let names = if path == self.to { names } else { Names::of(&path.to_string_lossy())? };
                Box::new(Named::new(self.clone(), names, spider, opening, syncs, None)?)
            }
            (_, Target::Bucket(_)) if self.spool.is_none() => {
                let temporary = Temporary::default();
                temporary.make()?;
                let sink = Self { spool: Some(temporary.path()), ..self.clone() }.open_for(spider, opening, syncs)?;
                return Ok(Box::new(Spooled { sink, temporary }));
            }
            (_, Target::Bucket(location)) => {
                let spool = self.spool.as_deref().unwrap_or(Path::new(""));
                let bucket = Bucket::open(&location, spool, self.upload_time())?;
                let names = bucket.names(&location.key)?;
                if names.are_filled() {
                    Box::new(Named::new(self.clone(), names, spider, opening, syncs, Some(bucket))?)
                } else {
                    let values = Values { time: std::time::SystemTime::UNIX_EPOCH, batch: 0, domain: "", spider };
                    bucket.open_file(self, Path::new(&names.fill(&values)), opening, syncs)?
                }
            }
            (Some(names), Target::File(path)) if path == self.to => {
                let values = Values { time: std::time::SystemTime::UNIX_EPOCH, batch: 0, domain: "", spider };
                self.open_file(Path::new(&names.fill(&values)), opening, syncs)?
            }
            (_, Target::File(path)) => self.open_file(&path, opening, syncs)?,
            (_, target) => self.open_at(&target, opening, syncs)?,
        };
        if self.fields.is_empty() { Ok(sink) } else { Ok(Box::new(Selecting { fields: self.fields.clone(), sink })) }
    }

    fn target(&self) -> Result<Target, Error> {
        if self.is_path { Ok(Target::File(self.to.clone())) } else { Target::of(&self.to) }
    }

    /// Opens one file of the feed.
    ///
    /// # Errors
    /// As [`Feed::open`].
    pub(super) fn open_file(&self, path: &Path, opening: Opening, syncs: bool) -> Result<Box<dyn Sink>, Error> {
        self.open_at(&Target::File(path.to_owned()), opening, syncs)
    }

    fn open_at(&self, target: &Target, opening: Opening, syncs: bool) -> Result<Box<dyn Sink>, Error> {
        let format = self.written_as()?;
        match (target, format) {
            (Target::Postgres(url), _) => return postgres::open(url, self.table_at(target), opening),
            (Target::File(path), Format::Sqlite) => {
                return sqlite::open(path, self.table_at(target), opening, syncs);
            }
            _ => {}
        }
        let codec = match self.compressed_by() {
            None => Codec::Plain,
            Some(Compression::Gzip) => Codec::Gzip,
            Some(Compression::Zstd) => Codec::Zstd,
        };
        let text = Text { target, codec, opening, syncs };
        match format {
            Format::JsonLines => text.open(JsonLinesLayout::default()),
            Format::Json => text.open(JsonArrayLayout::default()),
            Format::Xml => text.open(XmlLayout),
            Format::Csv => {
                let given = self.columns.clone().or_else(|| (!self.fields.is_empty()).then(|| self.fields.clone()));
                // What an earlier run of this crawl has left without an end, a kill has torn.
                let may_lack_end = self.earlier == Earlier::Anyones && opening == Opening::Resumed;
                text.open(CsvLayout::new(target.to_string(), given, self.escape_formulas, may_lack_end))
            }
            Format::Parquet => match target {
                Target::File(path) => parquet::open(path, &self.fields, opening, syncs),
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

/// A feed of text.
struct Text<'t> {
    target: &'t Target,
    codec: Codec,
    opening: Opening,
    syncs: bool,
}

impl Text<'_> {
    fn open<L: Layout>(self, layout: L) -> Result<Box<dyn Sink>, Error> {
        Ok(match self.target {
            // Whatever goes to a bucket goes to a file first.
            Target::Stdout | Target::Bucket(_) => Box::new(TextSink::stdout(layout, self.codec, self.opening)?),
            Target::File(path) => Box::new(self.file(path, layout)?),
            Target::Postgres(_) => {
                return Err(Error::setting(self.target.to_string(), "a table has no format; leave `format` out"));
            }
        })
    }

    fn file<L: Layout>(&self, path: &Path, layout: L) -> Result<TextSink<L>, Error> {
        TextSink::open(path, layout, self.codec, self.opening, self.syncs)
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
