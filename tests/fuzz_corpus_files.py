"""Bytes that a coverage-guided fuzzer makes, as a file of any kind: a corpus, or one sentence that says why not.

    python tests/fuzz_corpus_files.py FOLDER -runs=20000 -seed=1

libFuzzer's options follow the folder, in which what covered something new is kept.
"""

import gzip
import sys
import tempfile
from functools import partial
from pathlib import Path

from infodil.checks import UserError

NAMES = ("a.txt", "a.jsonl", "a.json", "a.csv", "a.tsv", "a.npy", "a.bin", "a.xyz", "a", "a.parquet")


def read_any(load_corpus, folder, data):
    """The first byte chooses the kind of file, and whether it is compressed."""
    kind, content = (data[0], data[1:]) if data else (0, b"")
    name = NAMES[kind % len(NAMES)]
    if kind >= 128:
        name, content = f"{name}.gz", gzip.compress(content)
    path = folder / name
    path.write_bytes(content)
    try:
        with load_corpus(path, tokenizer="bytes", dtype="uint16" if ".bin" in name else None).tokenize(max_tokens=200):
            pass
    except UserError as error:
        if "\n" in str(error):
            raise RuntimeError("a message of several lines") from error


def main():
    import atheris  # infodil[fuzz], which the tests do without

    with atheris.instrument_imports(include=["infodil.corpus"]):
        from infodil.corpus import load_corpus
    with tempfile.TemporaryDirectory() as folder:
        atheris.Setup(sys.argv, partial(read_any, load_corpus, Path(folder)))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
