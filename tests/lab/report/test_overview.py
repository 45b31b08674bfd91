"""The overview: a column for every setting and rate."""

from made_results import comparison

from emprune_lab.report.overview import overview_markdown


def test_the_overview_has_a_column_for_every_setting_and_rate():
    results = [*comparison(), *comparison(anneal=0.125), *comparison(anneal=0.125, model="cnn", label_noise=0.4)]
    lines = overview_markdown(results).splitlines()
    assert lines[0] == (
        "| policy | 40% wrong labels, cnn, 12.5% annealed, "
        "0.7 | 40% wrong labels, cnn, 12.5% annealed, 0.9 | clean, mlp, 0.7 | clean, mlp, 0.9 | clean, mlp, 12.5% "
        "annealed, 0.7 | clean, mlp, 12.5% annealed, 0.9 |"
    )
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| full", "| random", "| lfl", "| emp"]
    assert all(line.count("94.13 ± ") == 3 for line in lines if line.startswith("| emp"))


def test_full_alone_has_an_overview():
    assert "96.00 ± 2.48" in overview_markdown([run for run in comparison() if run.policy == "full"])
