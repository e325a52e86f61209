"""Panels: what is drawn on the pages, a module a page."""
