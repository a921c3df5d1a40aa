//! The items of `crawl` as users see them: what is validated, and how pages are written as Markdown.
#![cfg(feature = "cli")]

mod recorder;

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use recorder::{Answer, Recorder};
use serde_json::Value;

fn crawl(site: &Recorder, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    let url = site.url("/");
    command.args(["crawl", &url, "--allow-private", "--rate", "200/s"]).args(more);
    command.env_remove("RUST_LOG").stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A shop whose second product has no price, and whose third has one that is none.
fn shop() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::ok("<h1>One</h1><b class=price>3,50 €</b><a href=/2>2</a><a href=/3>3</a>"),
        "/2" => Answer::ok("<h1>Two</h1>"),
        "/3" => Answer::ok("<h1>Three</h1><b class=price>on demand</b>"),
        _ => Answer::status(404),
    })
}

const SELECT: [&str; 4] = ["--select", "name=h1", "--select", "price=.price"];

#[test]
fn fields_that_too_few_pages_have_are_warned_of_and_end_with_their_own_code() {
    let (site, folder) = (shop(), tempfile::tempdir().unwrap());
    let summary = folder.path().join("summary.json");
    let more = ["--expect", "price=95%", "--min", "price=1", "--summary", summary.to_str().unwrap()];
    let output = crawl(&site, &[&SELECT[..], &more].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("`price` is in 66.6% of the items (2 of 3), and expected in 95%"), "{said}");
    assert!(said.contains("price is no number") && said.contains("/3: on demand"), "{said}");
    assert_eq!(text(&output.stdout).lines().count(), 2, "the page without a number is left out");
    let summary: Value = serde_json::from_slice(&fs::read(summary).unwrap()).unwrap();
    assert_eq!(summary["validation"]["invalid"], 1);
    assert_eq!(summary["validation"]["fields"]["name"]["share"], 1.0);

    let output =
        crawl(&site, &[&SELECT[..], &["--expect", "price=60%", "--min", "price=1", "--keep-invalid"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 3);
}

#[test]
fn the_file_has_the_same_rules_and_a_rule_of_no_field_is_refused_before_anything_is_fetched() {
    let (site, folder) = (shop(), tempfile::tempdir().unwrap());
    let file = folder.path().join("crawl.toml");
    let rules =
        "[pages.select]\nprice = '.price'\n[pages.validate.fields.price]\nrequired = true\nmin = 1\nexpected = '50%'\n";
    fs::write(&file, rules).unwrap();
    let file = file.to_str().unwrap();
    let output = crawl(&site, &["--config", file]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 1);

    let before = site.count();
    let output = crawl(&site, &["--config", file, "--require", "prise"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no field `prise`"), "{}", text(&output.stderr));
    assert_eq!(site.count(), before);
}

/// Each left an empty file or an empty column, and said nothing.
#[test]
fn a_feed_that_names_what_no_page_has_is_refused_before_anything_is_fetched() {
    let (site, folder) = (shop(), tempfile::tempdir().unwrap());
    let (config, to) = (folder.path().join("crawl.toml"), folder.path().join("a-{batch}.csv"));
    for (feed, why) in [
        ("fields = ['url', 'titel']", "no field `titel`; did you mean `title`? there are url, status"),
        ("fields = ['url', 'url']", "`url` is twice"),
        ("only = { lang = 'en' }", "no field `lang`"),
        ("types = ['Page']", "`types` names `Page`"),
        ("roll = { items = 0 }", "`roll.items` is 0"),
        ("batch = { items = 0 }", "`batch.items` is 0"),
    ] {
        fs::write(&config, format!("[[feeds]]\nto = '{}'\n{feed}\n", to.display())).unwrap();
        let output = crawl(&site, &["--config", config.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    let output = crawl(&site, &["-o", "-", "-o", "-"]);
    assert!(text(&output.stderr).contains("two outputs cannot both be stdout"), "{}", text(&output.stderr));
    assert_eq!((site.count(), fs::read_dir(folder.path()).unwrap().count()), (0, 1), "nothing was fetched or written");
    // What is asked for, or within a field, is there.
    let feeds = "[[feeds]]\nto = '-'\nfields = ['url', 'name', 'language']\nonly = { name = 'Two' }\n";
    fs::write(&config, feeds).unwrap();
    let output = crawl(&site, &[&SELECT[..], &["--language", "--config", config.to_str().unwrap()]].concat());
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 1), "{}", text(&output.stderr));
}

#[test]
fn several_outputs_get_the_same_pages_each_as_its_ending_says() {
    let (site, folder) = (shop(), tempfile::tempdir().unwrap());
    let to = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let more = ["-o", &to("a.json"), "-o", &to("b.csv.gz"), "-o", &to("{domain}.xml"), "-o", &to("d.db"), "-o", "-"];
    let output = crawl(&site, &more);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 3);
    let array: Vec<Value> = serde_json::from_slice(&fs::read(to("a.json")).unwrap()).unwrap();
    assert_eq!(array.len(), 3);
    let mut csv = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(fs::File::open(to("b.csv.gz")).unwrap()));
    assert_eq!(csv.records().count(), 3);
    let database = rusqlite::Connection::open(to("d.db")).unwrap();
    let titles = database.query_row("SELECT count(*), count(DISTINCT url), count(title) FROM items", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    assert_eq!(titles.unwrap(), (3, 3, 0), "the spider's fields are columns, also where no page has them");
    assert!(fs::read_to_string(to("127.0.0.1.xml")).unwrap().ends_with("</items>\n"));

    let before = site.count();
    for (name, why) in [("c.xlsx", ".csv"), ("{tiem}.csv", "{time}")] {
        let refused = crawl(&site, &["-o", &to(name)]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(why), "{}", text(&refused.stderr));
    }
    assert_eq!(site.count(), before);
}

#[test]
fn feeds_of_a_file_are_written_unless_an_output_is_named() {
    let (site, folder) = (shop(), tempfile::tempdir().unwrap());
    let to = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let feeds = format!(
        "[[feeds]]\nto = '{}'\nfields = ['title', 'url']\n[[feeds]]\nto = '{}'\nonly = {{ status = '404' }}\n",
        to("a.csv"),
        to("b.jsonl")
    );
    fs::write(to("crawl.toml"), feeds).unwrap();
    let output = crawl(&site, &["--config", &to("crawl.toml")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("{\"url\""), "the summary stands there");
    let csv = fs::read_to_string(to("a.csv")).unwrap();
    assert!(csv.starts_with("title,url\n") && csv.lines().count() == 4, "{csv}");
    assert_eq!(fs::read_to_string(to("b.jsonl")).unwrap(), "");
    fs::remove_file(to("a.csv")).unwrap();
    let output = crawl(&site, &["--config", &to("crawl.toml"), "-o", "-"]);
    assert_eq!(text(&output.stdout).lines().count(), 3);
    assert!(!folder.path().join("a.csv").exists());
    fs::write(to("crawl.toml"), "[[feeds]]\nto = 'a.xlsx'\n").unwrap();
    let output = crawl(&site, &["--config", &to("crawl.toml")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("feeds") && text(&output.stderr).contains("line"),
        "{}",
        text(&output.stderr)
    );
}

/// A shop with two categories and three products, of which the last has no price.
fn shop_with_categories() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::ok("<a href=/category/1>1</a><a href=/category/2>2</a>"),
        "/category/1" => Answer::ok("<a href=/product/1>a</a><a href=/product/2>b</a>"),
        "/category/2" => Answer::ok("<a href=/product/3>c</a><img src=/logo.gif>"),
        "/product/1" => Answer::ok("<h1>One</h1><b class=price title=net>3,50 €</b><i>EAN: 4006</i>"),
        "/product/2" => Answer::ok("<h1>Two</h1><b class=price title=gross>12 €</b><i>EAN: 4007</i>"),
        "/product/3" => Answer::ok("<h1>Three</h1>"),
        _ => Answer::status(404),
    })
}

#[test]
fn pages_that_are_no_items_are_followed_alone_and_are_not_invalid() {
    let (site, folder) = (shop_with_categories(), tempfile::tempdir().unwrap());
    let to = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let more = ["--select", "price=.price", "--require", "price", "--summary", &to("summary.json")];
    let written = |output: &Output| {
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines = text(&output.stdout);
        let urls = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["url"].clone());
        let mut paths: Vec<_> =
            urls.map(|url| url.as_str().unwrap().strip_prefix(&site.url("")).unwrap().to_owned()).collect();
        paths.sort();
        let summary: Value = serde_json::from_slice(&fs::read(to("summary.json")).unwrap()).unwrap();
        (paths, summary["validation"]["invalid"].clone())
    };
    let products = (vec!["/product/1".to_owned(), "/product/2".to_owned()], Value::from(1));
    assert_eq!(written(&crawl(&site, &[&more[..], &["--items", "/product/"]].concat())), products);
    let both = ["--items", "/product/[12]", "--items", "/product/3"];
    assert_eq!(written(&crawl(&site, &[&more[..], &both].concat())), products);

    fs::write(to("crawl.toml"), "[pages]\nitems = ['/product/']\n").unwrap();
    let config = to("crawl.toml");
    let from_file = [&more[..], &["--config", &config]].concat();
    assert_eq!(written(&crawl(&site, &from_file)), products);
    let (paths, invalid) = written(&crawl(&site, &[&from_file[..], &["--items", "."]].concat()));
    assert_eq!((paths, invalid), (products.0, 4.into()), "an option replaces those of the file");

    // What is no item has no files.
    let output = crawl(&site, &["--items", "/product/", "--files", &to("files")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(site.asked().iter().all(|asked| asked.path != "/logo.gif"));
    // A pattern with a slip is told of.
    let output = crawl(&site, &["--items", "/produkt/"]);
    assert!(text(&output.stderr).contains("no page's URL matches --items /produkt/"), "{}", text(&output.stderr));
    fs::write(to("crawl.toml"), "[pages]\nitems = ['(']\n").unwrap();
    let output = crawl(&site, &["--config", &config]);
    assert!(text(&output.stderr).contains("pages.items") && text(&output.stderr).contains("line 2"), "{output:?}");
}

#[test]
fn fields_are_chosen_in_their_order_for_every_output() {
    let (site, folder) = (shop_with_categories(), tempfile::tempdir().unwrap());
    let to = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let select = [
        "--items",
        "product/[12]",
        "--select",
        "name=h1",
        "--select",
        "price=.price | number",
        "--select",
        "net=b@title",
    ];
    let ean = ["--select", r"ean=i | re EAN: (\d+)"];
    let feeds = format!("[[feeds]]\nto = '{}'\nfields = ['title']\n", to("feed.csv"));
    fs::write(to("crawl.toml"), feeds).unwrap();
    let fields = ["--fields", "name,price, net", "--fields", "ean"];
    let output =
        crawl(&site, &[&select[..], &ean, &fields, &["-o", &to("a.csv"), "-o", "-", "-o", &to("md/")]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let table = ["One,3.5,net,4006", "Two,12,gross,4007", "name,price,net,ean"];
    assert_eq!(sorted(&fs::read_to_string(to("a.csv")).unwrap()), table);
    let lines = [
        r#"{"name":["One"],"price":[3.5],"net":["net"],"ean":["4006"]}"#,
        r#"{"name":["Two"],"price":[12],"net":["gross"],"ean":["4007"]}"#,
    ];
    assert_eq!(sorted(&text(&output.stdout)), lines);
    let output = crawl(&site, &[&select[..], &["--config", &to("crawl.toml"), "--fields", "name"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(sorted(&fs::read_to_string(to("feed.csv")).unwrap()), ["One", "Two", "name"]);

    let before = site.count();
    for (wrong, more, words) in [
        ("url,prise", "-", ["`prise`", "--select prise=CSS", "url, status", "name, price"]),
        ("url,name,url", "-", ["`url` twice", "--fields", "", ""]),
        ("url", &*to("md2/"), ["--fields is for files", "Markdown", "", ""]),
    ] {
        let output = crawl(&site, &[&select[..], &["-o", more, "--fields", wrong]].concat());
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        for word in words {
            assert!(text(&output.stderr).contains(word), "{word}: {}", text(&output.stderr));
        }
    }
    assert_eq!(site.count(), before);
}

const STORY: &str = "<p>Once upon a time, a crawler asked politely for a page, waited, and was answered at last.</p>";

/// Two pages with a main part, a document, an image, and a list for language models.
fn docs() -> Recorder {
    Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::ok(format!(
            "<html lang=en><title>Home: \"one\"</title><nav><a href=/b>Blog</a> <a href=/doc.txt.gz>document</a> \
             <a href=/i.png>image</a></nav><article><h2>Story</h2>{}</article><footer>Imprint</footer>",
            STORY.repeat(12)
        )),
        "/b" => Answer::ok("<title>B</title><p>short</p><a href=/llms.txt>list</a>"),
        "/llms.txt" => Answer::ok("# Site\n\n- [Extra](/extra)\n").header("content-type", "text/plain"),
        "/extra" => Answer::ok("<p>extra"),
        "/doc.txt.gz" => Answer::ok("A document.\n\nIts end.").header("content-type", "application/x-doc"),
        "/i.png" => Answer::ok("PNG").header("content-type", "image/png"),
        _ => Answer::status(404),
    })
}

/// The files of a folder and their texts, sorted.
fn files(folder: &std::path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else {
            let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(entry).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_folder_gets_a_file_for_each_page_and_a_list_of_them() {
    let (site, folder) = (docs(), tempfile::tempdir().unwrap());
    let pages = format!("{}/pages/", folder.path().display());
    let output = crawl(&site, &["-o", &pages, "--select", "head=h2", "--convert", "application/x-doc=cat"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("items left out                        1"), "the image has no text: {said}");
    let found = files(&folder.path().join("pages"));
    let names: Vec<_> = found.iter().map(|(name, _)| name.rsplit_once('-').map_or(&**name, |(slug, _)| slug)).collect();
    assert_eq!(names, ["b", "doc.txt.gz", "extra", "index", "llms.txt", "llms.txt"], "{found:?}");
    let home = &found[3].1;
    let begins = format!("---\nurl: \"{}\"\ntitle: \"Home: \\\"one\\\"\"\nfetched_at: \"20", site.url("/"));
    assert!(home.starts_with(&begins), "{home}");
    assert!(home.contains("\nlanguage: \"en\"\n\"head\": [\"Story\"]\n---\n\n"), "{home}");
    assert!(home.contains("asked politely") && !home.contains("Imprint") && !home.contains("Blog"), "{home}");
    assert!(found[1].1.ends_with("---\n\nA document.\n\nIts end.\n"), "{}", found[1].1);
    let contents = fs::read_to_string(folder.path().join("pages/llms.txt")).unwrap();
    assert!(contents.contains("- [Home: \"one\"](127.0.0.1_") && contents.matches("- [").count() == 5, "{contents}");
}

#[test]
fn a_folder_is_gone_on_with_and_never_overwritten() {
    let (site, folder) = (docs(), tempfile::tempdir().unwrap());
    let pages = format!("{}/pages/", folder.path().display());
    let state = folder.path().join("state");
    let more = ["-o", &pages, "--state", state.to_str().unwrap()];
    assert_eq!(crawl(&site, &[&more[..], &["--max-pages", "1"]].concat()).status.code(), Some(0));
    let first = files(&folder.path().join("pages"));
    assert_eq!(crawl(&site, &more).status.code(), Some(0));
    let then = files(&folder.path().join("pages"));
    assert!(first.len() == 2 && then.len() > 4 && then.contains(&first[0]), "{then:?}");

    let before = site.count();
    let output = crawl(&site, &["-o", &pages]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("not empty"), "{}", text(&output.stderr));
    assert_eq!((site.count(), files(&folder.path().join("pages"))), (before, then), "nothing was fetched or changed");
    let without_slash = crawl(&site, &["-o", pages.trim_end_matches('/')]);
    assert!(text(&without_slash.stderr).contains("for a folder of Markdown"), "{}", text(&without_slash.stderr));
}

#[test]
fn markdown_and_language_are_fields_where_that_is_asked_for() {
    let site = docs();
    let line = |more: &[&str]| -> Value {
        let output = crawl(&site, &[&["--max-pages", "1"], more].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
    };
    let main = line(&["--markdown", "--language"]);
    assert_eq!(main["language"], "en");
    assert!(main["markdown"].as_str().unwrap().contains("politely"), "{main}");
    assert!(!main["markdown"].as_str().unwrap().contains("Imprint"), "{main}");
    let whole = line(&["--markdown=whole"]);
    assert!(whole["markdown"].as_str().unwrap().contains("[Blog]("), "{whole}");
    assert!(whole.get("language").is_none() && line(&[]).get("markdown").is_none());
}

#[test]
fn files_of_each_page_are_downloaded_to_a_folder_and_its_line_says_what_became_of_them() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::ok(
            "<img src=/a.gif><img src='data:image/gif,x'><img src=/gone.gif><a href=/b.pdf>b</a><a href=/2>2</a>",
        )
        .header("content-type", "text/html"),
        "/2" => Answer::ok("<img src=/a.gif>").header("content-type", "text/html"),
        "/a.gif" => Answer::ok("GIF89a").header("content-type", "image/gif"),
        "/b.pdf" => Answer::ok("%PDF-1.7").header("content-type", "application/pdf"),
        _ => Answer::status(404),
    });
    let folder = tempfile::tempdir().unwrap();
    let (images, reports) = (folder.path().join("images"), folder.path().join("reports"));
    let output = crawl(&site, &["--files", images.to_str().unwrap(), "--deny", "pdf$"]);
    assert_eq!(output.status.code(), Some(3), "a file is missing: {}", text(&output.stderr));
    let said = text(&output.stderr);
    assert!(said.contains("files downloaded") && said.contains("file/status"), "{said}");
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |path: &str| lines.iter().find(|line| line["url"].as_str().unwrap().ends_with(path)).unwrap();
    let files = of("/")["files"].as_array().unwrap();
    assert_eq!((&files[0]["status"], &files[1]["status"]), (&"downloaded".into(), &"failed".into()), "{files:?}");
    assert_eq!(files[1]["error"], "status: 404");
    assert_eq!(fs::read(images.join(files[0]["path"].as_str().unwrap())).unwrap(), b"GIF89a");
    assert_eq!(of("/2")["files"][0]["path"], files[0]["path"]);
    assert_eq!(site.asked().iter().filter(|asked| asked.path == "/a.gif").count(), 1);

    let csv = folder.path().join("pages.csv");
    let more = [
        "--files",
        reports.to_str().unwrap(),
        "--files-css",
        "a[href$='.pdf']",
        "-o",
        csv.to_str().unwrap(),
        "--depth",
        "0",
    ];
    let output = crawl(&site, &more);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = fs::read_to_string(csv).unwrap();
    let (head, row) = table.split_once('\n').unwrap();
    assert!(
        head.trim_end().ends_with(",files,files_failed") && row.contains(",full/") && row.contains(".pdf"),
        "{table}"
    );

    let output = crawl(&site, &["--files-css", "img"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--files where to"), "{}", text(&output.stderr));
}

/// Regression: the converter, a process of the same terminal, was ended by Ctrl-C too, and its page had failed for
/// good.
#[cfg(unix)]
#[test]
fn an_interrupt_at_the_terminal_lets_a_document_in_flight_be_converted() {
    use std::os::unix::process::CommandExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (script, begun) = (folder.path().join("slow"), folder.path().join("begun"));
    fs::write(&script, format!("touch {}\nsleep 1\ncat\n", begun.display())).unwrap();
    let site = Recorder::start(|_| Answer::ok("A document").header("content-type", "application/x-doc"));
    let (url, convert) = (site.url("/"), format!("application/x-doc=sh {}", script.display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_actix-crawler"));
    command.args([
        "crawl",
        &url,
        "--allow-private",
        "--robots",
        "ignore",
        "--convert",
        &convert,
        "--progress",
        "never",
    ]);
    // A group of its own is what a shell gives a command, and what the terminal interrupts.
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().unwrap();
    for _ in 0..1_000 {
        if begun.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopping: "), "{said}");
    assert_eq!(text(&output.stdout).lines().count(), 1, "{said}");
}

#[test]
fn each_card_of_a_page_is_a_line_where_that_is_asked_for() {
    let site = Recorder::start(|asked| match asked.path.as_str() {
        "/" => Answer::ok(
            "<title>Shop</title><li class=card id=a><b>Tea</b><i>3,50 €</i><li class=card id=b><b>Milk</b></ul><a href=/2>2</a>",
        ),
        _ => Answer::ok("<title>About</title><b>Us</b>"),
    });
    let folder = tempfile::tempdir().unwrap();
    let (file, config) = (folder.path().join("cards.csv"), folder.path().join("crawl.toml"));
    let to = file.to_str().unwrap();
    let select = ["--select", "id=@id", "--select", "name=b", "--select", "price=i | number"];
    let of_options = [&["--each", ".card", "--fields", "title,id,name,price", "-o", to][..], &select].concat();
    let expected = "title,id,name,price\nShop,a,Tea,3.5\nShop,b,Milk,\n";
    let output = crawl(&site, &of_options);
    assert_eq!(fs::read_to_string(&file).unwrap(), expected, "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("2 items in this run\n"),
        "nothing was asked of them: {}",
        text(&output.stdout)
    );

    let pages = "[pages]\neach = '.card'\n[pages.select]\nid = '@id'\nname = 'b'\nprice = 'i | number'\n";
    fs::write(&config, pages).unwrap();
    let config = config.to_str().unwrap();
    crawl(&site, &["--config", config, "--fields", "title,id,name,price", "-o", to]);
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);

    let (asked, said) = (site.count(), |more: &[&str]| text(&crawl(&site, more).stderr));
    let none = said(&["--each", ".kard", "-o", to]);
    assert!(none.contains("no page has an element that --each .kard selects"), "{none}");
    let asked_for_none = site.count();
    for (wrong, why) in [
        (&["--select", "id=@id"][..], "add --each CSS"),
        (&["--each", ".card", "-o", "pages/"], "leave one out"),
        (&["--each", "p > .1st"], "no CSS selector"),
    ] {
        let said = said(wrong);
        assert!(said.contains(why), "{said}");
    }
    assert!(asked_for_none > asked && site.count() == asked_for_none, "what is refused fetches nothing");
}

/// Regression: the caret stood in the middle of the message's one line.
#[test]
fn the_caret_of_a_wrong_selector_stands_under_its_fault() {
    let site = shop();
    for option in ["--select", "--each"] {
        let selector = if option == "--each" { "p > .1st" } else { "x=p > .1st" };
        let said = text(&crawl(&site, &[option, selector]).stderr);
        assert!(said.ends_with("\n    p > .1st\n        ^\n"), "{said}");
    }
}
