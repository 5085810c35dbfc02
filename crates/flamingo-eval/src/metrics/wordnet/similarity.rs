//! Wu and Palmer's similarity: how deep the nearest common ancestor of two meanings is, of how deep they are themselves.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Pos, Synset, WordNet};

/// An ancestor: a meaning, or what nltk puts above all verbs, since they have no root of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node {
    Root,
    Synset(Synset),
}

impl WordNet {
    /// Wu and Palmer's similarity, from 0 to 1; none if the two have no ancestor in common. As nltk's `wup_similarity`:
    /// the ancestor is the one whose shortest way to a root is longest (of several, the first by name), its depth is by
    /// the longest way, and the ways up to it are the shortest.
    pub fn wup_similarity(&self, a: Synset, b: Synset) -> Option<f64> {
        let rooted = a.pos != Pos::Noun || b.pos != Pos::Noun;
        let common = self.ancestors(a);
        let mut common: Vec<Node> =
            self.ancestors(b).intersection(&common).map(|it| Node::Synset(*it)).collect();
        if rooted {
            common.push(Node::Root);
        }
        let deepest = common.iter().map(|node| self.least_depth(*node)).max()?;
        common.retain(|node| self.least_depth(*node) == deepest);
        let nearest = match common.contains(&Node::Synset(a)) {
            true => Node::Synset(a),
            false => common.into_iter().min_by_key(|node| self.sorted_as(*node))?,
        };
        let depth = (self.depth(nearest) + 1) as f64;
        let [to_a, to_b] = [a, b].map(|synset| self.distance(Node::Synset(synset), nearest, rooted));
        Some(2.0 * depth / (to_a? as f64 + to_b? as f64 + 2.0 * depth))
    }

    fn up(&self, synset: Synset) -> &[Synset] {
        &self.meanings[&synset].hypernyms
    }

    /// A meaning and all above it.
    fn ancestors(&self, synset: Synset) -> HashSet<Synset> {
        let mut seen = HashSet::from([synset]);
        let mut open = vec![synset];
        while let Some(next) = open.pop() {
            open.extend(self.up(next).iter().filter(|it| seen.insert(**it)));
        }
        seen
    }

    fn sorted_as(&self, node: Node) -> &str {
        match node {
            Node::Root => "*ROOT*",
            Node::Synset(synset) => self.name(synset),
        }
    }

    /// Steps of the shortest way up to a root.
    fn least_depth(&self, node: Node) -> usize {
        match node {
            Node::Root => 0,
            Node::Synset(synset) => {
                let steps = self.steps(synset);
                steps
                    .iter()
                    .filter(|(it, _)| self.up(**it).is_empty())
                    .map(|(_, steps)| *steps)
                    .min()
                    .unwrap_or(0)
            }
        }
    }

    /// Steps of the longest way up to a root.
    fn depth(&self, node: Node) -> usize {
        let Node::Synset(synset) = node else { return 0 };
        self.longest(synset, &mut HashMap::new())
    }

    fn longest(&self, synset: Synset, known: &mut HashMap<Synset, usize>) -> usize {
        if let Some(depth) = known.get(&synset) {
            return *depth;
        }
        // Stands while its ancestors are looked at, so that a circle ends.
        known.insert(synset, 0);
        let above = self.up(synset).iter().map(|it| self.longest(*it, known) + 1).max().unwrap_or(0);
        known.insert(synset, above);
        above
    }

    /// Steps of the shortest way up to each ancestor.
    fn steps(&self, synset: Synset) -> HashMap<Synset, usize> {
        let mut steps = HashMap::from([(synset, 0)]);
        let mut open = VecDeque::from([synset]);
        while let Some(next) = open.pop_front() {
            let above = steps[&next] + 1;
            for hypernym in self.up(next) {
                steps.entry(*hypernym).or_insert_with(|| {
                    open.push_back(*hypernym);
                    above
                });
            }
        }
        steps
    }

    /// Steps of the shortest way between two nodes over an ancestor of both.
    fn distance(&self, from: Node, to: Node, rooted: bool) -> Option<usize> {
        if from == to {
            return Some(0);
        }
        let (from, to) = (self.reached(from, rooted), self.reached(to, rooted));
        from.iter().filter_map(|(node, steps)| Some(steps + to.get(node)?)).min()
    }

    /// A node, its ancestors, and the steps to each. The root that is put above all is one step above the farthest.
    fn reached(&self, node: Node, rooted: bool) -> HashMap<Node, usize> {
        let Node::Synset(synset) = node else { return HashMap::from([(Node::Root, 0)]) };
        let mut reached: HashMap<Node, usize> =
            self.steps(synset).into_iter().map(|(synset, steps)| (Node::Synset(synset), steps)).collect();
        if rooted {
            let farthest = reached.values().max().copied().unwrap_or(0);
            reached.insert(Node::Root, farthest + 1);
        }
        reached
    }
}
