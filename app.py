"""CamDrop Lab: page config and navigation."""

import streamlit as st

from ui.entry import home, run

st.set_page_config(page_title="CamDrop Lab", page_icon="🎯", layout="wide")
page = st.navigation(
    [
        st.Page("pages/explore.py", title="Explore", icon=":material/image_search:", url_path="start", default=True),
        st.Page("pages/tour.py", title="Tour", icon=":material/school:"),
        st.Page("pages/mask_lab.py", title="Mask lab", icon=":material/layers:"),
        st.Page("pages/five_methods.py", title="Five methods", icon=":material/view_in_ar:"),
        st.Page("pages/attack.py", title="Attack", icon=":material/swords:"),
        st.Page("pages/race.py", title="Race", icon=":material/flag:"),
        st.Page("pages/runs.py", title="Runs", icon=":material/folder_open:"),
        st.Page("pages/results.py", title="Results", icon=":material/table_chart:"),
        st.Page("pages/gradients.py", title="Gradients", icon=":material/ssid_chart:"),
        st.Page("pages/sweep.py", title="Sweep", icon=":material/grid_on:"),
        st.Page(home, url_path="explore", visibility="hidden"),
    ],
    position="top",
)
run(page)
