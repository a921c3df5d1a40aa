//! The driver for PostgreSQL: a crawl that machines share, in a schema of its own (`schema.sql`). Only its owner
//! writes; each commit names its token (`link`).

mod gained;
mod link;
mod rows;
pub(crate) mod schema;
mod shares;
mod sharing;
mod statements;
mod upgrade;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};
use url::Url;

use self::{
    link::{Commit, Link, Parameter},
    rows::{Rows, part_of, signed, to_json},
    schema::CrawlPlace,
    sharing::{NodeView, Said},
};
use super::super::{
    durable::StoredRobotsFile,
    known_depth::KnownDepth,
    windowed::{
        entry::{Entry, QueuePosition},
        store::{Batch, Contents, Counters, DeadLetter, Look, QueuePart, Store, StoredEntry},
    },
};
use crate::{
    domain::Domain,
    error::{Error, Result},
    identity::Fingerprint,
    postgres::{Background, Connection},
    recrawl::page_visit::PageVisit,
    request::Request,
    term::Term,
};

/// The parts of a crawl that this node has.
pub(crate) struct PostgresStore {
    background: Background,
    link: Link,
    live: RefCell<Option<Connection>>,
    commits: Cell<i64>,
    known: RefCell<NodeView>,
    /// Whether a commit came after the crawl had ended: nothing more is stored.
    has_ended: Cell<bool>,
    /// What ends the membership, after everything else of this was dropped.
    #[allow(dead_code, reason = "its drop is what counts")]
    member: Option<Box<dyn Send>>,
}

/// A node that has joined a crawl.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined {
    /// The number of the node.
    pub session: i64,
    /// How often the crawl had ended by then.
    pub ends: i64,
    /// How often somebody had stopped it.
    pub stops: i64,
    /// How often nodes and parts are looked at.
    pub look_interval: Duration,
    /// Whether others crawled already.
    pub joins_others: bool,
}

/// How many rows are read at once: some megabytes.
const PAGE: i64 = 10_000;

impl PostgresStore {
    /// Opens a crawl for a node that has joined it, and is alive until `term` lapses.
    ///
    /// # Errors
    /// The database cannot be reached, or others have taken the node for dead.
    pub fn open(place: CrawlPlace, term: Arc<Term>, joined: Joined) -> Result<Self> {
        let background = Background::new().map_err(Error::Start)?;
        let (link, mut live) = (Link::new(place, term, joined.session), None);
        let commits = background.block_on(link.commits(&mut live))?;
        let known = RefCell::new(NodeView::new(joined));
        let (live, commits, has_ended) = (RefCell::new(live), Cell::new(commits), Cell::new(false));
        Ok(Self { background, link, live, commits, known, has_ended, member: None })
    }

    /// Keeps what ends the membership when it is dropped, until the store is closed.
    #[must_use]
    pub fn member_until_dropped(mut self, member: Box<dyn Send>) -> Self {
        self.member = Some(member);
        self
    }

    fn rows(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>> {
        let mut live = self.live.take();
        let rows = self.background.block_on(self.link.rows(&mut live, sql, parameters));
        self.live.replace(live);
        rows
    }

    /// Reads a whole table, a page at a time, each from where the one before ended. `order` are its columns, the part
    /// first.
    fn each(
        &self,
        select: &str,
        order: (&str, &[Type]),
        from: Vec<Cursor>,
        visit: &mut dyn FnMut(&Row) -> Result<ControlFlow<()>>,
        next: &dyn Fn(&Row) -> Result<Vec<Cursor>>,
    ) -> Result<()> {
        let mut from = from;
        loop {
            let (columns, types) = order;
            let marks: Vec<_> = (1..=types.len()).map(|nth| format!("${nth}")).collect();
            let beyond =
                if from.is_empty() { String::new() } else { format!("WHERE ({columns}) > ({})", marks.join(", ")) };
            let sql = format!("{select} {beyond} ORDER BY {columns} LIMIT {PAGE}");
            let parameters: Vec<Parameter<'_>> =
                from.iter().zip(types).map(|(cursor, kind)| (cursor.parameter(), kind.clone())).collect();
            let rows = self.rows(&sql, &parameters)?;
            for row in &rows {
                if visit(row)?.is_break() {
                    return Ok(());
                }
            }
            let is_whole = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            match rows.last().filter(|_| !is_whole) {
                Some(last) => from = next(last)?,
                None => return Ok(()),
            }
        }
    }

    fn column<'r, T: FromSql<'r>>(&self, row: &'r Row, index: usize) -> Result<T> {
        row.try_get(index).map_err(|error| self.damaged(&error))
    }

    fn fingerprint(&self, row: &Row, index: usize) -> Result<Fingerprint> {
        let bytes: &[u8] = self.column(row, index)?;
        let bytes = bytes.try_into().map_err(|_| self.damaged(&"a fingerprint has not 16 bytes"))?;
        Ok(Fingerprint::from_bytes(bytes))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, row: &Row, index: usize) -> Result<T> {
        serde_json::from_str(self.column(row, index)?).map_err(|error| self.damaged(&error))
    }

    /// Reads `rank, age, attempts, not_before, request` from a column on.
    fn stored(&self, domain: &Domain, row: &Row, from: usize) -> Result<StoredEntry> {
        let rank: i64 = self.column(row, from)?;
        let age: i64 = self.column(row, from + 1)?;
        let attempts: i32 = self.column(row, from + 2)?;
        let not_before: Option<i64> = self.column(row, from + 3)?;
        let mut request: Request = self.json(row, from + 4)?;
        request.domain = Some(domain.clone());
        let is_wrong = |_| self.damaged(&"a number is out of its range");
        let place = QueuePosition { rank: rank.try_into().map_err(is_wrong)?, age: age.try_into().map_err(is_wrong)? };
        let attempts = attempts.try_into().map_err(is_wrong)?;
        let not_before = not_before.map(|at| at.try_into().map_err(is_wrong)).transpose()?;
        Ok(StoredEntry { entry: Entry { place, attempts, request: Arc::new(request) }, not_before })
    }

    fn damaged(&self, error: &dyn fmt::Display) -> Error {
        self.link.place().damaged(error)
    }
}

/// A value of the row after which reading goes on.
enum Cursor {
    Part(i16),
    Text(String),
    Bytes(Vec<u8>),
    Number(i64),
}

impl Cursor {
    fn parameter(&self) -> &(dyn tokio_postgres::types::ToSql + Sync) {
        match self {
            Self::Part(part) => part,
            Self::Text(text) => text,
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => number,
        }
    }
}

impl Store for PostgresStore {
    fn load(&self) -> Result<Contents> {
        let mut contents = Contents::default();
        // First, so that nobody else writes to what is read.
        let mut look = self.look()?;
        if let Some(gained) = &mut look.gained {
            contents.waiting = std::mem::take(&mut gained.waiting);
            contents.histories = std::mem::take(&mut gained.histories);
        }
        contents.look = Some(look);
        if let Some(row) = self.rows("SELECT settings FROM crawl", &[])?.first() {
            let settings = self.column::<Option<&str>>(row, 0)?.map(serde_json::from_str).transpose();
            contents.settings = settings.map_err(|error| self.damaged(&error))?;
        }
        contents.counters = self.counters()?;
        for row in self.rows("SELECT url FROM included", &[])? {
            contents.included.extend(Url::parse(self.column(&row, 0)?).ok());
        }
        Ok(contents)
    }

    fn keep_settings(&self, settings: &BTreeMap<String, String>) -> Result<()> {
        self.settings(settings, false).map(drop)
    }

    fn begin_settings(&self, settings: &BTreeMap<String, String>) -> Result<Option<BTreeMap<String, String>>> {
        let of_another = self.settings(settings, true)?;
        of_another.map(|text| serde_json::from_str(&text).map_err(|error| self.damaged(&error))).transpose()
    }

    fn apply(&self, batch: Batch) -> Result<()> {
        if self.has_ended.get() {
            return Err(Error::Ended);
        }
        let mut known = self.known.borrow_mut();
        let is_idle = known.is_idle_by(&batch.to_others);
        let said = Said::of(&batch.to_others, is_idle);
        let commit = Commit {
            number: self.commits.get() + 1,
            is_idle,
            is_unfit: batch.to_others.is_unfit,
            // What is sent to others is something to do, too.
            wakes_from: (known.has_said_idle && (!is_idle || !batch.to_others.sent.is_empty())).then_some(known.ends),
        };
        let (rows, mut live) = (Rows::of(batch)?, self.live.take());
        let committed = self.background.block_on(self.link.commit(&mut live, &rows, &commit));
        self.live.replace(live);
        self.has_ended.set(matches!(committed, Err(Error::Ended)));
        committed?;
        self.commits.set(commit.number);
        known.committed(said);
        Ok(())
    }

    fn look_interval(&self) -> Option<Duration> {
        Some(self.known.borrow().interval())
    }

    fn look(&self) -> Result<Look> {
        let (mut known, mut live) = (self.known.borrow_mut(), self.live.take());
        let look = self.background.block_on(sharing::look(&self.link, &mut live, &mut known));
        self.live.replace(live);
        look
    }

    /// A commit is on the server's disk, and with `synchronous_standby_names` on that of another.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn queue(&self, domain: &Domain, from: QueuePosition, max: usize) -> Result<QueuePart> {
        let sql = "SELECT rank, age, attempts, not_before, request FROM queue WHERE part = $1 AND domain = $2 \
                   AND (rank, age) >= ($3, $4) ORDER BY rank, age LIMIT $5";
        let part = part_of(domain.as_str().as_bytes());
        let (rank, age, limit) = (i64::from(from.rank), signed(from.age), signed(max as u64));
        let parameters: [Parameter<'_>; 5] = [
            (&part, Type::INT2),
            (&domain.as_str(), Type::TEXT),
            (&rank, Type::INT8),
            (&age, Type::INT8),
            (&limit, Type::INT8),
        ];
        let rows = self.rows(sql, &parameters)?;
        let entries = rows.iter().map(|row| self.stored(domain, row, 0)).collect::<Result<Vec<_>>>()?;
        let next = if entries.len() < max { None } else { entries.last().map(|last| last.entry.place.behind()) };
        Ok(QueuePart { entries, next })
    }

    fn seen(&self, fingerprints: &[Fingerprint]) -> Result<Vec<(Fingerprint, u32)>> {
        let keys: Vec<_> = fingerprints.iter().map(|fingerprint| fingerprint.to_bytes().to_vec()).collect();
        let parts: Vec<_> = keys.iter().map(|key| part_of(key)).collect();
        let sql = "SELECT seen.fingerprint, seen.at FROM unnest($1::smallint[], $2::bytea[]) AS asked (part, fingerprint) \
                   JOIN seen ON seen.part = asked.part AND seen.fingerprint = asked.fingerprint";
        let rows = self.rows(sql, &[(&parts, Type::INT2_ARRAY), (&keys, Type::BYTEA_ARRAY)])?;
        rows.iter().map(|row| self.seen_in(row, 0)).collect()
    }

    fn robots(&self, origin: &str) -> Result<Option<StoredRobotsFile>> {
        let part = part_of(origin.as_bytes());
        let sql = "SELECT file FROM robots WHERE part = $1 AND origin = $2";
        let rows = self.rows(sql, &[(&part, Type::INT2), (&origin, Type::TEXT)])?;
        let file = |row| {
            let file = StoredRobotsFile::from_bytes(self.column(row, 0)?);
            file.ok_or_else(|| self.damaged(&"a robots file is cut short"))
        };
        rows.first().map(file).transpose()
    }

    fn each_seen(&self, from: Fingerprint, visit: &mut dyn FnMut(Fingerprint, u32) -> ControlFlow<()>) -> Result<()> {
        let order = ("part, fingerprint", &[Type::INT2, Type::BYTEA][..]);
        let first = from.to_bytes().to_vec();
        let first = (part_of(&first), first);
        let cursor = |row: &Row| {
            Ok(vec![Cursor::Part(self.column(row, 0)?), Cursor::Bytes(self.column::<&[u8]>(row, 1)?.to_vec())])
        };
        let select = "SELECT part, fingerprint, at FROM seen";
        // Those behind `from`, then those before it and itself.
        let mut has_ended = false;
        let begin = vec![Cursor::Part(first.0), Cursor::Bytes(first.1.clone())];
        self.each(
            select,
            order,
            begin,
            &mut |row| {
                let (fingerprint, at) = self.seen_in(row, 1)?;
                let flow = visit(fingerprint, at);
                has_ended = flow.is_break();
                Ok(flow)
            },
            &cursor,
        )?;
        if has_ended {
            return Ok(());
        }
        self.each(
            select,
            order,
            Vec::new(),
            &mut |row| {
                let place = (self.column::<i16>(row, 0)?, self.column::<&[u8]>(row, 1)?.to_vec());
                if place > first {
                    return Ok(ControlFlow::Break(()));
                }
                let (fingerprint, at) = self.seen_in(row, 1)?;
                Ok(visit(fingerprint, at))
            },
            &cursor,
        )
    }

    fn depths(&self) -> Result<Vec<(Fingerprint, KnownDepth)>> {
        // First: what comes meanwhile is read with the next parts.
        let horizon = self.rows(gained::HORIZON, &[])?.first().map(|row| self.column(row, 0)).transpose()?;
        let rows = self.rows("SELECT fingerprint, known FROM depth", &[])?;
        let known = |row| gained::depth_in(row).map_err(|_| self.damaged(&"a depth is cut short"));
        let depths = rows.iter().map(known).collect();
        self.known.borrow_mut().depth_horizon = horizon;
        depths
    }

    fn visits(&self, max: usize) -> Result<Vec<(Fingerprint, PageVisit)>> {
        let sql = "SELECT fingerprint, visit FROM visit LIMIT $1";
        let rows = self.rows(sql, &[(&signed(max as u64), Type::INT8)])?;
        let known = |row| {
            let visit = PageVisit::from_bytes(self.column(row, 1)?);
            Ok((self.fingerprint(row, 0)?, visit.ok_or_else(|| self.damaged(&"a visit is cut short"))?))
        };
        rows.iter().map(known).collect()
    }

    fn each_queued(&self, visit: &mut dyn FnMut(Domain, StoredEntry) -> ControlFlow<()>) -> Result<()> {
        let types = [Type::INT2, Type::TEXT, Type::INT8, Type::INT8];
        self.each(
            "SELECT part, domain, rank, age, attempts, not_before, request FROM queue",
            ("part, domain, rank, age", &types),
            Vec::new(),
            &mut |row| {
                let domain = Domain::new(self.column(row, 1)?);
                let stored = self.stored(&domain, row, 2)?;
                Ok(visit(domain, stored))
            },
            &|row| {
                Ok(vec![
                    Cursor::Part(self.column(row, 0)?),
                    Cursor::Text(self.column(row, 1)?),
                    Cursor::Number(self.column(row, 2)?),
                    Cursor::Number(self.column(row, 3)?),
                ])
            },
        )
    }

    fn each_dead(&self, visit: &mut dyn FnMut(u64, DeadLetter) -> ControlFlow<()>) -> Result<()> {
        self.each(
            "SELECT part, number, letter FROM dead",
            ("part, number", &[Type::INT2, Type::INT8]),
            Vec::new(),
            &mut |row| Ok(visit(self.column::<i64>(row, 1)?.unsigned_abs(), self.json(row, 2)?)),
            &|row| Ok(vec![Cursor::Part(self.column(row, 0)?), Cursor::Number(self.column(row, 1)?)]),
        )
    }

    fn refuse(&self, why: String) -> Error {
        self.link.place().refuse(why)
    }
}

impl PostgresStore {
    fn settings(&self, settings: &BTreeMap<String, String>, only_first: bool) -> Result<Option<String>> {
        let (settings, mut live) = (to_json(settings)?, self.live.take());
        let kept = self.background.block_on(self.link.keep_settings(&mut live, &settings, only_first));
        self.live.replace(live);
        kept
    }

    /// Returns the sum of the counters of all nodes; `None` before the first commit.
    fn counters(&self) -> Result<Option<Counters>> {
        let sql = "SELECT counters FROM node WHERE counters IS NOT NULL UNION ALL \
                   SELECT counters FROM crawl WHERE counters IS NOT NULL";
        let mut sum: Option<Counters> = None;
        for row in self.rows(sql, &[])? {
            let of_node: Counters = self.json(&row, 0)?;
            let sum = sum.get_or_insert_default();
            sum.checkpoint.add(&of_node.checkpoint);
            sum.seen += of_node.seen;
        }
        Ok(sum)
    }

    /// Reads `fingerprint, at` from a column on.
    fn seen_in(&self, row: &Row, from: usize) -> Result<(Fingerprint, u32)> {
        let at: i64 = self.column(row, from + 1)?;
        Ok((self.fingerprint(row, from)?, u32::try_from(at).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests;
