"""Pages as one file: what a page of the app shows, in HTML that any browser opens without a server."""
