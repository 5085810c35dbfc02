//! What a successful load did, and what it left out.

use std::fmt;

/// What happened to parameters and tensors. Nothing is left out silently: what is not loaded is listed here, and may
/// stay out only because the key map says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadReport {
    /// Parameters that were loaded, in the module's order.
    pub loaded: Vec<String>,
    /// Optional parameters that stay as they were, because the file has nothing for them.
    pub kept: Vec<String>,
    /// Tensors of the file that were ignored, as the key map allows.
    pub ignored: Vec<String>,
    /// Elements of all loaded parameters.
    pub n_elements: u64,
}

impl LoadReport {
    /// Whether every parameter was loaded.
    pub fn is_complete(&self) -> bool {
        self.kept.is_empty()
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters loaded ({} elements)", self.loaded.len(), self.n_elements)?;
        for (list, what) in
            [(&self.kept, "parameters left as they were"), (&self.ignored, "tensors not used")]
        {
            if !list.is_empty() {
                write!(f, "; {} {what}: {}", list.len(), list.join(", "))?;
            }
        }
        Ok(())
    }
}
