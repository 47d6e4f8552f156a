"""Bits about the token k steps back in real states: data of `python -m analyses.recoverability_on_real_text`."""

from _style import place, read

from infodil.plots import multi_curves, save_figure


def main():
    frame = read("recoverability_on_real_text").rename(columns={"cell": "report"})
    save_figure(multi_curves(frame[frame["chosen"]]).figure, place("fig2_real_text"))


if __name__ == "__main__":
    main()
