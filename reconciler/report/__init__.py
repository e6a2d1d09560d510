"""Report: everything a person or a program reads. Renderers are pure functions to `str` and decide nothing."""
