//! A part of a clip, from one moment to another.

use std::time::Duration;

use super::sampling::TOLERANCE;
use crate::DataError;

/// From when to when a clip is used, in the clip's own time: 0 is when its first picture appears.
///
/// Tables of captions for moments of longer videos say so (ActivityNet Captions, YouCook2, VATEX and others).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Interval {
    start: Duration,
    /// None if it goes on to the end of the clip.
    end: Option<Duration>,
}

impl Interval {
    /// All of a clip.
    pub const WHOLE: Self = Self { start: Duration::ZERO, end: None };

    /// From `start` to `end`, in seconds; without an end, to the end of the clip.
    ///
    /// # Errors
    ///
    /// [`DataError::BadInterval`] unless `0 <= start < end` and both are finite.
    pub fn new(start: f64, end: Option<f64>) -> Result<Self, DataError> {
        let bad = || DataError::BadInterval { start, end };
        let time = |seconds| Duration::try_from_secs_f64(seconds).map_err(|_| bad());
        let interval = Self { start: time(start)?, end: end.map(time).transpose()? };
        match interval.end.is_some_and(|end| end <= interval.start) {
            true => Err(bad()),
            false => Ok(interval),
        }
    }

    /// Where it begins, in seconds.
    pub fn start(&self) -> f64 {
        self.start.as_secs_f64()
    }

    /// Where it ends, in seconds, unless that is the end of the clip.
    pub fn end(&self) -> Option<f64> {
        self.end.map(|end| end.as_secs_f64())
    }

    /// How long the part of a clip of `duration` seconds is. Tables round: what goes beyond the end is cut off.
    ///
    /// # Errors
    ///
    /// [`DataError::IntervalOutside`] if the clip, which errors call `name`, ends before the interval begins.
    pub(super) fn length_in(&self, duration: f64, name: &str) -> Result<f64, DataError> {
        let start = self.start();
        // A clip of a single picture may have no duration.
        if start > 0.0 && start + TOLERANCE >= duration {
            return Err(DataError::IntervalOutside { name: name.to_owned(), start, duration });
        }
        Ok(self.end().map_or(duration, |end| end.min(duration)) - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_cut_to_the_clip() {
        let length = |start, end, duration| Interval::new(start, end).unwrap().length_in(duration, "clip");
        assert_eq!(Interval::WHOLE.length_in(7.5, "clip").unwrap(), 7.5);
        assert_eq!(Interval::WHOLE.length_in(0.0, "clip").unwrap(), 0.0);
        assert_eq!(length(2.0, Some(5.0), 7.5).unwrap(), 3.0);
        assert_eq!(length(2.0, None, 7.5).unwrap(), 5.5);
        assert_eq!(length(2.0, Some(10.0), 7.5).unwrap(), 5.5);
        for start in [7.5, 8.0] {
            let error = length(start, None, 7.5).unwrap_err();
            assert!(matches!(error, DataError::IntervalOutside { .. }), "{error}");
            assert!(error.to_string().contains("clip") && error.to_string().contains("7.5 s"), "{error}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (start, end) in [
            (-1.0, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (0.0, Some(f64::NAN)),
            (0.0, Some(f64::INFINITY)),
            (3.0, Some(3.0)),
            (3.0, Some(2.0)),
            (1e300, None),
        ] {
            let error = Interval::new(start, end).unwrap_err();
            assert!(matches!(error, DataError::BadInterval { .. }), "{start} {end:?}: {error}");
        }
    }
}
