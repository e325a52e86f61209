"""Streamlit-side pieces that every page shares."""
