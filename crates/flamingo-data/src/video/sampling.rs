//! Which moments of a clip are read.

use serde::{Deserialize, Serialize};

use crate::DataError;

/// How late a picture may appear and still be shown at a moment, in seconds: containers round their times.
pub(super) const TOLERANCE: f64 = 0.0005;

/// Which frames of a clip are read.
///
/// A clip that is short enough is read at `fps` from its start: at 0 s, 1/`fps` s, and so on while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameSampling {
    /// Frames per second.
    pub fps: f64,
    /// The most frames (F).
    pub max_frames: usize,
    /// What is read of a clip that has more frames than that.
    pub coverage: Coverage,
}

/// What is read of a clip that is longer than a [`FrameSampling`] can cover.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// All of it, at the lower rate that just fits.
    Whole,
    /// Consecutive frames at the full rate. The number says which: 0 the first ones, 1 the last ones, and evenly
    /// between.
    Window(f64),
}

impl FrameSampling {
    /// For prompts: 1 frame a second, and up to 30 from all over a longer clip, so that an answer can be about any part
    /// of it.
    pub fn prompt() -> Self {
        Self { fps: 1.0, max_frames: 30, coverage: Coverage::Whole }
    }

    /// For training, as in the paper: 8 frames at 1 a second. The paper does not say which 8; a training stream draws
    /// the window, and here it is the first.
    pub fn training() -> Self {
        Self { fps: 1.0, max_frames: 8, coverage: Coverage::Window(0.0) }
    }

    /// For evaluation, as in the paper: 30 frames at 3 a second, spread thinner over clips of more than 10 seconds.
    pub fn evaluation() -> Self {
        Self { fps: 3.0, max_frames: 30, coverage: Coverage::Whole }
    }

    /// Refuses what cannot be done.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let refuse = |what: String| Err(DataError::FrameSampling { what });
        if !self.fps.is_finite() || self.fps <= 0.0 {
            return refuse(format!("fps is {}, and must be more than 0", self.fps));
        }
        if self.max_frames == 0 {
            return refuse("max_frames is 0, and must be at least 1".to_owned());
        }
        match self.coverage {
            Coverage::Window(at) if !(0.0..=1.0).contains(&at) => {
                refuse(format!("the window is at {at}, and must be between 0 and 1"))
            }
            _ => Ok(()),
        }
    }

    /// The moments to read in a clip of `duration` seconds.
    pub(super) fn moments(&self, duration: f64) -> Moments {
        let max = self.max_frames as f64;
        let available = ((duration - TOLERANCE) * self.fps).ceil().max(1.0);
        if available <= max {
            return Moments { start: 0.0, rate: self.fps, count: available as usize };
        }
        let count = self.max_frames;
        match self.coverage {
            Coverage::Whole => Moments { start: 0.0, rate: max / duration, count },
            Coverage::Window(at) => {
                // In whole steps, so that every window sees frames of the same grid.
                let start = (at * (available - max)).round() / self.fps;
                Moments { start, rate: self.fps, count }
            }
        }
    }
}

/// Evenly spaced moments of a clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    /// The first, in seconds.
    pub start: f64,
    /// Moments per second.
    pub rate: f64,
    /// How many; at least one.
    pub count: usize,
}

impl Moments {
    /// The same moments, `seconds` later.
    pub fn after(self, seconds: f64) -> Self {
        Self { start: self.start + seconds, ..self }
    }

    /// Which picture each moment shows, if picture `i` appears at `starts[i]` seconds (ascending, not empty).
    pub fn shown(self, starts: &[f64]) -> impl Iterator<Item = usize> + '_ {
        (0..self.count).map(move |index| {
            let moment = self.start + index as f64 / self.rate + TOLERANCE;
            starts.partition_point(|&start| start <= moment).saturating_sub(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sampling: FrameSampling, starts: &[f64], duration: f64) -> Vec<usize> {
        sampling.moments(duration).shown(starts).collect()
    }

    /// Ten pictures a second.
    fn tenths(count: usize) -> Vec<f64> {
        (0..count).map(|index| index as f64 * 0.1).collect()
    }

    #[test]
    fn a_short_clip_is_read_at_the_rate() {
        assert_eq!(shown(FrameSampling::prompt(), &tenths(25), 2.5), [0, 10, 20]);
        assert_eq!(shown(FrameSampling::prompt(), &tenths(20), 2.0), [0, 10], "none at the very end");
        assert_eq!(shown(FrameSampling::evaluation(), &tenths(10), 1.0), [0, 3, 6]);
    }

    #[test]
    fn a_moment_of_video_has_a_frame() {
        for duration in [0.0, 1e-9, 0.04, 0.99, 1.0] {
            assert_eq!(shown(FrameSampling::prompt(), &[0.0], duration), [0], "{duration} s");
        }
    }

    #[test]
    fn a_long_clip_is_seen_from_end_to_end_or_through_a_window() {
        let (starts, four) = (tenths(200), |coverage| FrameSampling { fps: 1.0, max_frames: 4, coverage });
        assert_eq!(shown(four(Coverage::Whole), &starts, 20.0), [0, 50, 100, 150]);
        assert_eq!(shown(four(Coverage::Window(0.0)), &starts, 20.0), [0, 10, 20, 30]);
        assert_eq!(shown(four(Coverage::Window(0.5)), &starts, 20.0), [80, 90, 100, 110]);
        assert_eq!(shown(four(Coverage::Window(1.0)), &starts, 20.0), [160, 170, 180, 190]);
    }

    #[test]
    fn what_stays_on_the_screen_is_read_again() {
        assert_eq!(shown(FrameSampling::prompt(), &[0.0, 0.2, 3.0, 3.3], 5.5), [0, 1, 1, 2, 3, 3]);
    }

    #[test]
    fn times_may_be_rounded() {
        let thirtieths: Vec<f64> = (0..90).map(|index| f64::from(index * 33_333) * 1e-6).collect();
        assert_eq!(shown(FrameSampling::prompt(), &thirtieths, 3.0001), [0, 30, 60]);
    }

    #[test]
    fn nonsense_is_refused() {
        let good = FrameSampling::prompt();
        assert!(good.check().is_ok());
        for bad in [
            FrameSampling { fps: 0.0, ..good },
            FrameSampling { fps: f64::NAN, ..good },
            FrameSampling { max_frames: 0, ..good },
            FrameSampling { coverage: Coverage::Window(1.5), ..good },
        ] {
            assert!(matches!(bad.check(), Err(DataError::FrameSampling { .. })), "{bad:?}");
        }
    }
}
