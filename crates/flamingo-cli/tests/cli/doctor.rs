//! What the doctor says of the machine that the tests run on.

use super::*;

fn doctor(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flamingo"))
        .arg("doctor")
        .args(args)
        .env("HF_TOKEN", "hf_secret")
        .env("HF_HOME", "no-such-folder")
        .output()
        .unwrap()
}

#[test]
fn its_json_has_every_part_and_no_secret() {
    let output = doctor(&["--json", "--device", "flex"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("hf_secret"), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["chosen"]["device"], "flex");
    assert!(report["chosen"]["seconds"].is_f64(), "{text}");
    assert!(report["machine"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{text}");
    let backends = report["backends"].as_array().unwrap();
    let flex = backends.iter().find(|backend| backend["name"] == "flex").unwrap();
    assert!(flex["devices"][0]["seconds"].is_f64(), "{text}");
    assert_eq!(report["token"], true);
    assert!(report["folders"][0]["bytes"].is_null(), "{text}");
}

#[test]
fn a_device_that_is_not_there_is_told_behind_the_report() {
    let output = doctor(&["--device", "rocm"]);
    let [report, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(report.contains("device      rocm: FAILED") && report.contains("memory"), "{report}");
    assert!(error.contains("no rocm backend"), "{error}");
}
