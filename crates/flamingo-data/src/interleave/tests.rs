//! Whole runs over small folders, and pages as a reader sees them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{Rgba, RgbaImage};
use serde_json::Value;

use super::*;
use crate::ShardReader;
use crate::fixtures::png;
use crate::reject::Reason;

fn read(html: &str) -> Page {
    Page::read(html.as_bytes()).unwrap()
}

fn outline(page: &Page) -> Vec<String> {
    let pieces = page.pieces(|_| true).map(|piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Image(image) => format!("<{}>", page.images[image].addresses[0]),
    });
    pieces.collect()
}

#[test]
fn contents_in_the_order_of_the_page() {
    let page = read(
        "<!DOCTYPE html><title> A  page </title><base href='/x/'><body>
        <header><img src=logo.png>Site name</header>
        <nav><a href=1>One</a></nav>
        <main><header><h1>Owls</h1></header>
        <p>An owl
           sees <b>well</b>.</p>
        <figure><img data-src=owl.jpg src='data:image/gif;base64,R0lGOD' alt='An  owl'>
        <noscript><img src=owl.jpg>Turn scripts on</noscript><figcaption>A tawny owl</figcaption></figure>
        <ul><li>mice<ul><li>voles</li></ul></li><li><p>birds</p></li></ul>
        <ol start=3><li>wait</li><li>strike</li></ol>
        <table><tr><th>Size</th><td>40 cm</td></tr><tr><td></td><td>x</td></tr></table>
        <pre>
  hoot
    hoot</pre>
        Fish&nbsp;&amp; chips<br>no <q>owl</q> eats
        <script>alert('owl')</script><style>p {}</style>
        </main>
        <div class='cookie-notice'>We use cookies</div><form><input><button>Search</button></form>
        <footer>Imprint</footer>",
    );
    assert_eq!((page.title.as_str(), page.base.as_deref()), ("A page", Some("/x/")));
    assert_eq!(page.images[0].alt, "An owl");
    assert_eq!(
        outline(&page),
        [
            "Owls\n\nAn owl sees well.",
            "<owl.jpg>",
            "<owl.jpg>",
            "A tawny owl\n\n- mice\n  - voles\n- birds\n\n3. wait\n4. strike\n\nSize | 40 cm\nx\n\n  hoot\n    hoot\n\n\
             Fish & chips\nno “owl” eats"
        ]
    );
    let page = read("<p>a <img src=b> c");
    let dropped: Vec<Piece<'_>> = page.pieces(|_| false).collect();
    assert_eq!(dropped, [Piece::Text("a c")]);
}

#[test]
fn lists_of_links_go_and_galleries_stay() {
    let links: String = (0..5).map(|n| format!("<li><a href={n}>Another story {n}</a></li>")).collect();
    let pictures: String =
        (0..5).map(|n| format!("<li><a href={n}><img src={n}.png>Owl {n}</a></li>")).collect();
    let page = read(&format!("<p>Text with a <a href=x>link</a>.</p><ul>{links}</ul><ul>{pictures}</ul>"));
    assert_eq!(page.images.len(), 5);
    assert!(page.text.contains("Text with a link.") && page.text.contains("Owl 3"));
    assert!(!page.text.contains("Another story"), "{}", page.text);
}

#[test]
fn names_do_not_condemn_what_is_most_of_a_page() {
    let text = "word ".repeat(50);
    let page = read(&format!("<div class=with-sidebar>{text}</div><div class=sidebar>aside</div>"));
    assert_eq!(page.text, text.trim());
    let sections = format!("<section id=navigation><h2>Navigation</h2>Turn left.</section>{text}");
    assert!(read(&sections).text.contains("Turn left."));
}

#[test]
fn deep_pages_are_refused_and_any_bytes_are_read() {
    let deep = format!("{}x", "<div>".repeat(10_000));
    assert_eq!(Page::read(deep.as_bytes()).unwrap_err().0, Reason::BadHtml);
    assert_eq!(Page::read(&[0; 100]).unwrap_err().0, Reason::BadText);
    assert_eq!(Page::read(b"").unwrap(), Page::default());
}

#[test]
fn images_stay_where_spaces_before_them_are_cut() {
    let html = "<pre>a\n\n\n\n\n<img src=x><pre></pre>b<img src=y></pre>c";
    let page = Page::read(html.as_bytes()).unwrap();
    let pieces: Vec<Piece<'_>> = page.pieces(|_| true).collect();
    let expected = [Piece::Text("a"), Piece::Image(0), Piece::Text("b"), Piece::Image(1), Piece::Text("c")];
    assert_eq!(pieces, expected);
}

proptest::proptest! {
    /// Whatever the tags, pieces are whole, in order, and without spaces around them.
    #[test]
    fn any_mess_of_tags_is_read(parts in proptest::collection::vec(
        proptest::sample::select(vec![
            "<p>", "</p>", "<pre>", "</pre>", "<li>", "<ul>", "</ul>", "<ol>", "<table>", "<tr>", "<td>", "</table>", "<br>",
            "<img src=a>", "<q>", "</q>", "<noscript>", "</noscript>", "<a href=x>", "</a>", "word", " ", "\n", "\u{a0}", "ü",
            "<svg>", "</svg>", "<b>", "</i>", "<select>", "<template>", "<form>", "&lt;", "<!--", "-->", "<td", "='",
        ]), 0..60,
    )) {
        let html = parts.concat();
        let page = Page::read(html.as_bytes()).unwrap();
        proptest::prop_assert!(page.images.is_sorted_by_key(|image| image.at));
        for keep in [true, false] {
            for piece in page.pieces(|_| keep) {
                if let Piece::Text(text) = piece {
                    proptest::prop_assert!(!text.is_empty() && text.trim() == text);
                }
            }
        }
    }
}

/// A picture of bars, another one for each seed.
fn bars(seed: u32, width: u32, height: u32) -> Vec<u8> {
    let value =
        |x: u32, y: u32| ((x * (seed % 5 + 1) / 8 + y * (seed / 5 + 1) / 11) * (37 + seed) % 256) as u8;
    png(&RgbaImage::from_fn(width, height, |x, y| Rgba([value(x, y), value(y, x), (seed * 40) as u8, 255])))
}

/// A site of twelve pages; each has a picture of its own, all have a logo.
fn site(folder: &Path) {
    fs::create_dir_all(folder.join("img")).unwrap();
    fs::write(folder.join("img/logo.png"), bars(40, 80, 80)).unwrap();
    fs::write(folder.join("img/small.png"), bars(1, 63, 80)).unwrap();
    fs::write(folder.join("img/broken.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    fs::write(folder.join("img/drawing.svg"), b"<svg/>").unwrap();
    for page in 0..12 {
        fs::write(folder.join(format!("img/{page}.png")), bars(page, 96, 80)).unwrap();
        let html = format!(
            "<p>Page {page}<img src=img/logo.png><img src=img/{page}.png alt=bars><img src=img/small.png>
             <img src=img/broken.png><img src=img/drawing.svg><img src=img/none.png><img src=//far.example/a.png>
             <img src=img/{page}.png>end"
        );
        fs::write(folder.join(format!("page{page:02}.html")), html).unwrap();
    }
    fs::write(folder.join("twin.html"), fs::read(folder.join("page03.html")).unwrap()).unwrap();
    fs::write(folder.join("words.html"), "<p>No image here").unwrap();
    fs::write(folder.join(".hidden.html"), "<p>Hidden<img src=img/1.png>").unwrap();
    fs::write(folder.join("binary.html"), [0; 100]).unwrap();
}

fn go(spec: &InterleaveSpec, output: &Path) -> Report {
    interleave(spec, output, 1.0, &|_| {}).unwrap()
}

/// All files of a folder, by path.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        match entry.path().is_dir() {
            true => files.extend(
                contents(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)),
            ),
            false => drop(files.insert(name, fs::read(entry.path()).unwrap())),
        }
    }
    files
}

#[test]
fn a_site_becomes_documents_and_all_else_is_accounted_for() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    site(input.path());
    let mut spec = InterleaveSpec::new(input.path());
    spec.shards.size = 5;
    let report = go(&spec, output.path());
    assert_eq!((report.pages, report.documents, report.shards), (15, 12, 3));
    assert_eq!(report.pages_filtered, [(PageFilter::NoImages, 1), (PageFilter::Duplicate, 1)].into());
    assert_eq!(report.rejects, [(Reason::BadText, 1), (Reason::BadImage, 1)].into());
    let each = [
        ImageFilter::Missing,
        ImageFilter::External,
        ImageFilter::Svg,
        ImageFilter::Unusable,
        ImageFilter::Small,
        ImageFilter::Repeated,
        ImageFilter::Duplicate,
    ];
    assert_eq!(report.images_filtered, each.map(|filter| (filter, 13)).into());
    let filtered: u64 = report.images_filtered.values().sum();
    assert_eq!(report.images_seen, filtered + report.images + report.images_on_dropped_pages);

    let first =
        ShardReader::open(output.path().join("documents-000000.tar")).unwrap().next().unwrap().unwrap();
    let json: Value = serde_json::from_slice(first.field("json").unwrap()).unwrap();
    assert_eq!(json["url"], "page00.html");
    let image = serde_json::json!({"image": "0.png", "width": 96, "height": 80, "alt": "bars"});
    assert_eq!(json["chunks"], serde_json::json!([{"text": "Page 0"}, image, {"text": "end"}]));
    assert_eq!(first.field("0.png").unwrap(), bars(0, 96, 80));
    let rejects = fs::read_to_string(output.path().join("rejects.jsonl")).unwrap();
    assert!(rejects.contains("binary.html") && rejects.contains("img/broken.png"), "{rejects}");
}

#[test]
fn threads_compression_and_interruptions_change_nothing() {
    let input = tempfile::tempdir().unwrap();
    site(input.path());
    let mut spec = InterleaveSpec::new(input.path());
    spec.shards.size = 4;
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        spec.shards.compression = compression;
        let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let report = pool.install(|| go(&spec, whole.path()));
        // Ended at each step in turn: by a panic, which leaves the disk as a kill does.
        let mut after = 0;
        loop {
            let steps = AtomicUsize::new(0);
            let ended = std::panic::catch_unwind(|| {
                interleave(&spec, cut.path(), 1.0, &|_| {
                    assert!(steps.fetch_add(1, Ordering::Relaxed) < after, "ended here");
                })
            });
            match ended {
                Ok(finished) => break assert_eq!(finished.unwrap(), report),
                Err(_) => after += 1,
            }
        }
        assert!(contents(whole.path()) == contents(cut.path()), "{compression:?}");
        assert_eq!(go(&spec, whole.path()), report, "a finished run is not done again");
    }
}

#[test]
fn evaluation_images_are_kept_out() {
    let (input, output, exam) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    site(input.path());
    let picture = crate::image::decode(&bars(7, 96, 80), "bars").unwrap();
    let smaller = image::imageops::resize(&picture, 72, 60, image::imageops::FilterType::Triangle);
    fs::write(exam.path().join("question.png"), png(&smaller)).unwrap();
    crate::fixtures::write_shard(exam.path(), "more.tar", &[("a.png", &bars(8, 96, 80)), ("a.txt", b"x")]);
    let mut spec = InterleaveSpec::new(input.path());
    spec.images.exclude_like = vec![exam.path().to_owned()];
    let report = go(&spec, output.path());
    assert_eq!(report.images_filtered[&ImageFilter::Excluded], 4, "two images, on two pages, twice each");
    assert_eq!(report.documents, 10);
    fs::write(exam.path().join("broken.jpg"), b"no").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(
        interleave(&spec, elsewhere.path(), 1.0, &|_| {}).is_err(),
        "what cannot be read cannot be kept out"
    );
}

#[test]
fn rules_for_documents() {
    let input = tempfile::tempdir().unwrap();
    fs::write(input.path().join("a.png"), bars(3, 96, 80)).unwrap();
    let texts = [
        ("de", "Die Eule ist ein Vogel, der nachts jagt und am Tag in einem hohlen Baum schläft."),
        ("en", "The owl is a bird that hunts at night and sleeps by day in a hollow tree."),
        ("short", "An owl."),
    ];
    for (name, text) in texts {
        fs::write(
            input.path().join(name).with_extension("html"),
            format!("<p>{text}<img src=a.png alt=owl>"),
        )
        .unwrap();
    }
    let documents = |change: &dyn Fn(&mut InterleaveSpec)| {
        let output = tempfile::tempdir().unwrap();
        let mut spec = InterleaveSpec::new(input.path());
        change(&mut spec);
        go(&spec, output.path())
    };
    let english = documents(&|spec| spec.documents.languages = vec!["eng".to_owned()]);
    assert_eq!((english.documents, english.pages_filtered[&PageFilter::Language]), (1, 2));
    let long = documents(&|spec| spec.documents.min_words = 5);
    assert_eq!((long.documents, long.pages_filtered[&PageFilter::TooShort]), (2, 1));
    let gopher = documents(&|spec| spec.documents.gopher = true);
    assert_eq!(gopher.pages_filtered, [(PageFilter::Quality, 3)].into());
}

#[test]
fn another_run_is_not_overwritten_and_wrong_rules_are_refused() {
    let (input, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    site(input.path());
    let mut spec = InterleaveSpec::new(input.path());
    go(&spec, output.path());
    spec.images.min_side = 32;
    assert!(matches!(interleave(&spec, output.path(), 1.0, &|_| {}), Err(DataError::OtherRun { .. })));
    spec.documents.languages = vec!["klingon".to_owned()];
    let error = interleave(&spec, output.path(), 1.0, &|_| {}).unwrap_err().to_string();
    assert!(error.contains("klingon") && error.contains("en"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error =
        interleave(&InterleaveSpec::new(empty.path()), output.path(), 1.0, &|_| {}).unwrap_err().to_string();
    assert!(error.contains(".html"), "{error}");
}
