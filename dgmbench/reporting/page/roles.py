"""Every kind of figure that the page knows: under which heading it stands, how it is laid out, what it says.

A figure says by its own caption what to see; the captions here are for figures without one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# The part of the page that a figure stands in.
Part = Literal["answer", "pictures", "relations", "tables", "controls", "none"]
# chart: on paper of its own, in full; tiles: small images side by side, pixels kept; wide: two to a row;
# sheets: three to a row.
Layout = Literal["chart", "tiles", "wide", "sheets", "whole"]


@dataclass(frozen=True)
class Role:
    """One kind of figure; `named`: each figure is headed by its title, since there are several."""

    name: str
    heading: str
    part: Part
    layout: Layout = "chart"
    caption: str = ""
    named: bool = False


_ROLES = (
    Role("strip", "Samples of every family", "answer", "whole"),
    Role("all samples", "Samples", "none"),
    Role(
        "samples", "Samples", "pictures", "tiles", named=True,
        caption="The first images that each model's first finished seed generated, unselected.",
    ),
    Role(
        "means", "Mean images beside draws", "pictures", "sheets",
        caption="Left to its mean, a decoder shows what it has learnt; a draw adds its observation noise.",
    ),
    Role("latents", "Reconstructions, interpolations, other sheets of latents", "pictures", "sheets"),
    Role("conditional", "Samples given a class", "pictures", "sheets"),
    Role("completions", "Completions", "pictures", "sheets"),
    Role(
        "neighbours", "Nearest training images", "pictures", "wide",
        caption="The generated images that are closest to training images, by the nearest under shifts of up "
        "to one pixel: the worst cases, not typical ones. A copy would sit close to its neighbour, and the "
        "generated images' distances would fall below those of held-out images. All of it is a heuristic: "
        "without the shifts, moving a copy by a pixel is enough to hide it.",
    ),
    Role("costs", "Quality against seconds", "relations"),
    Role(
        "labels", "Error by number of labels", "tables",
        caption="Means over seeds; bars: 95 %, over trainings and test images together. Each seed has a "
        "label set of its own, but for all labels. Both axes are logarithmic: the lower end of a bar is cut "
        "at a twentieth of the mean, and a mean of 0 is drawn at half a wrong prediction among those of all "
        "seeds, marked 0. Solid: methods that were trained at several numbers of labels. Dashed: the linear "
        "probes of the models whose features read best.",
    ),
    Role(
        "likelihoods", "Likelihoods by kind", "tables",
        caption="Bars: 95 %, over trainings and test images together. Models share the test images, so "
        "overlapping bars do not mean that two models cannot be told apart: see the notes to the tables.",
    ),
    Role(
        "convergence", "Convergence of the bounds", "tables",
        caption="Importance-sampled bounds by number of draws, mean over seeds. Bands and bars: 95 %, over "
        "trainings alone, since all of a line is on the same test images. The ELBO is the bound of one draw. "
        "A line that still climbs at its end is a loose bound. An open diamond is not AIS itself but the "
        "last bound plus the difference of the two on the fewer images that AIS covers.",
    ),
    Role(
        "quality", "FID over n, precision and recall", "tables", named=True,
        caption="A finite number of images makes FID too large, by a different amount for each model; the "
        "star is its value without that, and the black line what training images would score. Lines and "
        "stars are means over seeds, without intervals: see FID and FID∞ in the table. Precision is the "
        "share of samples among the test images, recall the share of test images among the samples; bars "
        "reach from the lowest to the highest training.",
    ),
    Role(
        "classes", "Classes of samples", "tables",
        caption="Percent of images that the domain classifier takes for each class, means over seeds. A "
        "class that a model hardly draws is a mode that it has lost; the classifier must choose a class for "
        "noise, too.",
    ),
    Role(
        "spectra", "Blur and noise", "tables",
        caption="Energy by spatial frequency, of samples against test images: a curve below the data's at "
        "the right end is blur, above it noise.",
    ),
    Role(
        "curves", "Learning curves", "tables",
        caption="One thin line per seed; a model fitted in one step has no curve. What a loss means is the "
        "model's own affair: read each panel by itself. A steep start may be cut off.",
    ),
    Role("control", "Controls", "controls"),
    Role("control images", "Controls", "controls", "whole", named=True),
)  # fmt: skip


def roles_of(part: Part, there: Iterable[str]) -> list[Role]:
    """The roles of a part among those that figures have, in the order of the page.

    Roles that are not known are pictures, under their own name.
    """
    names = dict.fromkeys(there)
    known = {role.name for role in _ROLES}
    strange = [Role(name, name.capitalize(), "pictures", named=True) for name in names if name not in known]
    return [role for role in (*_ROLES, *strange) if role.part == part and role.name in names]
