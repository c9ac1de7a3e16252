"""A small folder in the format of QM9's raw files, of made-up molecules."""

from pathlib import Path

import numpy as np

from mtrl.benchmarks.qm9.raw import CSV_HEADER

METHANE_SDF = """gdb_1
     RDKit          3D

  5  4  0  0  0  0  0  0  0  0999 V2000
   -0.0127    1.0858    0.0080 C   0  0  0  0  0  0  0  0  0  0  0  0
    0.0022   -0.0060    0.0020 H   0  0  0  0  0  0  0  0  0  0  0  0
    1.0117    1.4638    0.0003 H   0  0  0  0  0  0  0  0  0  0  0  0
   -0.5408    1.4475   -0.8766 H   0  0  0  0  0  0  0  0  0  0  0  0
   -0.5238    1.4379    0.9064 H   0  0  0  0  0  0  0  0  0  0  0  0
  2  1  1  0
  3  1  1  0
  4  1  1  0
  5  1  1  0
M  END
$$$$
"""
METHANE_CSV = (
    "gdb_1,157.7118,157.70997,157.70699,0,13.21,-0.3877,0.1171,0.5048,35.3641,0.044749,-40.47893,-40.476062,"
    "-40.475117,-40.498597,6.469,-395.999594594,-398.643290011,-401.014646522,-372.471772148\n"
)
UNCHARACTERIZED = "heading\n" * 9 + "{rows}-----\n{count} compounds\n"


def write(folder: Path, count: int = 40, left_out: tuple[int, ...] = ()) -> Path:
    """Methane as `gdb_1`, and chains of 3 to 12 atoms whose properties depend on what they are made of."""
    generator = np.random.default_rng(0)
    sdf, csv = [METHANE_SDF], [CSV_HEADER + "\n", METHANE_CSV]
    for number in range(2, count + 1):
        symbols = generator.choice(["H", "C", "N", "O", "F"], generator.integers(3, 13))
        positions = np.cumsum(generator.normal(0, 0.8, (len(symbols), 3)), 0)
        orders = generator.integers(1, 4, len(symbols) - 1)
        sdf.append(record(f"gdb_{number}", symbols, positions, orders))
        weights = generator.normal(len(symbols) + np.sum(symbols == "O"), 0.1, 19)
        csv.append(",".join([f"gdb_{number}", *(f"{value:.6f}" for value in weights)]) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gdb9.sdf").write_text("".join(sdf))
    (folder / "gdb9.sdf.csv").write_text("".join(csv))
    rows = "".join(f"  {number}  CC  1.0\n" for number in left_out)
    (folder / "uncharacterized.txt").write_text(UNCHARACTERIZED.format(rows=rows, count=len(left_out)))
    return folder


def record(name: str, symbols, positions, orders) -> str:
    """One molecule, a chain."""
    atoms = "".join(
        f"{x:10.4f}{y:10.4f}{z:10.4f} {symbol:<3} 0  0\n" for symbol, (x, y, z) in zip(symbols, positions, strict=True)
    )
    bonds = "".join(f"{i:3d}{i + 1:3d}{order:3d}  0\n" for i, order in enumerate(orders, 1))
    counts = f"{len(symbols):3d}{len(orders):3d}  0  0  0  0  0  0  0  0999 V2000\n"
    return f"{name}\n  made up\n\n{counts}{atoms}{bonds}M  CHG  1   1   1\nM  END\n$$$$\n"
