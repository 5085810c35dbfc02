//! The whole command, with cases that take moments: rows, page, baseline, failure.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(args: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flamingo-bench")).args(args).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn rows(path: &Path) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_case_is_measured_in_a_process_of_its_own_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let args =
        ["--suite", "micro", "--case", "gemm-1024", "--quick", "--json", "rows.json", "--html", "page.html"];
    let output = bench(&args, folder.path());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(
        table.contains("micro/gemm-1024") && table.contains("GFLOP/s") && table.contains("GB/s"),
        "{table}"
    );

    let rows = rows(&folder.path().join("rows.json"));
    let cases: Vec<&str> = rows.iter().filter_map(|row| row["case"].as_str()).collect();
    assert_eq!(cases, ["gemm", "memory", "gemm-1024"]);
    for row in &rows {
        assert!(row["peer"].is_null() && row["peer_ms"].is_null() && row["ratio"].is_null());
        assert!(row["ours_ms"].as_f64().unwrap() > 0.0 && row["ours_cold_ms"].as_f64().unwrap() > 0.0);
        let share = row["ceiling_share"].as_f64().unwrap();
        assert!(share > 0.0 && share.is_finite(), "{row}");
        #[cfg(target_os = "linux")]
        assert!(row["ours_peak_mb"].as_f64().unwrap() >= row["ours_start_mb"].as_f64().unwrap(), "{row}");
    }
    // 256 MiB were read in the second process and in no other.
    #[cfg(target_os = "linux")]
    assert!(
        rows[1]["ours_peak_mb"].as_f64().unwrap() > 268.0
            && rows[2]["ours_peak_mb"].as_f64().unwrap() < 268.0
    );
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("class=\"bar\"") && page.contains("--case gemm-1024"));
}

#[test]
fn twenty_percent_more_are_caught_by_a_limit_of_ten() {
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| bench(&[&["--case", "ceiling/pause", "--quick"], more].concat(), folder.path());
    let first = run(&["--json", "before.json"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert_eq!(rows(&folder.path().join("before.json"))[0]["case"], "pause");
    let limit = ["--baseline", "before.json", "--fail-above", "10"];
    let slowed = run(&[&limit[..], &["--slow-down", "20"]].concat());
    assert_eq!(slowed.status.code(), Some(1), "{}", text(&slowed.stdout));
    assert!(text(&slowed.stderr).contains("ceiling/pause"), "{}", text(&slowed.stderr));
    // As slow as it is, it is not ten times as slow.
    let wide = run(&["--baseline", "before.json", "--fail-above", "900", "--slow-down", "20"]);
    assert!(wide.status.success(), "{}", text(&wide.stderr));
    assert!(text(&wide.stdout).contains("ms before"), "{}", text(&wide.stdout));
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let error = |args: &[&str]| {
        let output = bench(args, folder.path());
        assert!(!output.status.success());
        text(&output.stderr)
    };
    assert!(error(&["--case", "nothing-like-it"]).contains("--list"));
    assert!(error(&["--against", "torch", "--case", "gemm-1024"]).contains("--python"));
    assert!(error(&["--baseline", "absent.json", "--case", "gemm-1024"]).contains("absent.json"));
    assert!(error(&["--suite", "trian"]).contains("train"));
}

#[test]
fn a_peer_that_fails_is_a_failure_and_our_row_stays() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--case",
        "gemm-1024",
        "--quick",
        "--against",
        "torch",
        "--python",
        "no-such-python",
        "--json",
        "rows.json",
    ];
    let output = bench(&args, folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no-such-python"), "{}", text(&output.stderr));
    assert_eq!(rows(&folder.path().join("rows.json")).len(), 3);
}
