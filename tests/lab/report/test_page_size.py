"""A page of 100 runs and 50,000 samples stays small; how fast it opens is measured by benchmarks/page_opening.py."""

import page_opening


def test_a_page_of_a_hundred_runs_of_fifty_thousand_samples_is_below_eight_megabytes(tmp_path):
    page = page_opening.made_page(tmp_path, 100, 50_000)
    assert len(list((tmp_path / "runs").iterdir())) == 100
    assert page.stat().st_size < 8e6
    html = page.read_text()
    assert '"number":50000' in html
    assert '"sprite":"' in html
