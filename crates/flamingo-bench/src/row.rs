//! What a case came to, beside one peer or none: the records of `--json`.

use serde::{Deserialize, Serialize};

use crate::case::{Case, Suite};
use crate::count::Work;
use crate::measure::Sample;
use crate::statistics::{Summary, ratios};

/// Times are medians of warm repetitions in all processes; spreads are the distance between quartiles as a share of the
/// median; memory is in MB (10^6 bytes). A ratio is of neighbours in time: in each turn our median over the peer's beside
/// it, of those the median in each round. The machine's speed drops out of it, which the two medians of a whole run may not
/// share. Of rounds in which we were started first, and of those in which the peer was, it is the median, and of these two the
/// geometric mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub suite: Suite,
    pub case: String,
    pub ours_ms: f64,
    /// Whom it is compared with, if anybody.
    pub peer: Option<String>,
    pub peer_ms: Option<f64>,
    /// Our time over the peer's: below 1 we are faster.
    pub ratio: Option<f64>,
    /// Of the turns' ratios.
    #[serde(default)]
    pub ratio_spread: Option<f64>,
    /// What each round came to.
    #[serde(default)]
    pub ratio_rounds: Vec<f64>,
    /// The least time that the ceilings allow over our time; `None` where the work is not counted.
    pub ceiling_share: Option<f64>,
    /// The most memory that a process ever held.
    pub ours_peak_mb: Option<f64>,
    pub peer_peak_mb: Option<f64>,
    /// What a process held before the case was made: the program itself, the peer's packages.
    #[serde(default)]
    pub ours_start_mb: Option<f64>,
    #[serde(default)]
    pub peer_start_mb: Option<f64>,
    #[serde(default)]
    pub ours_spread: f64,
    #[serde(default)]
    pub peer_spread: Option<f64>,
    /// The first repetition, in the median of the processes.
    #[serde(default)]
    pub ours_cold_ms: f64,
    #[serde(default)]
    pub peer_cold_ms: Option<f64>,
    /// Page faults of a warm repetition of ours.
    #[serde(default)]
    pub ours_faults: Option<f64>,
    /// Billions of floating-point operations, counted.
    #[serde(default)]
    pub gflop: f64,
    /// Millions of bytes that must pass by, counted.
    #[serde(default)]
    pub mb: f64,
    /// What bounds the case: `compute` or `memory`.
    #[serde(default)]
    pub bound: Option<String>,
    /// Program and version of the peer.
    #[serde(default)]
    pub peer_version: Option<String>,
}

impl Row {
    /// `SUITE/CASE`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.suite.name(), self.case)
    }
}

/// What the processes of one side found out.
#[derive(Debug, Clone)]
pub struct Side {
    pub warm: Summary,
    /// Medians of the turns, of each process.
    turns: Vec<Vec<f64>>,
    cold_ms: f64,
    start_mb: Option<f64>,
    peak_mb: Option<f64>,
    faults: Option<f64>,
    version: Option<String>,
}

impl Side {
    /// Of at least one process that repeated its case at least once.
    pub fn of(samples: &[Sample]) -> Option<Self> {
        let all = |of: fn(&Sample) -> Option<f64>| samples.iter().filter_map(of).collect::<Vec<f64>>();
        let median = |of: fn(&Sample) -> Option<f64>| Summary::of(&all(of)).map(|summary| summary.median);
        let warm: Vec<f64> = samples.iter().flat_map(|sample| &sample.turns_ms).flatten().copied().collect();
        let middle = |turn: &Vec<f64>| Summary::of(turn).map(|summary| summary.median);
        Some(Self {
            warm: Summary::of(&warm)?,
            turns: samples.iter().map(|sample| sample.turns_ms.iter().filter_map(middle).collect()).collect(),
            cold_ms: median(|sample| Some(sample.cold_ms))?,
            start_mb: median(|sample| sample.start_mb),
            peak_mb: all(|sample| sample.peak_mb).into_iter().reduce(f64::max),
            faults: median(|sample| sample.faults),
            version: samples.iter().find_map(|sample| sample.version.clone()),
        })
    }

    /// Our times over those of `peer`, turn by turn: what the rounds come to, which we begin by turns, and how far apart all
    /// turns are.
    pub fn over(&self, peer: &Self) -> Option<Summary> {
        let all: Vec<f64> = self.rounds(peer).flatten().collect();
        let rounds = self.medians(Some(peer));
        let every_other = |from: usize| {
            let some: Vec<f64> = rounds.iter().copied().skip(from).step_by(2).collect();
            Some(Summary::of(&some)?.median)
        };
        let begun = every_other(0)?;
        let median = every_other(1).map_or(begun, |not_begun| (begun * not_begun).sqrt());
        Some(Summary { median, ..Summary::of(&all)? })
    }

    /// What each round comes to: the median of our times over those of `peer`, or of our times.
    pub fn medians(&self, peer: Option<&Self>) -> Vec<f64> {
        let median = |numbers: Vec<f64>| Some(Summary::of(&numbers)?.median);
        match peer {
            Some(peer) => self.rounds(peer).filter_map(median).collect(),
            None => self.turns.iter().cloned().filter_map(median).collect(),
        }
    }

    /// Our times over those of `peer` in the turns of each round.
    fn rounds(&self, peer: &Self) -> impl Iterator<Item = Vec<f64>> {
        self.turns.iter().zip(&peer.turns).map(|(ours, theirs)| ratios(ours, theirs))
    }
}

/// What the machine can do at its best.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ceilings {
    /// Floating-point operations in a second.
    pub flops: f64,
    /// Bytes in a second.
    pub bytes: f64,
}

impl Ceilings {
    /// Raises a ceiling if `work` was done in `ms`.
    pub fn raise(&mut self, work: Work, ms: f64) {
        self.flops = self.flops.max(work.flops / ms * 1e3);
        self.bytes = self.bytes.max(work.bytes / ms * 1e3);
    }

    /// The least milliseconds that `work` can take, and what keeps it from being faster; `None` without work.
    fn least(self, work: Work) -> Option<(f64, &'static str)> {
        let time = |count: f64, rate: f64| if count > 0.0 { count / rate * 1e3 } else { 0.0 };
        let (compute, memory) = (time(work.flops, self.flops), time(work.bytes, self.bytes));
        let least = if compute >= memory { (compute, "compute") } else { (memory, "memory") };
        (least.0 > 0.0 && least.0.is_finite()).then_some(least)
    }
}

/// One row for each peer, or one alone.
pub fn rows(case: &Case, ours: &Side, peers: &[(String, Side)], ceilings: Ceilings) -> Vec<Row> {
    let least = ceilings.least(case.work);
    let row = |peer: Option<&(String, Side)>| {
        let side = peer.map(|(_, side)| side);
        let ratio = side.and_then(|side| ours.over(side));
        Row {
            suite: case.suite,
            case: case.name.to_owned(),
            ours_ms: ours.warm.median,
            peer: peer.map(|(name, _)| name.clone()),
            peer_ms: side.map(|side| side.warm.median),
            ratio: ratio.map(|ratio| ratio.median),
            ratio_spread: ratio.map(|ratio| ratio.spread),
            ratio_rounds: side.map_or_else(Vec::new, |side| ours.medians(Some(side))),
            ceiling_share: least.map(|(ms, _)| ms / ours.warm.median),
            ours_peak_mb: ours.peak_mb,
            peer_peak_mb: side.and_then(|side| side.peak_mb),
            ours_start_mb: ours.start_mb,
            peer_start_mb: side.and_then(|side| side.start_mb),
            ours_spread: ours.warm.spread,
            peer_spread: side.map(|side| side.warm.spread),
            ours_cold_ms: ours.cold_ms,
            peer_cold_ms: side.map(|side| side.cold_ms),
            ours_faults: ours.faults,
            gflop: case.work.flops / 1e9,
            mb: case.work.bytes / 1e6,
            bound: least.map(|(_, bound)| bound.to_owned()),
            peer_version: side.and_then(|side| side.version.clone()),
        }
    };
    match peers {
        [] => vec![row(None)],
        peers => peers.iter().map(Some).map(row).collect(),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::case::Prepared;

    /// Of a process that had one turn.
    pub fn sample(cold_ms: f64, turn_ms: &[f64], peak: f64) -> Sample {
        let [start_mb, peak_mb, faults] = [Some(10.0), Some(peak), Some(3.0)];
        Sample { cold_ms, turns_ms: vec![turn_ms.to_vec()], start_mb, peak_mb, faults, version: None }
    }

    /// A case of 2 GFLOP and 8 MB.
    fn case() -> Case {
        Case {
            suite: Suite::Micro,
            name: "a",
            about: "nothing",
            work: Work { flops: 2e9, bytes: 8e6 },
            peer: None,
            prepare: Box::new(|_| Ok(Prepared::each(|| Ok(())))),
        }
    }

    /// A row of that name and time, without a peer.
    pub fn plain(name: &str, ms: f64) -> Row {
        let side = Side::of(&[sample(2.0 * ms, &[ms], 50.0)]).unwrap();
        let row = rows(&case(), &side, &[], Ceilings { flops: 1e12, bytes: 1e10 }).remove(0);
        Row { case: name.to_owned(), ..row }
    }

    #[test]
    fn processes_are_pooled_and_the_cold_one_is_apart() {
        let side = Side::of(&[sample(90.0, &[20.0, 22.0], 100.0), sample(70.0, &[24.0], 300.0)]).unwrap();
        assert_eq!((side.warm.median, side.cold_ms, side.peak_mb), (22.0, 80.0, Some(300.0)));
        assert!(Side::of(&[sample(1.0, &[], 1.0)]).is_none());
    }

    #[test]
    fn a_ratio_is_of_neighbours_in_time() {
        // The machine becomes half as fast in the last turn, in which nobody repeats anything often.
        let side = |turns_ms: [&[f64]; 3]| {
            let turns_ms = turns_ms.map(<[f64]>::to_vec).to_vec();
            Side::of(&[Sample { turns_ms, ..sample(9.0, &[], 1.0) }]).unwrap()
        };
        let ours = side([&[20.0, 20.0], &[20.0], &[40.0]]);
        let peer = side([&[10.0], &[10.0], &[20.0, 20.0, 20.0]]);
        assert_eq!((ours.warm.median, peer.warm.median), (20.0, 20.0));
        let ratio = ours.over(&peer).unwrap();
        assert_eq!((ratio.median, ratio.spread), (2.0, 0.0));
    }

    #[test]
    fn a_round_counts_once_however_many_turns_it_took_and_who_begins_does_not_count() {
        let side = |rounds: &[&[f64]]| {
            let of = |turns: &&[f64]| Sample {
                turns_ms: turns.iter().map(|ms| vec![*ms]).collect(),
                ..sample(9.0, &[], 1.0)
            };
            Side::of(&rounds.iter().map(of).collect::<Vec<_>>()).unwrap()
        };
        // Who begins takes twice as long; the third round was disturbed, and took longer for that.
        let ours = side(&[&[40.0; 2], &[20.0; 2], &[40.0, 90.0, 40.0, 40.0, 90.0, 40.0]]);
        let peer = side(&[&[10.0; 2], &[20.0; 2], &[10.0; 6]]);
        assert_eq!(ours.medians(Some(&peer)), [4.0, 1.0, 4.0]);
        assert_eq!(ours.medians(None), [40.0, 20.0, 40.0]);
        assert_eq!(ours.over(&peer).unwrap().median, 2.0);
        let one = |side: &Side| Side { turns: side.turns[..1].to_vec(), ..side.clone() };
        assert_eq!(one(&ours).over(&one(&peer)).unwrap().median, 4.0);
    }

    #[test]
    fn the_share_is_of_the_lower_ceiling() {
        let mut ceilings = Ceilings::default();
        ceilings.raise(Work { flops: 1e9, bytes: 0.0 }, 10.0);
        ceilings.raise(Work { flops: 1e9, bytes: 0.0 }, 20.0);
        ceilings.raise(Work { flops: 0.0, bytes: 1e8 }, 10.0);
        assert_eq!((ceilings.flops, ceilings.bytes), (1e11, 1e10));
        // 2 GFLOP take 20 ms, 8 MB less than 1.
        assert_eq!(ceilings.least(case().work), Some((20.0, "compute")));
        assert_eq!(ceilings.least(Work { flops: 1.0, bytes: 1e8 }), Some((10.0, "memory")));
        assert_eq!(ceilings.least(Work::default()), None);
        assert_eq!(Ceilings::default().least(case().work), None);
        let side = Side::of(&[sample(9.0, &[40.0], 1.0)]).unwrap();
        assert_eq!(rows(&case(), &side, &[], ceilings)[0].ceiling_share, Some(0.5));
    }

    #[test]
    fn a_row_has_the_documented_keys_and_reads_back() {
        let [ours, peer] = [30.0, 20.0].map(|ms| Side::of(&[sample(50.0, &[ms], 64.0)]).unwrap());
        let peers = [("torch".to_owned(), peer.clone()), ("torch-compile".to_owned(), peer)];
        let rows = rows(&case(), &ours, &peers, Ceilings { flops: 1e12, bytes: 1e10 });
        assert_eq!(rows.len(), 2);
        let json = serde_json::to_value(&rows[0]).unwrap();
        assert_eq!(
            (&json["suite"], &json["case"], &json["peer"]),
            (&"micro".into(), &"a".into(), &"torch".into())
        );
        assert_eq!(
            (json["ours_ms"].as_f64(), json["peer_ms"].as_f64(), json["ratio"].as_f64()),
            (Some(30.0), Some(20.0), Some(1.5))
        );
        assert_eq!(json["ratio_rounds"], serde_json::json!([1.5]));
        for key in ["ceiling_share", "ours_peak_mb", "peer_peak_mb"] {
            assert!(json[key].is_number(), "{key}");
        }
        assert_eq!(serde_json::from_value::<Row>(json).unwrap(), rows[0]);
        // Nothing but the documented keys need be there.
        let bare = r#"{"suite": "micro", "case": "a", "ours_ms": 1.0, "peer": null, "peer_ms": null, "ratio": null,
            "ceiling_share": 0.5, "ours_peak_mb": 3.0, "peer_peak_mb": null}"#;
        assert_eq!(serde_json::from_str::<Row>(bare).unwrap().id(), "micro/a");
    }
}
