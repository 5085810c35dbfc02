"""Scores by pycocoevalcap, by the VQA evaluation of open_flamingo and by scikit-learn, and tokens of odd captions.

pycocoevalcap runs Stanford's tokenizer, which needs Java (17 was used). Inputs are not in the fixture: they are drawn
from `captions.txt` by a small generator of random numbers that the test has too.
"""

import importlib.util
import json
import tempfile
from importlib import metadata as packages
from pathlib import Path

import numpy as np
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from safetensors.numpy import save
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score, top_k_accuracy_score

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "fixtures"
CASES = 200
MASK = (1 << 64) - 1


class Random:
    """SplitMix64."""

    def __init__(self, seed: int):
        self.state = seed

    def below(self, limit: int) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return (z ^ (z >> 31)) % limit


def lines() -> list[str]:
    return (HERE / "captions.txt").read_text(encoding="utf-8").splitlines()


def vocabulary() -> list[str]:
    """Every word once, in order."""
    return list(dict.fromkeys(word for line in lines() for word in line.split(" ") if word))


def composed(random: Random, words: list[str], most: int, glue: int = 8) -> str:
    """Words at random; one text in `glue` has no spaces between them, none if it is 0."""
    count = random.below(most + 1)
    parts = [words[random.below(len(words))] for _ in range(count)]
    return ("" if glue and random.below(glue) == 0 else " ").join(parts)


def pool(random: Random, words: list[str], size: int) -> list[str]:
    return [words[random.below(len(words))] for _ in range(size)]


def checksum(text: str) -> float:
    """24 bits of FNV-1a: whole numbers that f32 holds."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return float(value & 0xFFFFFF)


def tokenize(captions: dict) -> dict:
    """One more caption at the end: the last one has no line end, and the tokenizer looks at what follows."""
    records = {key: [{"caption": text} for text in texts] for key, texts in captions.items()}
    tokens = PTBTokenizer().tokenize(records | {"last": [{"caption": "end"}]})
    del tokens["last"]
    return tokens


def captioning(words: list[str]) -> dict[str, list]:
    random = Random(2)
    predictions, references = {}, {}
    for case in range(CASES):
        own = pool(random, words, 8)
        predictions[case] = [composed(random, own, 12, 0)]
        references[case] = [composed(random, own, 12, 0) for _ in range(1 + random.below(5))]
    predictions, references = tokenize(predictions), tokenize(references)
    cider, each_cider = Cider().compute_score(references, predictions)
    bleu, each_bleu = Bleu(4).compute_score(references, predictions, verbose=0)
    rouge, each_rouge = Rouge().compute_score(references, predictions)
    found = {"cider": each_cider, "rouge_l": each_rouge, "corpus": [cider, *bleu, rouge]}
    return found | {f"bleu_{size}": scores for size, scores in enumerate(each_bleu, 1)}


def vqa(words: list[str]) -> list[float]:
    path = packages.distribution("open-flamingo").locate_file("open_flamingo/eval/vqa_metric.py")
    spec = importlib.util.spec_from_file_location("vqa_metric", path)
    module = importlib.util.module_from_spec(spec)  # not through the package, which imports torch
    spec.loader.exec_module(module)
    random = Random(3)
    annotations, results = [], []
    for case in range(CASES):
        choices = [composed(random, words, 3) for _ in range(3)]
        numbered = random.below(2) == 0
        answers = []
        for number in range(10):
            text = choices[random.below(3)] + ["", ".", " ", "!"][random.below(4)]
            mark = {"answer_id": number} if numbered else {"answer_confidence": ["yes", "maybe"][random.below(2)]}
            answers.append({"answer": text} | mark)
        annotations.append({"question_id": case, "image_id": 0, "question_type": "", "answers": answers})
        results.append({"question_id": case, "answer": choices[random.below(3)]})
    questions = [{"question_id": case, "image_id": 0, "question": ""} for case in range(CASES)]
    head = {"info": {}, "task_type": "", "data_type": "", "data_subtype": "", "license": {}}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("annotations", "questions", "results")]
        files[0].write_text(json.dumps(head | {"annotations": annotations}))
        files[1].write_text(json.dumps(head | {"questions": questions}))
        files[2].write_text(json.dumps(results))
        truth = module.VQA(files[0], files[1])
        evaluation = module.VQAEval(truth, truth.loadRes(files[2], files[1]), n=9)
        evaluation.evaluate()
    return [evaluation.evalQA[case] / 100 for case in range(CASES)]


def ranking() -> dict[str, list[float]]:
    random = Random(4)
    found = {"roc_auc": [], "average_precision": [], "ndcg": [], "top_k": []}
    for _ in range(CASES):
        count = 2 + random.below(30)
        scores = [random.below(10) / 8 for _ in range(count)]
        labels = [1, 0] + [random.below(2) for _ in range(count - 2)]
        weights = [1 / (1 + random.below(3)) for _ in range(count)]
        found["roc_auc"].append(roc_auc_score(labels, scores))
        found["average_precision"].append(average_precision_score(labels, scores, sample_weight=weights))
        count = 2 + random.below(20)
        scores = [float(random.below(1 << 40)) for _ in range(count)]
        relevance = [1.0] + [random.below(5) / 4 for _ in range(count - 1)]
        relevant = sum(it != 0 for it in relevance)
        found["ndcg"].append(ndcg_score([relevance], [scores], k=relevant))
        count = 3 + random.below(6)
        scores = [random.below(5) / 4 for _ in range(count)]
        k, right = 1 + random.below(count - 1), random.below(count)
        found["top_k"].append(top_k_accuracy_score([right], [scores], k=k, labels=list(range(count))))
    return found


def write(name: str, tensors: dict[str, list], part: str, reference: str) -> None:
    arrays = {f"out.{key}": np.asarray(values, dtype=np.float32) for key, values in tensors.items()}
    path = FIXTURES / f"{name}.safetensors"
    path.write_bytes(save(dict(sorted(arrays.items())), {"part": part, "reference": reference}))
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB, {len(arrays)} tensors")


def version(package: str) -> str:
    return f"{package} {packages.version(package)}"


def main() -> None:
    words = vocabulary()
    coco = version("pycocoevalcap")
    random = Random(1)
    texts = {
        "lines": [[line] for line in lines()],
        "words": [[word for word in line.split(" ") if word] for line in lines()],
        "composed": [[composed(random, words, 12, 0)] for _ in range(CASES)],
    }
    sums = {}
    for name, groups in texts.items():
        tokens = tokenize(dict(enumerate(groups)))
        sums[name] = [checksum("\n".join(tokens[place])) for place in range(len(groups))]
    write("ptb", sums, "metrics: tokens of captions", f"{coco}, Stanford CoreNLP 3.4.1")
    write("captioning", captioning(words), "metrics: captions", coco)
    write("vqa", {"vqa": vqa(words)}, "metrics: VQA accuracy", version("open-flamingo"))
    write("ranking", ranking(), "metrics: ranking", version("scikit-learn"))


if __name__ == "__main__":
    main()
