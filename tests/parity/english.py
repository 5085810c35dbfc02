"""Answers as open_flamingo, nltk, inflection and pywsd cut them: words, tags, singulars, stems, base forms.

nltk's own data are large and learnt from texts that are not free, so small ones are written here: a WordNet of a few
words in its format, and a tagger trained by nltk on the sentences below. Both are in `fixtures/english` and read by the
test. open_flamingo's stemmer and pywsd's lemmatizer run as published, on these. Words are those of one sentence
(`preserve_line`): nltk's way to find sentences is not compared.

A check with nltk's real data, of every word of a list, by hand: `python english.py --words LIST TAGGER WORDNET`, where
the last two are folders, prints a line `WORD<tab>OKVQA's stem<tab>base form` for each.
"""

import builtins
import importlib.util
import json
import random as shuffling
import sys
import types
from importlib import metadata as packages
from pathlib import Path

import inflection
import nltk
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.stem import PorterStemmer
from nltk.tag import PerceptronTagger
from nltk.tokenize import word_tokenize

from metrics import Random, composed

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FOLDER = FIXTURES / "english"
CASES = 150

# Words with their tags, by which the tagger learns.
SENTENCES = """
the/DT dogs/NNS are/VBP running/VBG quickly/RB in/IN the/DT parks/NNS
a/DT man/NN is/VBZ cutting/VBG tomatoes/NNS with/IN knives/NNS
two/CD women/NNS ride/VBP horses/NNS near/IN the/DT churches/NNS
he/PRP quickly/RB opened/VBD 3/CD boxes/NNS of/IN toys/NNS
children/NNS play/VBP happily/RB with/IN red/JJ balls/NNS
she/PRP is/VBZ sleeping/VBG on/IN an/DT old/JJ bus/NN
the/DT Wilsons/NNPS live/VBP in/IN Paris/NNP
birds/NNS fly/VBP slowly/RB over/IN green/JJ leaves/NNS
it/PRP 's/POS raining/VBG cats/NNS and/CC dogs/NNS
people/NNS eat/VBP pizza/NN in/IN 1999/CD
the/DT happy/JJ baby/NN laughed/VBD at/IN well-known/JJ mice/NNS
to/TO catch/VB a/DT frisbee/NN he/PRP was/VBD jumping/VBG higher/RBR
"""

# WordNet's words by part of speech, and forms that no rule gives.
NOUNS = """dog park man tomato knife woman horse church box toy child ball bus bird leaf cat person pizza baby mouse
frisbee train station running meeting building clothing wolf shelf glass watch potato run""".split()
VERBS = """run cut ride open play sleep live fly rain eat laugh catch jump be have swim hop die lie make skateboard see
sit go walk watch carry agree""".split()
ADJECTIVES = "red old green happy big large high well-known".split()
ADVERBS = "quickly happily slowly high well".split()
EXCEPTIONS = {
    "noun": [("children", "child"), ("knives", "knife"), ("leaves", "leaf"), ("mice", "mouse"), ("women", "woman")],
    "verb": [("ran", "run"), ("swimming", "swim"), ("dying", "die"), ("lying", "lie"), ("is", "be"), ("sat", "sit")],
    "adj": [("bigger", "big"), ("happier", "happy")],
    "adv": [("best", "well")],
}

# What answers are made of beside those.
ODD = """cats dogs skateboarding skating running texting kiting swimming ties clothes mountainous women's don't can't
it's 'twas cannot gonna wanna "red" (left) 1,000 3.5 10:30 st. louis etc... left--right well-known T-shirts 1999 kine
Kine series buses glasses quizzes matrices analyses oxen axes people humans zombies octopi data news boss shoes moves
potatoes skies flies dying agreed relational conditional radically hopefulness geology Chinese été yes & $5 50% a_b ?""".split()
MARKS = ["Question", "Answer", "Short", "Output", ",", '"', "Short answer:", "Answers", "\n", "question"]


def write_wordnet(folder: Path) -> None:
    """As wndb(5WN) says; every word has one meaning, which is a kind of nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"noun": ("n", NOUNS), "verb": ("v", VERBS), "adj": ("a", ADJECTIVES), "adv": ("r", ADVERBS)}
    for name, (letter, words) in parts.items():
        data, index = "  1 A licence.\n", "  1 A licence.\n"
        for word in sorted(words):
            index += f"{word} {letter} 1 0 1 0 {len(data):08}  \n"
            data += f"{len(data):08} 03 {letter} 01 {word} 0 000 | a gloss  \n"
        (folder / f"data.{name}").write_text(data)
        (folder / f"index.{name}").write_text(index)
        lines = [f"{form} {base}\n" for form, base in sorted(EXCEPTIONS[name])]
        (folder / f"{name}.exc").write_text("".join(lines))
    lexnames = ["adj.all", "adj.pert", "adv.all", "noun.Tops"]
    (folder / "lexnames").write_text("".join(f"{i:02}\t{name}\t1\n" for i, name in enumerate(lexnames)))


def write_tagger(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sentences = [[tuple(pair.rsplit("/", 1)) for pair in line.split()] for line in SENTENCES.strip().splitlines()]
    shuffling.seed(1)
    tagger = PerceptronTagger(load=False)
    tagger.train(sentences, nr_iter=4)
    weights = {feature: by_tag for feature, by_tag in sorted(tagger.model.weights.items()) if by_tag}
    listed = {"the": "DT", "quickly": "RB"}  # too few sentences for nltk to list a word
    for part, value in [("weights", weights), ("tagdict", listed), ("classes", sorted(tagger.classes))]:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        (folder / f"averaged_perceptron_tagger_eng.{part}.json").write_text(text + "\n")


def programs(tagger_folder: Path, wordnet_folder: Path) -> tuple:
    """open_flamingo's module and pywsd's, on these data instead of nltk's own."""
    nltk.data.path.extend([str(tagger_folder), str(wordnet_folder), str(FIXTURES)])
    tagger = PerceptronTagger(load=False)
    parts = [
        json.loads((tagger_folder / f"averaged_perceptron_tagger_eng.{part}.json").read_text())
        for part in ("weights", "tagdict", "classes")
    ]
    tagger.decode_json_params(parts)
    WordNetCorpusReader.map_wn = lambda self: None  # to other languages
    wordnet = WordNetCorpusReader(str(wordnet_folder), None)
    nltk.pos_tag = lambda words: tagger.tag(words)
    nltk.stem.wordnet.wn = wordnet
    nltk.corpus.wordnet = wordnet
    builtins.wn = wordnet  # where pywsd looks for it
    tokenize = lambda text: word_tokenize(text, preserve_line=True)
    nltk.tokenize.word_tokenize = tokenize
    lemmatizer = types.SimpleNamespace(lemmatize=lambda word, pos="n": min(wordnet._morphy(word, pos), key=len, default=word))
    of = load("open-flamingo", "open_flamingo/eval/ok_vqa_utils.py")
    of.stemmer._wordnet_lemmatizer = lemmatizer
    sys.modules["pywsd"] = types.ModuleType("pywsd")
    sys.modules["pywsd.tokenize"] = types.SimpleNamespace(word_tokenize=tokenize)
    pywsd = load("pywsd", "pywsd/utils.py")
    base = lambda text: pywsd.lemmatize_sentence(
        text, tokenizer=tokenize, postagger=tagger.tag, lemmatizer=lemmatizer, stemmer=PorterStemmer()
    )
    return tagger, of, base


def load(package: str, path: str):
    """A file of a package by itself: the packages import torch, or look for data."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, packages.distribution(package).locate_file(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def version(package: str) -> str:
    return f"{package} {packages.version(package)}"


def main() -> None:
    write_wordnet(FOLDER / "dict")
    write_tagger(FOLDER / "tagger")
    tagger, of, base = programs(FOLDER / "tagger", FOLDER / "dict")
    captions = load("open-flamingo", "open_flamingo/eval/coco_metric.py")
    answers = load("open-flamingo", "open_flamingo/eval/vqa_metric.py")
    random = Random(5)
    plain = [word.split("/")[0] for word in SENTENCES.split()] + NOUNS + VERBS + ADJECTIVES + ADVERBS
    words = list(dict.fromkeys(plain + ODD + list(of._MANUAL_MATCHES)[::4]))
    texts = ["", " ", *[composed(random, words, 6, 0) for _ in range(CASES)]]
    marked = [composed(random, words[::3] + 8 * MARKS, 8, 6) for _ in range(CASES)]
    parted = [word_tokenize(text, preserve_line=True) for text in texts]
    file = {
        "part": "metrics: English answers",
        "reference": ", ".join(map(version, ["open-flamingo", "nltk", "inflection", "pywsd"])),
        "words": dict(zip(texts, parted)),
        "tags": [[" ".join(words), " ".join(tag for _, tag in tagger.tag(words))] for words in parted],
        "singular": {word: inflection.singularize(word) for word in words},
        "stem": {word: PorterStemmer().stem(word) for word in words},
        "okvqa": {text: of.postprocess_ok_vqa_generation(text) for text in texts + marked},
        "base": {text: base(text) for text in texts},
        "captions": {text: captions.postprocess_captioning_generation(text).replace('"', "") for text in marked},
        "answers": {text: answers.postprocess_vqa_generation(text) for text in marked},
    }
    path = FIXTURES / "english.json"
    path.write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")


def by_hand(words: str, tagger: str, wordnet: str) -> None:
    _, of, base = programs(Path(tagger), Path(wordnet))
    for line in Path(words).read_text(encoding="utf-8").splitlines():
        print(line, of.stemmer.stem(line), " ".join(base(line)), sep="\t")


if sys.argv[1:2] == ["--words"]:
    by_hand(*sys.argv[2:])
elif __name__ == "__main__":
    main()
