"""Bits about the token k steps back in six states: data of `python -m analyses.demo_states`."""

from _style import place, read

from infodil.plots import recoverability_curves, save_figure


def main():
    frame = read("demo_states")
    ax = recoverability_curves(frame[frame["chosen"]])
    save_figure(ax.figure, place("fig1_demo_states"))


if __name__ == "__main__":
    main()
