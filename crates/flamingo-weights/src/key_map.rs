//! Which tensors of a file make each parameter of a module.

use std::fmt;
use std::sync::Arc;

use burn::tensor::TensorData;

use crate::pattern::Pattern;
use crate::recipe::Recipe;

/// Rules from parameters to tensors, for one family of models.
///
/// A target is a parameter's path in the module (`blocks.0.attention.query.weight`), without the names of enum
/// variants; a source is a tensor's name in the file. In both, `{}` stands for one path segment or a part of one,
/// usually a layer's number: what it stands for in the target is put into the source, in order. Where several rules
/// match, the last one counts.
///
/// PyTorch keeps a linear layer's weight as `[out, in]` and Burn as `[in, out]`; [`KeyMap::linear`] and
/// [`KeyMap::rows`] transpose.
///
/// ```
/// use flamingo_weights::KeyMap;
///
/// let map = KeyMap::new()
///     .copy("embedding.weight", "model.embed_tokens.weight")
///     .norm("blocks.{}.norm", "model.layers.{}.input_layernorm")
///     .linear("blocks.{}.attention.query", "model.layers.{}.self_attn.q_proj")
///     .ignore("model.layers.{}.self_attn.rotary_emb.inv_freq");
/// ```
///
/// # Panics
///
/// All methods that take a target and a source panic if these have different numbers of `{}`: a map is part of a
/// program, not its input.
#[derive(Debug, Clone, Default)]
pub struct KeyMap {
    pub(crate) rules: Vec<Rule>,
    ignored: Vec<Pattern>,
    optional: Vec<Pattern>,
}

/// What makes the parameters of one pattern.
#[derive(Clone)]
pub(crate) struct Rule {
    target: Pattern,
    sources: Vec<Pattern>,
    pub recipe: Recipe,
}

impl KeyMap {
    /// A map without rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tensor as it is, of the parameter's shape.
    pub fn copy(self, target: &str, source: &str) -> Self {
        self.rule(target, &[source], Recipe::Copy)
    }

    /// The tensor as it is, but for dimensions of length 1 that only one side has.
    pub fn squeeze(self, target: &str, source: &str) -> Self {
        self.rule(target, &[source], Recipe::Squeeze)
    }

    /// The transpose of a matrix: `[out, in]` to `[in, out]`.
    pub fn transpose(self, target: &str, source: &str) -> Self {
        self.rule(target, &[source], Recipe::Transpose)
    }

    /// A `Linear`: `weight` transposed, and `bias` if the module has one.
    pub fn linear(self, target: &str, source: &str) -> Self {
        self.transpose(&format!("{target}.weight"), &format!("{source}.weight"))
            .copy(&format!("{target}.bias"), &format!("{source}.bias"))
    }

    /// A convolution or embedding: `weight` as it is, and `bias` if the module has one.
    pub fn same(self, target: &str, source: &str) -> Self {
        self.copy(&format!("{target}.weight"), &format!("{source}.weight"))
            .copy(&format!("{target}.bias"), &format!("{source}.bias"))
    }

    /// A `LayerNorm` or `RmsNorm`: `gamma` from `weight`, and `beta` from `bias` if the module has one.
    pub fn norm(self, target: &str, source: &str) -> Self {
        self.copy(&format!("{target}.gamma"), &format!("{source}.weight"))
            .copy(&format!("{target}.beta"), &format!("{source}.bias"))
    }

    /// Part `part` (from 0) of a tensor that joins `of` equal parts along its first dimension; transposed if the
    /// parameter is the weight of a `Linear`.
    pub fn rows(self, target: &str, source: &str, part: usize, of: usize) -> Self {
        self.grouped_rows(target, source, 1, part, of)
    }

    /// Like [`KeyMap::rows`], for a first dimension ordered (group, part, row): GPT-NeoX joins queries, keys and values
    /// per head, so `groups` is the number of heads.
    pub fn grouped_rows(self, target: &str, source: &str, groups: usize, part: usize, of: usize) -> Self {
        self.rule(target, &[source], Recipe::Rows { groups, part, of })
    }

    /// Anything else: `make` gets the tensor as the file has it and gives it exactly as the parameter is, or says what
    /// is wrong with it. Mind that `Linear` weights are `[in, out]`. The functions of [`crate::tensor`] help.
    pub fn with<F>(self, target: &str, source: &str, make: F) -> Self
    where
        F: Fn(TensorData) -> Result<TensorData, String> + Send + Sync + 'static,
    {
        let only = move |mut sources: Vec<TensorData>| match sources.pop() {
            Some(source) => make(source),
            None => Err("got no tensor".to_owned()),
        };
        self.rule(target, &[source], Recipe::Custom(Arc::new(only)))
    }

    /// Like [`KeyMap::with`], from several tensors, in the order of `sources`.
    pub fn combine<F>(self, target: &str, sources: &[&str], make: F) -> Self
    where
        F: Fn(Vec<TensorData>) -> Result<TensorData, String> + Send + Sync + 'static,
    {
        self.rule(target, sources, Recipe::Custom(Arc::new(make)))
    }

    /// Tensors that may be in the file without being used. `**` at the end stands for any rest of a name.
    pub fn ignore(mut self, source: &str) -> Self {
        self.ignored.push(Pattern::new(source));
        self
    }

    /// Parameters that stay as they are if the file has nothing for them. `**` at the end stands for any rest of a
    /// path.
    pub fn optional(mut self, target: &str) -> Self {
        self.optional.push(Pattern::new(target));
        self
    }

    /// The map with `target` and `source` (such as `vision.` and `vision_encoder.visual.`) in front of all its names:
    /// for a module that is a part of a bigger one.
    pub fn below(mut self, target: &str, source: &str) -> Self {
        for rule in &mut self.rules {
            rule.target.prefix(target);
            rule.sources.iter_mut().for_each(|pattern| pattern.prefix(source));
        }
        self.ignored.iter_mut().for_each(|pattern| pattern.prefix(source));
        self.optional.iter_mut().for_each(|pattern| pattern.prefix(target));
        self
    }

    /// The rules of both maps; those of `other` count where both match.
    pub fn and(mut self, other: KeyMap) -> Self {
        self.rules.extend(other.rules);
        self.ignored.extend(other.ignored);
        self.optional.extend(other.optional);
        self
    }

    /// The rule for a parameter and the names of its tensors.
    pub(crate) fn find(&self, parameter: &str) -> Option<(&Rule, Vec<String>)> {
        self.rules.iter().rev().find_map(|rule| {
            let values = rule.target.captures(parameter)?;
            Some((rule, rule.sources.iter().map(|source| source.with(&values)).collect()))
        })
    }

    pub(crate) fn is_ignored(&self, tensor: &str) -> bool {
        self.ignored.iter().any(|pattern| pattern.matches(tensor))
    }

    pub(crate) fn is_optional(&self, parameter: &str) -> bool {
        self.optional.iter().any(|pattern| pattern.matches(parameter))
    }

    fn rule(mut self, target: &str, sources: &[&str], recipe: Recipe) -> Self {
        let (target, sources): (_, Vec<_>) =
            (Pattern::new(target), sources.iter().map(|text| Pattern::new(text)).collect());
        for source in &sources {
            assert_eq!(
                target.holes(),
                source.holes(),
                "target {target} and source {source} must have the same number of {{}}"
            );
        }
        self.rules.push(Rule { target, sources, recipe });
        self
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <- {:?} of", self.target, self.recipe)?;
        self.sources.iter().try_for_each(|source| write!(f, " {source}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(map: &KeyMap, parameter: &str) -> Vec<String> {
        map.find(parameter).map(|(_, sources)| sources).unwrap_or_default()
    }

    #[test]
    fn the_last_matching_rule_counts() {
        let map = KeyMap::new()
            .linear("blocks.{}.query", "h.{}.q")
            .copy("blocks.0.query.weight", "first.q")
            .norm("norm", "ln_f");
        assert_eq!(sources(&map, "blocks.3.query.weight"), ["h.3.q.weight"]);
        assert_eq!(sources(&map, "blocks.3.query.bias"), ["h.3.q.bias"]);
        assert_eq!(sources(&map, "blocks.0.query.weight"), ["first.q"]);
        assert_eq!(sources(&map, "norm.gamma"), ["ln_f.weight"]);
        assert_eq!(sources(&map, "norm.beta"), ["ln_f.bias"]);
        assert!(map.find("blocks.query.weight").is_none());
    }

    #[test]
    fn maps_of_parts_are_put_together() {
        let part = KeyMap::new().copy("a.{}", "b.{}").ignore("junk.**").optional("extra");
        let map = part.clone().below("left.", "l.").and(part.below("right.", "r."));
        assert_eq!(sources(&map, "left.a.1"), ["l.b.1"]);
        assert_eq!(sources(&map, "right.a.1"), ["r.b.1"]);
        assert!(map.is_ignored("l.junk.x") && !map.is_ignored("junk.x"));
        assert!(map.is_optional("right.extra") && !map.is_optional("extra"));
    }

    #[test]
    #[should_panic(expected = "target blocks.{}.a and source h.0.a must have the same number of {}")]
    fn holes_must_agree() {
        let _ = KeyMap::new().copy("blocks.{}.a", "h.0.a");
    }
}
