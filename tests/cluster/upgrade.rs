//! Tables that programs of earlier versions have left in the middle of a crawl: `fixtures/cluster/N.sql` is a dump of
//! version N, of nodes that were killed. Version 1 is made of version 2.

use std::{
    io::Write as _,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{commands::command_in, *};

/// What the dumps were made of: their fingerprints count the port.
const PORT: u16 = 19_077;
const DOMAINS: u32 = 4;

/// The exit code of a crawl that has ended: `/missing` fails.
const FAILED: i32 = 3;

/// The pages are a tree below the first one, and of the first domain those of the others. In the dumps, `/4` has failed
/// with a status that is tried again.
struct OldSite {
    recorders: &'static [Recorder],
    /// One test at a time has the port.
    #[allow(dead_code, reason = "its drop is what counts")]
    turn: MutexGuard<'static, ()>,
}

fn old_site() -> OldSite {
    static TURN: Mutex<()> = Mutex::new(());
    static RECORDERS: OnceLock<Vec<Recorder>> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let recorders = RECORDERS
        .get_or_init(|| domains::start((0..DOMAINS).map(address_of), Some(PORT), |asked, of, _| answer(asked, of)));
    OldSite { recorders, turn }
}

fn address_of(domain: u32) -> Ipv4Addr {
    Ipv4Addr::from([127, 0, 77, 1 + u8::try_from(domain).unwrap()])
}

fn answer(asked: &Asked, domain: u32) -> Answer {
    let page = match asked.path.trim_start_matches('/').parse::<u32>() {
        _ if asked.path == "/robots.txt" => return Answer::ok("User-agent: *\nDisallow: /private\n"),
        Ok(page) if page < 30 => page,
        _ => return Answer::status(404),
    };
    let below = [2 * page + 1, 2 * page + 2].into_iter().filter(|page| *page < 30).map(|page| format!("/{page}"));
    let others = (1..DOMAINS).filter(|_| domain == 0 && page == 0);
    let others = others.map(|other| format!("http://{}:{PORT}/0", address_of(other)));
    let no_pages = ["/missing", "/private"].into_iter().filter(|_| page == 0).map(str::to_owned);
    Answer::page(below.chain(no_pages).chain(others))
}

/// A database with the crawl `site` of a version, or without one.
struct Old {
    server: Arc<PostgresServer>,
    name: String,
    url: String,
}

impl Old {
    fn restore(version: u32) -> Self {
        Self::restore_as(&format!("version{version}"), version)
    }

    fn restore_as(name: &str, version: u32) -> Self {
        let (server, name) = (PostgresServer::shared(), name.to_owned());
        let url = server.database(&name);
        let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/cluster/{}.sql", version.max(2)));
        let old = Self { server, name, url };
        if version > 0 {
            old.server.run_script(&old.name, &std::fs::read_to_string(dump).unwrap());
        }
        match version {
            0 => String::new(),
            // It knew no terms, which are ten seconds then.
            1 => old.sql(
                "ALTER TABLE node DROP term; ALTER TABLE node ALTER session ADD GENERATED ALWAYS AS IDENTITY; \
                 ALTER TABLE crawl DROP owners; UPDATE crawl SET version = 1; UPDATE node SET dead = true",
            ),
            // So that nobody need wait for theirs.
            _ => old.sql("UPDATE node SET term = 500"),
        };
        old
    }

    fn sql(&self, sql: &str) -> String {
        self.server.psql(&self.name, &format!("SET search_path TO crawl_site; {sql}"))
    }

    fn command(&self, task: &str) -> (Option<i32>, String) {
        command_in(Path::new("."), &["cluster", task, &self.url, "site"])
    }

    /// Starts a node by the command of the dumps.
    fn crawl(&self) -> (Option<i32>, String) {
        let seed = format!("http://127.0.77.1:{PORT}/0");
        let begin = ["crawl", &seed, "--contact", "https://example.org/bot", "--allow-private", "--scope", "any"];
        let how = ["--depth", "4", "--delay", "20ms", "--cluster", &self.url, "--crawl", "site"];
        command_in(Path::new("."), &[&begin[..], &how[..]].concat())
    }

    /// How many requests were discovered and not dropped again, done and failed.
    fn ledger(&self) -> [u64; 3] {
        let of = |key: &str| {
            let sum = format!("coalesce(sum((counters::json #>> '{{progress,ledger,{key}}}')::bigint), 0)");
            let all = if self.sql("SELECT to_regclass('part') IS NULL") == "t" {
                ""
            } else {
                "SELECT counters FROM node UNION ALL"
            };
            self.sql(&format!("SELECT {sum} FROM ({all} SELECT counters FROM crawl) AS all_nodes"))
                .parse::<u64>()
                .unwrap()
        };
        [of("discovered") - of("dropped"), of("done"), of("failed")]
    }

    /// All that tables, columns, keys, indexes, sequences and functions are, in any order of the columns.
    fn schema(&self) -> String {
        self.sql(
            "SELECT 'column', format('%s.%s %s', c.relname, attname, attnum > 0), format('%s %s %s %s %s', \
             format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid), attcollation) \
             FROM pg_attribute JOIN pg_class c ON c.oid = attrelid \
             LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
             WHERE relnamespace = 'crawl_site'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped \
             UNION ALL SELECT 'constraint', format('%s %s', conrelid::regclass, conname), pg_get_constraintdef(oid) \
             FROM pg_constraint WHERE connamespace = 'crawl_site'::regnamespace \
             UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'crawl_site' \
             UNION ALL SELECT 'relation', format('%s %s', relname, relkind), reloptions::text FROM pg_class \
             WHERE relnamespace = 'crawl_site'::regnamespace \
             UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'crawl_site'::regnamespace \
             ORDER BY 1, 2, 3",
        )
    }
}

/// A crawl of each earlier version goes on where it was, and ends as one that was crawled by this program alone.
#[test]
fn a_crawl_of_an_earlier_version_is_upgraded_by_the_first_node_and_nothing_of_it_is_lost_or_done_twice() {
    let site = old_site();
    let times = || domains::times(site.recorders);
    let new = Old::restore(0);
    let (code, said) = new.crawl();
    assert_eq!(code, Some(FAILED), "{said}");
    let (schema, all) = (new.schema(), times().len());
    for version in 1..5 {
        let old = Old::restore(version);
        let (code, said) = old.command("status");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("its tables are of version {version}")) && said.contains("backup"), "{said}");
        let ([found, done, failed], before) = (old.ledger(), times());
        assert!(found > done + failed && done > 20, "it is dumped in the middle: {found} {done} {failed}");
        let (code, said) = old.crawl();
        assert_eq!(code, Some(FAILED), "version {version}: {said}");
        assert!(said.contains("are upgraded"), "{said}");
        assert_eq!(old.ledger(), new.ledger(), "version {version}: every page is settled once");
        let more = times().into_iter().map(|(url, times)| times - before[&url]);
        let asked: Vec<_> = more.filter(|times| *times > 0).collect();
        let left = all - usize::try_from(done + failed).unwrap();
        assert_eq!(asked, vec![1; left], "version {version}: what was not settled is requested once, and nothing else");
        assert_eq!(old.sql("SELECT count(*) FROM seen"), new.sql("SELECT count(*) FROM seen"));
        assert_eq!(old.sql("SELECT state FROM crawl"), "ended");
        assert_eq!(old.schema(), schema, "version {version}: the tables are those of a new crawl");
        let used = |of: &Old| of.sql("SELECT pages + (SELECT sum(pages) FROM node) FROM crawl");
        assert_eq!(used(&old), used(&new), "version {version}: what is used of limits");
    }
}

#[test]
fn tables_are_not_upgraded_while_a_node_of_an_older_program_lives_and_none_joins_after_that() {
    let old = Old::restore_as("lives", 3);
    let sign_of_life = "DO $$ BEGIN FOR i IN 1..2000 LOOP UPDATE crawl_site.node SET beat = beat + 1, seen = now() \
                        WHERE name = 'vm 1'; COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$";
    // The least of the two has this name; the other is silent.
    old.sql("UPDATE node SET name = CASE WHEN session = (SELECT min(session) FROM node) THEN 'vm 1' ELSE 'vm 2' END");
    let mut lives = old.server.session(&old.name);
    writeln!(lives.stdin.as_mut().unwrap(), "{sign_of_life};").unwrap();
    until("it lives", || old.sql("SELECT now() - seen < '1 second' FROM node WHERE name = 'vm 1'") == "t");
    let (code, said) = old.crawl();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("older program crawl: vm 1; stop them"), "{said}");
    assert_eq!(old.sql("SELECT version, (SELECT count(*) FROM node WHERE state = 'live') FROM crawl"), "3\t2");
    let (code, said) = old.command("drop");
    assert!(code == Some(1) && said.contains("vm 1, seen 0.") && !said.contains("vm 2"), "{said}");
    // The server would go on without its client.
    old.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %' AND datname = current_database()");
    assert!(!lives.wait().unwrap().success());
    let site = old_site();
    let (code, said) = old.crawl();
    assert_eq!(code, Some(FAILED), "{said}");
    drop(site);
    let joins = "INSERT INTO crawl_site.node (session, name, term, ends) VALUES (7, 'old', 500, 0)";
    assert_eq!(old.server.try_psql(&old.name, joins), None, "it had looked at the version before");
}
