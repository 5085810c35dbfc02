//! The page: summary, records, training sequences. Nothing is loaded from anywhere, and nothing in it runs.

use rayon::prelude::*;

use super::html::{escape, medium};
use super::summary::Summary;
use crate::document::Chunk;
use crate::sample::{Content, Sample};

/// The whole page.
pub(super) fn page(title: &str, summary: &Summary, samples: &[Sample], sequences: &[String]) -> String {
    let title = escape(title);
    let records: Vec<String> = samples.par_iter().map(record).collect();
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{}</style></head><body>\n<h1>{title}</h1>\n{}",
        include_str!("style.css"),
        numbers(summary)
    );
    if !sequences.is_empty() {
        html.push_str(
            "<h2>Training sequences</h2><p>As a model gets them: one window of each record. A text has the colour of the \
             image that it sees; grey text sees none; pale tokens are not predicted.</p>\n",
        );
        html.push_str(&sequences.join("\n"));
    }
    html.push_str(&format!(
        "<h2>Records</h2><div class=\"records\">\n{}\n</div></body></html>\n",
        records.join("\n")
    ));
    html
}

fn numbers(summary: &Summary) -> String {
    let row = |name: &str, count: u64| format!("<tr><td>{}</td><td>{count}</td></tr>", escape(name));
    let counts = summary.counts().into_iter().map(|(name, count)| row(name, count));
    let rejects = summary.rejects.iter().map(|(reason, count)| row(&format!("rejected: {reason}"), *count));
    let table: String = counts.chain(rejects).collect();
    let histograms: String = summary
        .histograms()
        .into_iter()
        .map(|(title, histogram)| {
            format!("<figure><figcaption>{}</figcaption><pre>{histogram}</pre></figure>", escape(title))
        })
        .collect();
    format!("<table>{table}</table>\n<div class=\"charts\">{histograms}</div>\n")
}

/// A record in reading order.
fn record(sample: &Sample) -> String {
    let (kind, body): (&str, String) = match &sample.content {
        Content::Page(document) => {
            let chunks = document.chunks.iter().map(|chunk| match chunk {
                Chunk::Text(text) => format!("<span>{}</span>", escape(text)),
                Chunk::Image(image) => sample.media.get(*image).map(medium).unwrap_or_default(),
            });
            ("page", chunks.collect())
        }
        Content::Pair(captions) => {
            let media: String = sample.media.iter().map(medium).collect();
            let captions = captions.iter().map(|caption| format!("<span>{}</span>", escape(caption)));
            ("pair", format!("{media}{}", captions.collect::<String>()))
        }
        Content::Text(text) => ("page", format!("<span>{}</span>", escape(text))),
    };
    format!(
        "<figure class=\"{kind}\"><figcaption>{}</figcaption><div class=\"text\">{body}</div></figure>",
        escape(&sample.key)
    )
}
