"""Bytes that a coverage-guided fuzzer makes, as a file of any kind: a corpus, or one sentence that says why not.

    python tests/fuzz_corpus_files.py FOLDER -runs=20000 -seed=1

libFuzzer's options follow the folder, in which what covered something new is kept.
"""

import gzip
import sys
import tempfile
from functools import partial
from pathlib import Path

NAMES = ("a.txt", "a.jsonl", "a.json", "a.csv", "a.tsv", "a.npy", "a.bin", "a.xyz", "a", "a.parquet")


def read_any(load_any, folder, data):
    """The first byte chooses the kind of file, and whether it is compressed."""
    kind, content = (data[0], data[1:]) if data else (0, b"")
    name = NAMES[kind % len(NAMES)]
    if kind >= 128:
        name, content = f"{name}.gz", gzip.compress(content)
    (folder / name).write_bytes(content)
    load_any(folder / name, **({"dtype": "uint16"} if ".bin" in name else {}))


def main():
    import atheris  # infodil[fuzz], which the tests do without

    with atheris.instrument_imports(include=["infodil.corpus"]):
        from test_corpus_files import load_any
    with tempfile.TemporaryDirectory() as folder:
        atheris.Setup(sys.argv, partial(read_any, load_any, Path(folder)))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
