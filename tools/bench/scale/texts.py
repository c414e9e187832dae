"""The texts that are measured, written by generate_reviews and, for the largest, compressed in pieces at once, since
.bz2 files that stand one behind the other are one. They lie in a folder of their own, which is removed with them."""

import os
import shutil
import subprocess

from measure import CannotRun


# In a folder that was made here: no other is written to, or removed.
MARK = "made-by-scale.py"


def open_folder(path):
    mark = os.path.join(path, MARK)
    if not os.path.exists(path):
        os.makedirs(path)
        with open(mark, "x", encoding="utf-8"):
            pass
    elif not os.path.exists(mark):
        raise CannotRun(f"{path} is there, and was not made by scale.py: move it away, or give another --folder")


def options_of(settings):
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def generate(generator, path, settings):
    if os.path.exists(path):
        return
    with open(path + ".part", "wb") as file:
        if subprocess.run([generator, *options_of(settings)], stdout=file, check=False).returncode != 0:
            raise CannotRun(f"{generator} {settings} failed")
    os.rename(path + ".part", path)


def join(pieces, path):
    with open(path + ".part", "wb") as whole:
        for piece in pieces:
            with open(piece, "rb") as file:
                shutil.copyfileobj(file, whole, 1 << 20)
            os.remove(piece)
    os.rename(path + ".part", path)


def compress(path, threads):
    """PATH.bz2 by so many bzip2 at once, each of a piece of whole lines."""
    if os.path.exists(path + ".bz2"):
        return
    size, begin, running = os.path.getsize(path), 0, []
    with open(path, "rb") as file:
        for number in range(threads):
            file.seek(max(size * (number + 1) // threads - 1, begin))
            file.readline()
            end = file.tell()
            script = 'tail -c +"$2" -- "$1" | head -c "$3" | bzip2 > "$4"'
            piece = f"{path}.{number}.bz2"
            running.append((piece, subprocess.Popen(["bash", "-c", script, "bash", path, str(begin + 1),
                                                     str(end - begin), piece])))
            begin = end
    if any([process.wait() for _, process in running]):  # a list: all are waited for
        raise CannotRun(f"compressing {path} failed")
    join([piece for piece, _ in running], path + ".bz2")
