"""The benchmarks on pictures: CelebA, Cityscapes with two and with three tasks, NYUv2.

A benchmark is a file (`celeba`, `cityscapes2`, `cityscapes3`, `nyuv2`), and beside them what they share: reading files
(`files`, `samples`), `augmentation`, `losses`, `meters`, networks (`models`), and pictures for stand-ins (`scenes`).
"""
