import pytest

from manifests.report.charts import ROWS, Chart, Row, drawing, percent, ranked


def test_formulas_and_unprintable_characters_do_not_break_a_chart() -> None:
    with drawing():
        drawn = ranked("Licences", {"$\\frac{$ $x^2$": 3, "a\x00b\x1b\u202ec\nd": 2, "漢字 & <b>": 1}).svg
    assert ">$\\frac{$ $x^2$</text>" in drawn
    assert ">a\ufffdb\ufffd\ufffdc d</text>" in drawn
    assert ">漢字 &amp; &lt;b&gt;</text>" in drawn


def test_too_many_bars_become_one_for_the_rest() -> None:
    chart = ranked("Licences", {f"licence {number:02d}": 100 - number for number in range(30)})
    assert len(chart.rows) == ROWS
    assert chart.rows[-1] == Row("19 others", (sum(range(71, 90)),), rest=True)
    assert sum(row.values[0] for row in chart.rows) == sum(range(71, 101))


def test_a_users_own_settings_of_matplotlib_change_no_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    chart = Chart("Shares", (Row("a", (0.25, 0.999)),), ("generated", "real"), shares=True)
    with drawing():
        plain = chart.svg
    monkeypatch.setitem(matplotlib.rcParams, "font.weight", "bold")
    monkeypatch.setitem(matplotlib.rcParams, "path.sketch", (1, 100, 2))
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "path")
    monkeypatch.setitem(matplotlib.rcParams, "figure.dpi", 300.0)
    with drawing():
        assert chart.svg == plain
    assert matplotlib.rcParams["figure.dpi"] == 300


def test_0_and_100_percent_are_shown_only_for_exactly_none_and_all() -> None:
    said = [percent(share).replace("\u00a0", " ") for share in (0, 0.0001, 0.014, 0.5, 0.9999, 1)]
    assert said == ["0 %", "<1 %", "1 %", "50 %", ">99 %", "100 %"]
