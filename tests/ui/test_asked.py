"""Work that a button asks for, where runs are cut off."""

from streamlit.testing.v1 import AppTest


def script() -> None:
    import streamlit as st

    from ui.asked import asked

    state = st.session_state
    with asked("Work", key="work") as now:
        if now:
            state["tries"] = state.get("tries", 0) + 1
            if state["tries"] == 1:
                st.stop()  # as a run that another one cuts off
            if state["tries"] == 3:
                raise ValueError("It cannot be done.")
            state["done"] = state.get("done", 0) + 1


def test_work_is_asked_for_until_it_is_done_or_fails() -> None:
    app = AppTest.from_function(script).run()
    assert "tries" not in app.session_state
    app.button(key="work").click().run()
    assert "done" not in app.session_state
    app.run()
    app.run()
    assert app.session_state["done"] == 1 and app.session_state["tries"] == 2
    app.button(key="work").click().run()
    assert [error.value for error in app.exception] == ["It cannot be done."]
    app.run()
    assert app.session_state["tries"] == 3 and not app.exception
