"""Choosers: checkpoint, image, label, site: widgets, and the state that pages share."""
