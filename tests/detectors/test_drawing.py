from xml.etree import ElementTree

from detectors.drawing import draw, short

EVIL = "<script>alert(1)</script> $x_1$\n\u202e"


def drawn(title: str = "mAP") -> str:
    def lines(axes):
        axes.plot([1, 2], [0.5, 0.9], color="#2f6f8f", marker="o", label=short(EVIL))
        axes.imshow([[0, 1]])
        axes.legend()

    return draw(title, lines)


def test_a_drawing_is_one_element_in_the_colours_of_the_page_the_same_every_time():
    svg = drawn()
    assert svg == drawn()
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "mAP"
    assert "var(--series-1)" in svg
    assert "#2f6f8f" not in svg
    assert "font-family" not in svg
    assert "<style" not in svg


def test_names_of_unknown_authors_are_text():
    svg = drawn()
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "$x_1$" in svg
    assert "\u202e" not in svg


def test_two_drawings_of_one_page_share_no_id_and_each_refers_to_its_own():
    ids = []
    for svg in (drawn("one"), drawn("two")):
        own = {element.get("id") for element in ElementTree.fromstring(svg).iter()} - {None}
        referred = {part.split(")")[0] for part in svg.split("url(#")[1:]}
        referred |= {part.split('"')[0] for part in svg.split('href="#')[1:]}
        assert referred
        assert referred == own
        ids.append(own)
    assert ids[0].isdisjoint(ids[1])


def test_long_names_are_cut():
    assert len(short("x" * 100)) == 40
